package constrain

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestRefused: what is no schema is refused with the place, soon.
func TestRefused(t *testing.T) {
	deep := strings.Repeat(`{"items":`, 200) + `{}` + strings.Repeat(`}`, 200)
	chain := func(n int) string { // definitions of which each is the next one
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"d%d":{"$ref":"#/$defs/d%d"},`, i, i+1)
		}
		return b.String()
	}
	names := func(n int, f string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, f, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, schema, says string }{
		{"empty", ``, "empty"},
		{"no JSON", `{"a":}`, "no JSON"},
		{"cut off", `{"a":[`, "ends too early"},
		{"more", `{} {}`, "more after"},
		{"no schema", `3`, "#: found a number"},
		{"no schema inside", `{"properties":{"a/b":{"items":"x"}}}`, "#/properties/a~1b/items: found a text"},
		{"type", `{"type":"int"}`, `#/type: found "\"int\""`},
		{"types", `{"properties":{"x":{"type":[]}}}`, "#/properties/x/type"},
		{"required", `{"required":"a"}`, "#/required"},
		{"required names", `{"required":[1]}`, "#/required/0"},
		{"properties", `{"properties":[]}`, "#/properties"},
		{"enum", `{"enum":[]}`, "#/enum"},
		{"enum", `{"enum":3}`, "#/enum"},
		{"any of", `{"anyOf":{}}`, "#/anyOf"},
		{"all of", `{"allOf":[]}`, "#/allOf"},
		{"length", `{"minLength":-1}`, "#/minLength"},
		{"length", `{"maxLength":"3"}`, "#/maxLength"},
		{"bound", `{"minimum":"3"}`, "#/minimum"},
		{"bound", `{"minimum":1e999999999}`, "#/minimum"},
		{"pattern", `{"pattern":"("}`, "#/pattern"},
		{"pattern", `{"pattern":3}`, "#/pattern"},
		{"multiple", `{"type":"integer","multipleOf":0}`, "#/multipleOf"},
		{"prefix", `{"prefixItems":3}`, "#/prefixItems"},
		{"twice", `{"type":"object","type":"string"}`, "twice"},
		{"reference", `{"$ref":"#/$defs/x"}`, "leads nowhere"},
		{"reference", `{"$ref":"https://example.org/s.json"}`, "#/$ref"},
		{"reference", `{"$ref":3}`, "#/$ref"},
		{"reference into itself", `{"$ref":"#/$ref"}`, "found a text"},
		{"nothing fits", `false`, "no value is allowed"},
		{"nothing fits", `{"type":"string","allOf":[{"type":"integer"}]}`, "no value is allowed"},
		{"nothing fits", `{"enum":["a"],"type":"integer"}`, "no value is allowed"},
		{"nothing fits", `{"type":"object","properties":{"a":false},"required":["a"]}`, "no value is allowed"},
		{"nothing fits", `{"type":"array","minItems":3,"maxItems":2}`, "no value is allowed"},
		{"nothing fits", `{"type":"integer","minimum":3,"maximum":2}`, "no value is allowed"},
		{"no finite value", `{"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]}`, "no value is allowed"},
		{"only itself", `{"anyOf":[{"$ref":"#"}]}`, "no value is allowed"},
		{"many ways back", `{"properties":{` + names(1000, `"p%[1]d":{"$ref":"#/$defs/d%[1]d"}`) + `},"$defs":{` + chain(1000) + `"d1000":{"allOf":[` + names(1000, `{"title":"%d","$ref":"#/$defs/d0"}`) + `]}}}`, "too much work"},
		{"deep", deep, "nested more than"},
		{"deeper", strings.Repeat(`[`, 100000), "nested more than"},
		{"deep value", `{"const":` + strings.Repeat(`[`, 110) + strings.Repeat(`]`, 110) + `}`, "deep"},
		{"large", `{"description":"` + strings.Repeat("x", MaxSchemaBytes) + `"}`, "limit"},
		{"huge enum", `{"enum":[` + names(20000, `"%09d"`) + `]}`, ""},
		{"huge enum of objects", `{"enum":[` + names(15000, `{"a":%d}`) + `]}`, "too large"},
		{"many properties", `{"properties":{` + names(3000, `"p%d":{}`) + `}}`, "2048"},
		{"many ways", `{"allOf":[` + names(12, `{"anyOf":[{"title":"%d","type":"string"},{"type":"integer"},{"type":"null"}]}`) + `]}`, "ways"},
		{"choices within choices", strings.Repeat(`{"anyOf":[{"type":"null"},`, 60) + `{}` + strings.Repeat(`]}`, 60), ""},
	} {
		start := time.Now()
		p, err := Schema([]byte(c.schema))
		took := time.Since(start)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, program %v, expected %q", c.name, err, p != nil, c.says)
		}
		if took > time.Minute { // a hundred times what it takes: this is about what would never end
			t.Errorf("%s: took %v", c.name, took)
		}
	}
}

// TestPatternBombs: expressions that would be large or slow are refused, or become a
// warning of a schema.
func TestPatternBombs(t *testing.T) {
	for _, c := range []struct{ pattern, says string }{
		{`(a|b)*a(a|b){20}`, "8192 states"},
		{`((a{1,100}){1,100}){1,100}`, "not supported"},
		{strings.Repeat(`(a?){100}`, 300) + "x", "too large"},
		{strings.Repeat("(", 3000) + strings.Repeat(")", 3000), ""},
		{`\p{L}{900}`, ""},
		{`(\p{L}|\p{N}|x){500}(\p{Lu}\p{Ll}){300}`, ""},
		{strings.Repeat(`(\p{L}+\d?|\p{Lu}+)*`, 40), ""},
		{strings.Repeat("a", 5000), "limit"},
		{`(?=a)b`, "not supported"},
		{`\bword\b`, "not supported"},
		{`[z-a]`, "not supported"},
		{`*`, "no regular expression"},
		{`(`, "no regular expression"},
		{`[^\x00-\x{10FFFF}]`, "no value is allowed"},
	} {
		start := time.Now()
		_, err := Regexp(c.pattern)
		took := time.Since(start)
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%.60q: error %v, expected %q", c.pattern, err, c.says)
		}
		if took > time.Minute { // a hundred times what it takes: this is about what would never end
			t.Errorf("%.60q: took %v", c.pattern, took)
		}
		t.Logf("%.60q: %v, %v", c.pattern, took, err)
	}
	p, err := Schema([]byte(`{"type":"string","pattern":"(a|b)*a(a|b){20}"}`))
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "8192 states") {
		t.Errorf("%v, %v", p, err)
	}
}

// TestAmbiguity: schemas that can be read in very many ways at once take bounded memory
// and time, and their texts still come to an end.
func TestAmbiguity(t *testing.T) {
	v := testVocabulary()
	double := `{"$defs":{"a":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/a"}},{"type":"array","maxItems":5,"items":{"$ref":"#/$defs/a"}},{"type":"integer"}]}},"$ref":"#/$defs/a"}`
	lengths := `{"anyOf":[`
	for i := range 200 {
		lengths += fmt.Sprintf(`{"type":"string","maxLength":%d},`, i)
	}
	lengths += `{"type":"null"}]}`
	properties := `{"type":"object","properties":{`
	for i := range 1000 {
		properties += fmt.Sprintf(`"property%d":{"type":"integer"},`, i)
	}
	properties += `"last":{"type":"null"}}}`
	for _, schema := range []string{double, lengths, properties} {
		p, err := Schema([]byte(schema))
		if err != nil {
			t.Fatal(err)
		}
		g := p.Grammar(v)
		check := validator(t, schema)
		start := time.Now()
		for i := range 4 {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			if text, ok := walk(t, g, rng, 300); ok {
				if err := valid(check, text); err != nil {
					t.Errorf("%.100s: %v", text, err)
				}
			}
		}
		g.mu.Lock()
		kept := g.kept
		g.mu.Unlock()
		if kept > 8*MaxKept {
			t.Errorf("%.60s: keeps %d bytes", schema, kept)
		}
		t.Logf("%.60s: %v, %d bytes kept", schema, time.Since(start), kept)
	}
}

// TestForget: what is given up is found again, with the same answers.
func TestForget(t *testing.T) {
	p, err := Schema([]byte(cases[12].schema))
	if err != nil {
		t.Fatal(err)
	}
	v := testVocabulary()
	for i := range 20 {
		g := p.Grammar(v)
		want, _ := walk(t, g, rand.New(rand.NewPCG(uint64(i), 3)), 300)
		h := p.Grammar(v)
		m := h.Matcher([]int{0})
		a, b := make([]float32, len(v.texts)), make([]float32, len(v.texts))
		n := g.Matcher([]int{0})
		for k := range len(want) {
			clear(a)
			clear(b)
			h.mu.Lock()
			h.forget()
			h.mu.Unlock()
			if m.Apply(a) != nil || n.Apply(b) != nil {
				t.Fatal("stuck")
			}
			for id := range a {
				if a[id] != b[id] {
					t.Fatalf("behind %q, token %q: %v and %v", want[:k], v.texts[id], a[id], b[id])
				}
			}
			if err := m.Accept(int(want[k]) + 1); err != nil {
				t.Fatal(err)
			}
			n.Accept(int(want[k]) + 1)
		}
	}
}
