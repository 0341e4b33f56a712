package constrain

import (
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzSchema: no schema panics or takes long, and what is written fits the schema where
// nothing of it is named as not enforced.
func FuzzSchema(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.schema), uint64(1))
	}
	v := testVocabulary()
	f.Fuzz(func(t *testing.T, schema []byte, seed uint64) {
		start := time.Now()
		p, err := Schema(schema)
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("took %v", took)
		}
		if err != nil {
			return
		}
		text, ok := walk(t, p.Grammar(v), rand.New(rand.NewPCG(seed, 0)), 120)
		if !ok || len(p.Warnings) > 0 {
			return
		}
		check, err := compileValidator(string(schema))
		if err != nil { // the validator has no words for it
			return
		}
		if err := valid(check, text); err != nil && !cyclic(err) {
			t.Errorf("%s of %s: %v", text, schema, err)
		}
	})
}

// FuzzRegexp: no expression panics or takes long, and what is written matches.
func FuzzRegexp(f *testing.F) {
	for _, s := range []string{`a*b+c?`, `[^a-z]{2,3}`, `(?i)x|\d\/\u00e9`, `\S\s\w.`, `^a$`, `(a|b)*a(a|b){5}`} {
		f.Add(s, uint64(1))
	}
	v := testVocabulary()
	f.Fuzz(func(t *testing.T, pattern string, seed uint64) {
		p, err := Regexp(pattern)
		if err != nil {
			return
		}
		walk(t, p.Grammar(v), rand.New(rand.NewPCG(seed, 0)), 60)
	})
}
