package specquant

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/plural"
)

// ReadTable reads a [Table] from the file that the command compare has written with --json.
// [Table.Failed] and [Row.Made] are not read.
func ReadTable(path string) (*Table, error) {
	t, err := compare.Read(path)
	if err != nil {
		return nil, err
	}
	return newTable(t), nil
}

// Measured is what a comparison has measured of a [Choice].
type Measured struct {
	Perplexity   float64 `json:"ppl"`
	PerplexitySE float64 `json:"ppl_se"` // standard error
	KL           float64 `json:"kl"`     // divergence from full precision, nats a token
	KLSE         float64 `json:"kl_se"`
}

// sameBits is how much the bits per weight of two settings may differ that are the same: the
// table's rows count padding and branches to the byte, a plan about.
const sameBits = 0.05

// recipeName is the name of a recipe that a table calls by the path of its file.
func recipeName(in string) string { return strings.TrimSuffix(filepath.Base(in), ".yaml") }

// AddMeasured fills in [Choice].Measured from the rows of a table of the same model that are of
// the plan's recipe, and returns how many of the choices it has found. It is an error if the
// table is of another model, as far as its size tells.
func (p *Plan) AddMeasured(t *Table) (found int, err error) {
	_, others, _ := strings.Cut(p.Bits, "-") // of activations and cache
	for _, r := range t.Rows {
		m := &Measured{r.Perplexity.Mean, r.Perplexity.StdErr, r.KL.Mean, r.KL.StdErr}
		if r.Recipe == FullPrecision {
			if r.Bytes != p.Read {
				return found, fmt.Errorf("the table is of another model: its weights take %s, those of this one %d; compare this one", plural.Of(r.Bytes, "byte"), p.Read)
			}
			p.Choices.All[0].Measured = m
			found++
			continue
		}
		_, err := ParseBits(r.Bits)
		filled := err != nil && r.Bits != AsItIs // a size, or the recipe's own bits
		var nearest *Choice
		for i := range p.Choices.All {
			c := &p.Choices.All[i]
			off := func(c *Choice) float64 { return math.Abs(c.BitsPerWeight - r.BitsPerWeight) }
			if recipeName(r.Recipe) == p.Recipe && (c.Filled && filled || !c.Filled && r.Bits == fmt.Sprintf("%d-%s", c.Bits, others)) && off(c) <= sameBits && (nearest == nil || off(c) < off(nearest)) {
				nearest = c
			}
		}
		if nearest != nil && nearest.Measured == nil {
			nearest.Measured = m
			found++
		}
	}
	return found, nil
}
