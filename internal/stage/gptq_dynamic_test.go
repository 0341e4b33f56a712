package stage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestDynamicGroups: every group's steps are those of the weights as the
// reference has them when the group's turn comes, and the integers are the
// reference's on those steps.
func TestDynamicGroups(t *testing.T) {
	inline := (*parallel.Pool)(nil).Run
	for _, c := range []struct {
		rows, n int
		g       quant.Grid
		clip    quant.Clip
	}{
		{5, 96, quant.Grid{Bits: 4, Group: 32}, quant.ClipNone},
		{3, 300, quant.Grid{Bits: 3, Group: 64, Zero: quant.ZeroAsymmetric}, quant.ClipNone},
		{35, 160, quant.Grid{Bits: 2, Group: 128, Zero: quant.ZeroCentred}, quant.ClipNone},
		{4, 130, quant.Grid{Bits: 4, Group: 32, Zero: quant.ZeroAsymmetric}, quant.ClipHessian},
		{2, 40, quant.Grid{Bits: 4}, quant.ClipNone},
	} {
		t.Run(fmt.Sprintf("%d×%d %+v", c.rows, c.n, c.g), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, uint64(c.n)))
			h := gram(correlated(rng, 3*c.n, c.n), c.n)
			w := randomMatrix(rng, c.rows*c.n)
			s := recipe.Solve{Method: "gptq", Damp: 0.01, DynamicGroups: true}
			f, err := NewFactor(nil, slices.Clone(h), c.n, s)
			if err != nil {
				t.Fatal(err)
			}
			var d []float64
			if c.clip == quant.ClipHessian {
				for i := range c.n {
					d = append(d, h[i*c.n+i])
				}
			}
			q := make([]int8, len(w))
			steps, err := f.GPTQDynamic(nil, c.g, q, w, d, c.clip, c.rows)
			if err != nil {
				t.Fatal(err)
			}
			width, groups := c.n, c.g.Groups(c.n)
			if groups > 1 {
				width = c.g.Group
			}
			moved := 0
			static, err := c.g.WeightedScales(w, d, c.rows, c.n, c.clip, inline)
			if err != nil {
				t.Fatal(err)
			}
			want, at := referenceSeen(h, c.n, s, c.g, w, steps, c.rows, func(column int, v []float64) {
				if column%width != 0 {
					return
				}
				end := min(column+width, c.n)
				for r := range c.rows {
					part := make([]float32, end-column)
					for i := range part {
						part[i] = float32(v[r*c.n+column+i])
					}
					var weigh []float64
					if d != nil {
						weigh = d[column:end]
					}
					one, err := c.g.WeightedScales(part, weigh, 1, len(part), c.clip, inline)
					if err != nil {
						t.Fatal(err)
					}
					k := r*groups + column/width
					// Another order of sums may move a scale to the next 16-bit float,
					// and a clip search to a ratio that is as good.
					tolerance := 1.0 / 1024
					if c.clip != quant.ClipNone {
						tolerance = 0.06
					}
					if e := math.Abs(float64(steps.Scale[k]/one.Scale[0]) - 1); e > tolerance {
						t.Errorf("row %d, group %d: scale %v, the reference's weights give %v", r, column/width, steps.Scale[k], one.Scale[0])
					}
					if math.Abs(float64(steps.Scale[k]/static.Scale[k])-1) > 1e-3 {
						moved++
					}
				}
			})
			compareRows(t, q, want, at, c.rows, c.n, nil, 1e-3)
			if groups > 1 && moved == 0 {
				t.Error("no group's scale differs from the static one")
			}
			if groups == 1 && moved > 0 {
				t.Error("one group is static, whatever it is called")
			}
		})
	}
}

func TestDynamicGroupsRefuse(t *testing.T) {
	h := []float64{2, 0, 0, 1}
	f, err := NewFactor(nil, h, 2, recipe.Solve{Damp: 0.01, ActOrder: true})
	if err != nil {
		t.Fatal(err)
	}
	q := make([]int8, 2)
	if _, err := f.GPTQDynamic(nil, quant.Grid{Bits: 4}, q, []float32{1, 2}, nil, quant.ClipNone, 1); err == nil || !strings.Contains(err.Error(), "act-order") {
		t.Errorf("act-order: %v", err)
	}
	if f, err = NewFactor(nil, []float64{2, 0, 0, 1}, 2, recipe.Solve{Damp: 0.01}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.GPTQDynamic(nil, quant.Grid{Bits: 4}, q, []float32{1, float32(math.Inf(1))}, nil, quant.ClipNone, 1); err == nil || !strings.Contains(err.Error(), "row 0") {
		t.Errorf("an infinite weight: %v", err)
	}
	if _, err := f.GPTQDynamic(nil, quant.Grid{Bits: 4, Group: 16, Multiples: true}, q, []float32{1, 2}, nil, quant.ClipNone, 1); err == nil || !strings.Contains(err.Error(), "multiples") {
		t.Errorf("multiples: %v", err)
	}
}
