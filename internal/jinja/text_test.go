package jinja

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestProvenance renders every golden template and snippet with words of the
// conversation in Cyrillic letters, which stand in no template, and expects exactly
// those to be marked as the user's, whatever was done to them on the way.
func TestProvenance(t *testing.T) {
	g := readGoldens(t, "testdata/goldens.json")
	vars := map[string]any{
		"text": "Привет, Мир", "padded": "  а б\tв \n", "empty": "", "n": 7, "f": 2.5, "yes": true, "no": false, "none": nil,
		"items": []string{"б", "а", "Ц", "а"}, "nums": []int{3, 1, 2}, "uni": "юэя", "lines": "раз\n\nдва\r\nтри",
		"nested": []map[string]any{{"k": "ы", "v": 1}, {"k": "э", "v": 2}},
		"d":      map[string]any{"b": 1, "a": []any{1, "ж"}, "ключ": "зна'ч"},
		"messages": []map[string]any{{"role": "system", "content": " Будь краток\n"}, {"role": "user", "content": "Что <|это|>?"},
			{"role": "assistant", "content": "<think>\nдумаю\n</think>\n\nНичего", "reasoning_content": "мысль", "tool_calls": []any{map[string]any{"id": "ид", "function": map[string]any{"name": "имя", "arguments": map[string]any{"арг": "зна\"чение", "ещё": []int{1}}}}}},
			{"role": "tool", "content": "итог", "tool_call_id": "ид"}, {"role": "user", "content": "ещё"}},
		"add_generation_prompt": true, "bos_token": "", "eos_token": "",
		"tools": []any{map[string]any{"type": "function", "function": map[string]any{"name": "имя", "description": "опи\nсание", "parameters": map[string]any{"type": "object", "properties": map[string]any{"арг": map[string]any{"type": "string", "description": "что", "enum": []string{"один", "два"}}}, "required": []string{"арг"}}}}},
	}
	data, err := json.Marshal(vars)
	if err != nil {
		t.Fatal(err)
	}
	sources := []string{
		"{{ text|upper }}{{ text|title }}{{ text[::-1] }}{{ text[2:5] }}{{ text|reverse }}{{ text|list|join('-') }}{{ text * 3 }}{{ text.center(30, '*') }}",
		"{{ '%s|%10s|%r' % (text, text, text) }}{{ '{} {!r:>4} {x}'.format(text, text, x=text) }}{{ text.replace('и', 'yy').replace('М', text) }}",
		"{{ text|escape }}{{ ('<'|safe) + text }}{{ lines|indent(3) }}{{ [text]|string }}{{ {'k': text}|tojson(ensure_ascii=false, indent=1) }}",
		"{% set x %}{{ text }}!{% endset %}{{ x|trim }}{% macro m(a) %}<{{ a }}>{{ caller() }}{% endmacro %}{% call m(text) %}{{ text }}{% endcall %}{% filter lower %}A{{ text }}{% endfilter %}",
		"{{ text.split('и') }}{{ padded.split() }}{{ text.partition(',') }}{{ text.rsplit(None, 1) }}{{ lines.splitlines() }}{{ text.strip('П') }}{{ text.zfill(40) }}{{ text.removeprefix('При') }}",
	}
	for _, s := range g.Snippets {
		sources = append(sources, s.Source)
	}
	for _, tm := range g.Templates {
		sources = append(sources, tm.Source)
	}
	marked := 0
	for _, source := range sources {
		got, err := renderJSON(t, source, data)
		if err != nil {
			continue // as TestGoldens has it
		}
		s, at := got.String(), 0
		user := make([]bool, len(s))
		for _, u := range got.User() {
			if u.From < at || u.To <= u.From || u.To > len(s) {
				t.Fatalf("%s: spans %v of %d bytes", source, got.User(), len(s))
			}
			at = u.To
			for i := u.From; i < u.To; i++ {
				user[i] = true
			}
		}
		for i, c := range s {
			if strings.ContainsRune("АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюяё", c) {
				marked++
				if !user[i] || !user[i+1] {
					t.Errorf("%s: %q at byte %d is not marked in %q", source, c, i, s)
				}
			} else if user[i] && strings.ContainsRune("{}[];*-", c) {
				t.Errorf("%s: %q at byte %d is marked in %q", source, c, i, s)
			}
		}
	}
	if marked < 500 {
		t.Errorf("%d letters seen, expected at least 500", marked)
	}
}

func TestSlice(t *testing.T) {
	a := concat(concat(Template("ab"), User("cd")), concat(Template("ef"), User("gh")))
	for from := range 9 {
		for to := from; to <= 8; to++ {
			got := a.slice(from, to)
			want := make([]bool, to-from)
			for _, u := range got.User() {
				for i := u.From; i < u.To; i++ {
					want[i] = true
				}
			}
			for i := range want {
				if k := from + i; want[i] != (k == 2 || k == 3 || k >= 6) {
					t.Fatalf("slice %d:%d: %v", from, to, got.User())
				}
			}
		}
	}
}
