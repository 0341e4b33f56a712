package constrain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// testTexts is a small vocabulary: all bytes, and pieces as tokenizers have them, some
// of which cut characters in two.
func testTexts() []string {
	texts := []string{""} // 0 ends a text
	for b := range 256 {
		texts = append(texts, string([]byte{byte(b)}))
	}
	return append(texts, `{"`, `":`, `": "`, `",`, `", "`, `"}`, `"]`, `[{"`, `}]`, `},`, `  `, "\n  ", "\n\t\t", "na", "name", "the", " the", "12", "123", "00", ".5", "e1",
		"true", "false", "null", "tr", "ue", "日", "日本", "\xe6\x97", "\xa5\xe6", "é", "\xf0\x9f", "\x99\x82", `\n`, `\u`, `\\`, `\"`, `\ud83d`, "2024-", "-01", "T1", "aaaa", "bbbbbbbb", "]]]]", "[[[[")
}

func testVocabulary() *Vocabulary { return NewVocabulary(testTexts(), false) }

// walk writes a random text that the grammar allows; ok: it came to an end.
func walk(t testing.TB, g *Grammar, rng *rand.Rand, most int) (text string, ok bool) {
	t.Helper()
	m := g.Matcher([]int{0})
	logits := make([]float32, len(g.vocabulary.texts))
	var b strings.Builder
	for n := range most {
		clear(logits)
		if err := m.Apply(logits); err != nil {
			t.Fatalf("behind %q: %v", b.String(), err)
		}
		var allowed []int
		for id, l := range logits {
			if !math.IsInf(float64(l), -1) {
				allowed = append(allowed, id)
			}
		}
		id := allowed[rng.IntN(len(allowed))]
		if n > most/4 { // toward the end: closing signs where they are allowed
			for _, a := range allowed {
				if s := g.vocabulary.texts[a]; a == 0 || s == `"` || s == "}" || s == "]" {
					id = a
					break
				}
			}
		}
		if id == 0 {
			if !m.at.accepting {
				t.Fatalf("%q may end and is not complete", b.String())
			}
			return b.String(), true
		}
		if err := m.Accept(id); err != nil {
			t.Fatalf("behind %q, %q was allowed: %v", b.String(), g.vocabulary.texts[id], err)
		}
		b.WriteString(g.vocabulary.texts[id])
		if m.Done() {
			return b.String(), true
		}
	}
	return b.String(), false
}

// validator is an independent implementation of JSON Schema.
func validator(t testing.TB, schema string) *jsonschema.Schema {
	t.Helper()
	v, err := compileValidator(schema)
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return v
}

// anything is the validator of cases that need one and whose schema Go's has no words for.
func anything(t testing.TB, name, schema string) *jsonschema.Schema {
	if name == "lookahead" || name == "back reference" {
		schema = "true"
	}
	return validator(t, schema)
}

func compileValidator(schema string) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("test.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("test.json")
}

func valid(v *jsonschema.Schema, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("no UTF-8")
	}
	if !json.Valid([]byte(text)) {
		return fmt.Errorf("no JSON")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		return err
	}
	return v.Validate(doc)
}

// read says whether the grammar accepts a text, byte by byte.
func read(g *Grammar, text string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.first
	for i := range len(text) {
		if s = g.step(s, g.class[text[i]]); s == g.dead {
			return false
		}
	}
	return s.accepting
}

// cases are schemas with texts that they allow and texts that they do not.
var cases = []struct {
	name, schema string
	yes, no      []string
	warns        string
}{
	{"true", `true`, []string{`1`, `"a"`, `{"a": [1, {}]}`, `null`, "[\n  1,\n  2\n]"}, []string{``, `01`, `[1,]`, `{a:1}`, `"\x"`, "\"\n\"", `"\ud800"`, `1 2`, `{"a":1,}`}, ""},
	{"object", `{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b","a"],"additionalProperties":false}`,
		[]string{`{"b":"x","a":1}`, `{"b": "x", "a": -20}`, "{\n  \"b\": \"\\u00e9\",\n  \"a\": 0\n}", `{ "b":"\/","a":1 }`}, []string{`{"a":1,"b":"x"}`, `{"b":"x"}`, `{}`, `{"b":"x","a":1,"c":2}`, `{"b":"x","a":1.5}`}, ""},
	{"optional", `{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"]}`,
		[]string{`{"b":null}`, `{"a":null,"b":null}`, `{"b":null,"c":null}`, `{"a":null,"b":null,"c":null}`}, []string{`{}`, `{"a":null}`, `{"b":null,"a":null}`, `{,"b":null}`, `{"b":null,}`, `{"a":null,,"b":null}`}, ""},
	{"additional", `{"properties":{"name":{"type":"string"}},"additionalProperties":{"type":"integer"}}`,
		[]string{`{}`, `{"name":"x"}`, `{"name":"x","n":1}`, `{"other":1,"names":2,"nam":3,"":4}`, `{"n\"":1}`}, []string{`{"name":1}`, `{"x":"y"}`, `{"x":1,"name":"x"}`}, ""},
	{"map", `{"type":"object","additionalProperties":{"type":"boolean"},"minProperties":1,"maxProperties":2}`, []string{`{"a":true}`, `{"a":true,"b":false}`}, []string{`{}`, `{"a":1}`, `{"a":true,"b":false,"c":true}`}, ""},
	{"pattern properties", `{"type":"object","properties":{"x1":{"type":"null"}},"patternProperties":{"^x":{"type":"integer"},"^y":{"type":"string"}},"additionalProperties":false}`,
		[]string{`{}`, `{"x2":1}`, `{"y":"a","x":2}`}, []string{`{"z":1}`, `{"x":"a"}`, `{"x1":null}`}, ""},
	{"property names", `{"type":"object","propertyNames":{"pattern":"^[a-z]+$","maxLength":3},"additionalProperties":true}`, []string{`{"abc":1}`, `{}`}, []string{`{"abcd":1}`, `{"A":1}`, `{"":1}`}, ""},
	{"array", `{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}`, []string{`[1,2]`, `[ 1, 2, 3 ]`}, []string{`[]`, `[1]`, `[1,2,3,4]`, `[1,"a"]`, `[1,2,]`}, ""},
	{"empty array", `{"type":"array","maxItems":0}`, []string{`[]`, `[ ]`}, []string{`[1]`}, ""},
	{"tuple", `{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"boolean"},"minItems":2}`, []string{`[1,"a"]`, `[1,"a",true,false]`}, []string{`[1]`, `["a",1]`, `[1,"a",1]`}, ""},
	{"closed tuple", `{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false}`, []string{`[]`, `[1]`, `[1,"a"]`}, []string{`[1,"a",1]`}, ""},
	{"old tuple", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"null"},"maxItems":2}`, []string{`[1,null]`, `[1]`}, []string{`[1,1]`, `[1,null,null]`}, ""},
	{"enum", `{"enum":["a","ab","b c",1,10,1.5,null,true,["x",{"y":1}]]}`, []string{`"a"`, `"ab"`, `"b c"`, `1`, `10`, `1.5`, `null`, `true`, `["x", {"y":1}]`}, []string{`"abc"`, `""`, `100`, `false`, `["x"]`}, ""},
	{"enum of a type", `{"type":["string","null"],"enum":["a",1,null]}`, []string{`"a"`, `null`}, []string{`1`}, ""},
	{"const", `{"const":"é\"\\\n/"}`, []string{`"é\"\\\n/"`}, []string{`"é"`, `"\u00e9\"\\\n/"`}, ""},
	{"any of", `{"anyOf":[{"type":"string","maxLength":2},{"type":"integer"}]}`, []string{`"ab"`, `12`}, []string{`"abc"`, `1.5`, `null`}, ""},
	{"any of objects", `{"anyOf":[{"type":"object","properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"]},{"type":"object","properties":{"k":{"const":"b"},"y":{"type":"string"}},"required":["k","y"]}]}`,
		[]string{`{"k":"a","x":1}`, `{"k":"b","y":"z"}`}, []string{`{"k":"a","y":"z"}`, `{"k":"c","x":1}`}, ""},
	{"any of beside", `{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"anyOf":[{"properties":{"a":{"type":"null"}},"required":["a"]},{"properties":{"b":{"type":"null"}},"required":["b"]}]}`,
		[]string{`{"n":1,"a":null}`, `{"n":1,"b":null}`}, []string{`{"n":1}`, `{"a":null}`}, ""},
	{"one of", `{"oneOf":[{"type":"integer"},{"type":"string"}]}`, []string{`1`, `"a"`}, []string{`null`}, ""},
	{"one of, overlapping", `{"oneOf":[{"type":"integer"},{"type":"number"}]}`, []string{`1`}, []string{`null`}, "oneOf"},
	{"all of", `{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"maximum":5},"b":{"type":"string"}},"required":["b"]}]}`,
		[]string{`{"a":5,"b":""}`, `{"a":-7,"b":"x"}`}, []string{`{"a":6,"b":""}`, `{"a":5}`}, ""},
	{"all of closed", `{"allOf":[{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"integer","minimum":3}},{"properties":{"b":{}},"required":["b"]}]}`, []string{`{"b":3}`, `{"a":1,"b":4}`}, []string{`{"b":"x"}`, `{"b":2}`}, ""},
	{"references", `{"$defs":{"p":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/p"},{"type":"null"}]}},"required":["next"],"additionalProperties":false}},"$ref":"#/$defs/p"}`,
		[]string{`{"next":null}`, `{"next":{"next":{"next":null}}}`}, []string{`{}`, `{"next":1}`, `{"next":{}}`}, ""},
	{"recursion", `{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#"}}},"required":["v"],"additionalProperties":false}`,
		[]string{`{"v":1}`, `{"v":1,"kids":[{"v":2},{"v":3,"kids":[]}]}`}, []string{`{"kids":[]}`, `{"v":1,"kids":[1]}`}, ""},
	{"choice that leads back", `{"anyOf":[{"$ref":"#"},{"type":"integer"}]}`, []string{`1`}, []string{`"a"`}, ""},
	{"choice that leads back, beside", `{"minimum":3,"anyOf":[{"$ref":"#"},{"type":"integer"}]}`, []string{`3`}, []string{`2`}, ""},
	{"choice behind a reference, beside", `{"minimum":3,"$ref":"#/$defs/b","$defs":{"b":{"anyOf":[{"type":"integer"},{"type":"null"}]}}}`, []string{`3`, `null`}, []string{`2`, `"a"`}, ""},
	{"choice that leads back behind a reference", `{"$defs":{"a":{"minimum":3,"$ref":"#/$defs/b"},"b":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"integer"}]}},"$ref":"#/$defs/a"}`, []string{`3`}, []string{`2`, `"a"`}, ""},
	{"two choices that share one", `{"$defs":{"b":{"anyOf":[{"type":"integer"},{"type":"null"}]},"c":{"anyOf":[{"$ref":"#/$defs/b"},{"type":"string"}]}},"allOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/c"}]}`,
		[]string{`3`, `null`}, []string{`"a"`, `true`}, ""},
	{"choices in allOf", `{"type":"object","required":["k"],"properties":{"k":{"minimum":0}},"allOf":[{"$ref":"#/$defs/c"}],"$defs":{"c":{"anyOf":[{"properties":{"k":{"type":"integer"}}},{"properties":{"k":{"type":"null"}}}]}}}`,
		[]string{`{"k":1}`, `{"k":null}`}, []string{`{"k":"x"}`, `{"k":-1}`, `{}`}, ""},
	{"only itself", `{"$ref":"#"}`, []string{`1`, `"a"`}, nil, "#: leads back to itself by $ref and allOf alone"},
	{"only itself, by allOf", `{"allOf":[{"$ref":"#"}]}`, []string{`1`}, nil, "#: leads back to itself"},
	{"only each other", `{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}`, []string{`1`}, nil, "#/$defs/a: leads back to itself"},
	{"only one another of three", `{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"allOf":[{"$ref":"#/$defs/c"}]},"c":{"$ref":"#/$defs/a"}},"properties":{"x":{"$ref":"#/$defs/b"}},"required":["x"],"type":"object"}`, []string{`{"x":1}`}, []string{`{}`, `1`}, "leads back to itself"},
	{"itself beside a type", `{"type":"integer","allOf":[{"$ref":"#"}]}`, []string{`1`}, []string{`"a"`}, "#: leads back to itself"},
	{"the same twice", `{"$defs":{"a":{"type":"integer"}},"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"},{"allOf":[{"$ref":"#/$defs/a"}]}]}`, []string{`1`}, []string{`"a"`}, ""},
	{"pointer with escapes", `{"$defs":{"a/b~c d":{"const":1}},"$ref":"#/$defs/a~1b~0c%20d"}`, []string{`1`}, []string{`2`}, ""},
	{"lengths", `{"type":"string","minLength":2,"maxLength":3}`, []string{`"ab"`, `"日本語"`, `"🙂\n\u00e9"`, `"\ud83d\ude42x"`}, []string{`"a"`, `"abcd"`, `"日本語語"`}, ""},
	{"a long maxLength", `{"type":"string","maxLength":100000000}`, []string{`""`, `"abc"`}, []string{`1`}, ""},
	{"pattern", `{"type":"string","pattern":"^\\d{3}-[a-c]+$"}`, []string{`"123-abc"`}, []string{`"123-"`, `"12-a"`, `"123-ad"`, `"x123-a"`}, ""},
	{"pattern anywhere", `{"type":"string","pattern":"b+"}`, []string{`"abba"`, `"b"`, `"\nb\""`}, []string{`"a"`, `""`}, ""},
	{"pattern with slash", `{"type":"string","pattern":"^\\/a\\/\\d$"}`, []string{`"/a/1"`}, []string{`"\/a\/1"`, `"/a/٣"`}, ""},
	{"pattern of signs", `{"type":"string","pattern":"^[\"\\\\\\né\\t]+$"}`, []string{`"\"\\\n\té"`}, []string{`"a"`, `""`}, ""},
	{"pattern and lengths", `{"type":"string","pattern":"^[ab]*$","minLength":1,"maxLength":2}`, []string{`"a"`, `"ab"`}, []string{`""`, `"aba"`, `"c"`}, ""},
	{"patterns together", `{"allOf":[{"type":"string","pattern":"^a"},{"pattern":"z$"},{"maxLength":3}]}`, []string{`"az"`, `"abz"`}, []string{`"a"`, `"abcz"`}, ""},
	{"pattern of many scripts", `{"type":"string","pattern":"^\\p{L}+$"}`, []string{`"aé日я"`}, []string{`"a1"`}, ""},
	{"case", `{"type":"string","pattern":"^(?i)ab$"}`, []string{`"aB"`}, []string{`"ac"`}, ""},
	{"lookahead", `{"type":"string","pattern":"^(?=a)"}`, []string{`"a"`, `"b"`}, nil, "pattern"},
	{"back reference", `{"type":"string","pattern":"(a)\\1"}`, []string{`"aa"`}, nil, "pattern"},
	{"date", `{"type":"string","format":"date"}`, []string{`"2024-02-29"`, `"2023-12-31"`}, []string{`"2023-02-29"`, `"2024-13-01"`, `"2024-04-31"`, `"1900-02-29"`}, ""},
	{"date-time", `{"type":"string","format":"date-time"}`, []string{`"2024-02-29T23:59:59Z"`, `"2024-01-01T00:00:00.5+02:00"`}, []string{`"2024-01-01"`, `"2024-01-01T24:00:00Z"`}, ""},
	{"uuid", `{"type":"string","format":"uuid"}`, []string{`"123e4567-e89b-12d3-a456-426614174000"`}, []string{`"123"`}, ""},
	{"unknown format", `{"type":"string","format":"regex"}`, []string{`"a"`}, nil, "format"},
	{"integer", `{"type":"integer"}`, []string{`0`, `-5`, `123456789012345678`}, []string{`1.0`, `01`, `1e3`, `1234567890123456789`, `-`, `+1`}, ""},
	{"number", `{"type":"number"}`, []string{`0`, `-5.25`, `1e3`, `1.5E-7`}, []string{`.5`, `1.`, `1e`, `1e1000`, `NaN`}, ""},
	{"range", `{"type":"integer","minimum":-12,"exclusiveMaximum":103}`, []string{`-12`, `-9`, `0`, `99`, `102`}, []string{`-13`, `103`, `1000`, `-100`}, ""},
	{"range from above", `{"type":"integer","minimum":950}`, []string{`950`, `999`, `1000`, `12345`}, []string{`949`, `9`, `-950`}, ""},
	{"range of numbers", `{"type":"number","minimum":0.25,"maximum":2.5}`, []string{`0.25`, `0.3`, `1`, `1.999`, `2.5`, `2.50`}, []string{`0.2`, `0.249`, `2.51`, `3`, `0`, `-1`}, ""},
	{"open range", `{"type":"number","exclusiveMinimum":-1.5,"exclusiveMaximum":0}`, []string{`-1.4`, `-1`, `-0.1`, `-1.49`}, []string{`-1.5`, `0`, `1`, `-2`}, ""},
	{"draft 4 range", `{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer","minimum":1,"exclusiveMinimum":true,"maximum":3}`, []string{`2`, `3`}, []string{`1`, `4`}, ""},
	{"multiple", `{"type":"integer","minimum":-20,"maximum":100,"multipleOf":7}`, []string{`0`, `7`, `98`, `-14`}, []string{`1`, `99`, `-20`}, ""},
	{"multiple of a fraction", `{"type":"number","multipleOf":0.1}`, []string{`1.5`}, nil, "multipleOf"},
	{"nullable", `{"type":"string","nullable":true}`, []string{`null`, `"a"`}, []string{`1`}, ""},
	{"types", `{"type":["integer","null","array"]}`, []string{`1`, `null`, `[{}]`}, []string{`"a"`, `1.5`}, ""},
	{"not", `{"type":"integer","not":{"const":3}}`, []string{`1`}, nil, "not is not enforced"},
	{"unique", `{"type":"array","items":{"type":"integer"},"uniqueItems":true}`, []string{`[1]`}, nil, "uniqueItems"},
	{"unknown keyword", `{"type":"integer","minimun":3}`, []string{`1`}, nil, "minimun"},
}

// unenforced are cases whose texts need not be valid, because a keyword is not enforced;
// nullable is not of JSON Schema.
var unenforced = map[string]bool{"lookahead": true, "back reference": true, "multiple of a fraction": true, "not": true, "unique": true, "one of, overlapping": true, "nullable": true, "unknown format": true}

// cyclic says that the validator has met a schema that leads back to itself, of which JSON Schema
// says nothing.
func cyclic(err error) bool { return strings.Contains(err.Error(), "causing reference cycle") }

func TestSchemas(t *testing.T) {
	v := testVocabulary()
	for _, c := range cases {
		p, err := Schema([]byte(c.schema))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.Join(p.Warnings, "; "); (got == "") != (c.warns == "") || !strings.Contains(got, c.warns) {
			t.Errorf("%s: warnings %q, expected %q", c.name, got, c.warns)
		}
		g := p.Grammar(v)
		check := anything(t, c.name, c.schema)
		for _, s := range c.yes {
			if !read(g, s) {
				t.Errorf("%s: %s is refused", c.name, s)
			}
			if err := valid(check, s); err != nil && !unenforced[c.name] && !cyclic(err) {
				t.Errorf("%s: the test's own %s: %v", c.name, s, err)
			}
		}
		for _, s := range c.no {
			if read(g, s) {
				t.Errorf("%s: %s is allowed", c.name, s)
			}
		}
	}
}

// TestWalks writes random texts and checks them with an independent validator.
func TestWalks(t *testing.T) {
	v := testVocabulary()
	ended, all := 0, 0
	for i, c := range cases {
		p, err := Schema([]byte(c.schema))
		if err != nil {
			t.Fatal(c.name, err)
		}
		g := p.Grammar(v)
		check := anything(t, c.name, c.schema)
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		for range 40 {
			text, ok := walk(t, g, rng, 400)
			if all++; !ok {
				continue
			}
			ended++
			if err := valid(check, text); err != nil && !unenforced[c.name] && !cyclic(err) {
				t.Errorf("%s: %s: %v", c.name, text, err)
			}
		}
	}
	t.Logf("%d of %d texts came to an end", ended, all)
	if ended < all*9/10 {
		t.Errorf("only %d of %d texts came to an end", ended, all)
	}
}
