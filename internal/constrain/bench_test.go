package constrain

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
	"github.com/specquant/specquant/internal/tokenizer"
)

// BenchmarkMask measures the masks of a schema's texts with a vocabulary as large as real
// ones: fresh, each constraint's states are not known yet; warm, they are. A folder with
// another tokenizer may be named by SPECQUANT_CONSTRAIN_TOKENIZER.
func BenchmarkMask(b *testing.B) {
	dir := os.Getenv("SPECQUANT_CONSTRAIN_TOKENIZER")
	if dir == "" {
		dir = filepath.Join(testdata.Path(b, "tokenizers"), "llama3")
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		b.Fatal(err)
	}
	texts := make([]string, tok.VocabSize())
	for id := range texts {
		texts[id] = tok.Text(id)
	}
	v := NewVocabulary(texts, false)
	b.Logf("%d tokens, %d and %d nodes", len(texts), len(v.all.nodes), len(v.rest.nodes))
	schemas := map[string]string{
		"person": `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"email":{"type":"string","format":"email"},"tags":{"type":"array","items":{"type":"string","maxLength":20},"maxItems":5},"address":{"type":"object","properties":{"street":{"type":"string"},"city":{"enum":["Paris","Rome","Berlin"]}},"required":["street","city"]}},"required":["name","age","email","tags","address"]}`,
		"any":    `true`,
	}
	sample := `{"name": "Ada Lovelace, Countess", "age": 36, "email": "ada@example.org", "tags": ["mathematics", "first programmer", "poet"], "address": {"street": "12 St James's Square, near the corner", "city": "Paris"}}`
	ids, err := tok.EncodeOrdinary(sample)
	if err != nil {
		b.Fatal(err)
	}
	for name, schema := range schemas {
		p, err := Schema([]byte(schema))
		if err != nil {
			b.Fatal(err)
		}
		write := func(b *testing.B, g *Grammar) {
			m := g.Matcher(nil)
			for _, id := range ids {
				m.enter()
				g.mask(m.at)
				g.mu.Unlock()
				if err := m.Accept(id); err != nil {
					b.Fatal(err)
				}
			}
		}
		perToken := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(ids)), "µs/token")
		}
		b.Run(name+"/fresh", func(b *testing.B) {
			for range b.N {
				write(b, p.Grammar(v))
			}
			perToken(b)
		})
		b.Run(name+"/warm", func(b *testing.B) {
			g := p.Grammar(v)
			write(b, g)
			b.ResetTimer()
			for range b.N {
				write(b, g)
			}
			perToken(b)
		})
		b.Run(name+"/compile", func(b *testing.B) {
			for range b.N {
				if _, err := Schema([]byte(schema)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("apply", func(b *testing.B) {
		p, _ := Schema([]byte(`true`))
		m := p.Grammar(v).Matcher(nil)
		logits := make([]float32, len(texts))
		for _, id := range ids[:4] {
			m.Accept(id)
		}
		for range b.N {
			if err := m.Apply(logits); err != nil {
				b.Fatal(err)
			}
		}
	})
}
