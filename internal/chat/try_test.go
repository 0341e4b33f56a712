package chat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A template that can make no prompt of a question is found before there is one.
func TestTry(t *testing.T) {
	for _, c := range []struct{ name, source, err string }{
		{"plain", `{% for m in messages %}{{ m.content }}{% endfor %}`, ""},
		{"of lists", `{% for m in messages %}{{ m['role'] }}: {{ m['content'] | trim }}{% endfor %}`, ""},
		{"no system message", `{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}`, ""},
		{"only with a system message", `{% if messages[0].role != 'system' %}{{ raise_exception('needs one') }}{% endif %}{{ messages[1].content }}`, ""},
		{"empty", ``, "the question is not part of the result"},
		{"a constant", `Hi`, `the question is not part of the result, "Hi"`},
		{"unknown filter", `{{ messages | nosuch }}`, `unknown filter "nosuch"`},
		{"undefined", `{{ messages.foo.bar }}`, "undefined"},
		{"division by zero", `{{ 1 / 0 }}`, "division by zero"},
		{"refuses all", `{{ raise_exception('never') }}`, "never"},
		{"endless", `{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}`, "does too much"},
		{"an unknown function", `{{ nosuch(messages) }}`, "nosuch"},
	} {
		tmpl, err := New(Source{Templates: map[string]string{"default": c.source}, From: "f.jinja"})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := tmpl.Try(t.Context()); c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "f.jinja")) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

// What is no text is no template, and what stands for a special token must be a token.
func TestDamagedTemplates(t *testing.T) {
	for _, c := range []struct{ name, file, content, err string }{
		{"byte order mark", "chat_template.jinja", "\xef\xbb\xbf{{ messages[0].content }}", "begins with a byte order mark"},
		{"Latin-1", "chat_template.jinja", "caf\xe9{{ messages[0].content }}", "is not UTF-8: byte 3 is 0xe9"},
		{"NUL", "chat_template.jinja", "a\x00b{{ messages[0].content }}", "byte 1 is NUL"},
		{"token", "tokenizer_config.json", `{"chat_template":"x","pad_token":7}`, `field "pad_token": found 7, expected a token`},
		{"token", "tokenizer_config.json", `{"chat_template":"x","bos_token":["a"]}`, `"bos_token": found ["a"], expected a token`},
		{"token", "special_tokens_map.json", `{"unk_token":true}`, `"unk_token": found true, expected a token`},
		{"fine", "tokenizer_config.json", `{"chat_template":"x","pad_token":null,"bos_token":{"content":"<s>"},"eos_token":"</s>","add_bos_token":true,"legacy_token":7}`, ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if c.file == "special_tokens_map.json" {
			if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Load(dir)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), c.file)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}
