package grad

import (
	"math"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
)

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Schedule
		step int
		want float64
	}{
		{"cosine", Cosine(10, 0.1), 0, 1},
		{"cosine", Cosine(10, 0.1), 5, 0.55},
		{"cosine", Cosine(10, 0.1), 10, 0.1},
		{"cosine", Cosine(10, 0.1), 99, 0.1},
		{"none", nil, 7, 1},
	} {
		if got := c.s.at(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s at step %d: %v, want %v", c.name, c.step, got, c.want)
		}
	}
}

// The first two steps of AdamW by hand: with rate 0.1, decay 0.5 and gradients
// 2 and then −4.
func TestAdamWByHand(t *testing.T) {
	p := Param("p", 1, 1, []float32{1})
	a := &AdamW{Groups: []Group{{Params: []*Var{p}, Rate: 0.1, Decay: 0.5}}}
	p.Grad[0] = 2
	if err := a.Step(); err != nil {
		t.Fatal(err)
	}
	// m̂ = 2, v̂ = 4: 1·0.95 − 0.1·1.
	if d := p.Data[0] - 0.85; d > 1e-6 || d < -1e-6 || p.Grad[0] != 0 {
		t.Errorf("first step: %v, gradient %v; want 0.85, 0", p.Data[0], p.Grad[0])
	}
	p.Grad[0] = -4
	if err := a.Step(); err != nil {
		t.Fatal(err)
	}
	m, v := (0.9*0.2-0.4)/0.19, (0.999*0.004+0.016)/(1-0.999*0.999)
	want := 0.85*0.95 - 0.1*m/math.Sqrt(v)
	if d := float64(p.Data[0]) - want; math.Abs(d) > 1e-6 {
		t.Errorf("second step: %v, want %v", p.Data[0], want)
	}
}

func TestStepRefuses(t *testing.T) {
	p := Param("gamma", 2, 2, make([]float32, 4))
	p.Grad[3] = float32(math.NaN())
	groups := []Group{{Params: []*Var{p}, Rate: 1}}
	for _, err := range []error{(&AdamW{Groups: groups}).Step(), (&CayleySGD{Params: groups[0].Params}).Step()} {
		if err == nil || !strings.Contains(err.Error(), `"gamma", element [1][1], is NaN`) {
			t.Errorf("error %v", err)
		}
	}
	if err := (&CayleySGD{Params: []*Var{Filled("r", 2, 3, 1)}}).Step(); err == nil || !strings.Contains(err.Error(), "2×3") {
		t.Errorf("error %v", err)
	}
}

// rotation returns a random orthogonal matrix.
func rotation(t *testing.T, name string, n int, seed uint64) *Var {
	p := param(newRand(seed), name, n, n, 1)
	for range 2 { // a random matrix is far from orthogonal: once more for accuracy
		if err := Orthonormalize(nil, p); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestCayleySGD turns one orthogonal matrix into another, both of one
// determinant, by the squared error of what it does to data.
func TestCayleySGD(t *testing.T) {
	for _, momentum := range []float64{0, 0.5} {
		for _, n := range []int{2, 9, 32} {
			r, goal := rotation(t, "r", n, 50), rotation(t, "goal", n, 51)
			if determinant(r)*determinant(goal) < 0 {
				for c := range n {
					goal.Data[c] = -goal.Data[c]
				}
			}
			tape := &Tape{Pool: parallel.NewPool(2)}
			x := Const(4*n, n, normals(newRand(52), 4*n*n, 1))
			target := Const(4*n, n, append([]float32(nil), tape.MulNN(x, goal).Data...))
			const steps = 300
			c := &CayleySGD{Pool: tape.Pool, Params: []*Var{r}, Rate: 1.5, Momentum: momentum, Schedule: Cosine(steps, 0)}
			var first, last float32
			for i := range steps {
				loss := tape.MSE(tape.MulNN(x, r), target, nil)
				if last = loss.Data[0]; i == 0 {
					first = last
				}
				tape.Backward(loss)
				tape.Reset()
				if err := c.Step(); err != nil {
					t.Fatal(err)
				}
				if d := c.drift(r); d > 1e-5 {
					t.Fatalf("n = %d, step %d: r·rᵀ is %g from I", n, i, d)
				}
			}
			t.Logf("n = %d, momentum %v: loss %.3g → %.3g, r·rᵀ %.2g from I", n, momentum, first, last, c.drift(r))
			if !(last < first/100) {
				t.Errorf("n = %d, momentum %v: loss fell from %v to %v only", n, momentum, first, last)
			}
			tape.Pool.Close()
		}
	}
}

// determinant of an orthogonal matrix, by elimination.
func determinant(p *Var) float64 {
	n, m := p.Rows, wide(p.Data)
	d := 1.0
	for c := range n {
		best := c
		for r := c; r < n; r++ {
			if math.Abs(m[r*n+c]) > math.Abs(m[best*n+c]) {
				best = r
			}
		}
		if best != c {
			d = -d
			for k := range n {
				m[c*n+k], m[best*n+k] = m[best*n+k], m[c*n+k]
			}
		}
		d *= m[c*n+c]
		for r := c + 1; r < n; r++ {
			f := m[r*n+c] / m[c*n+c]
			for k := range n {
				m[r*n+k] -= f * m[c*n+k]
			}
		}
	}
	return d
}

// Learned clips and rounding of a block's weights bring its output nearer to
// that of the full-precision block: what OmniQuant and AutoRound do.
func TestLearning(t *testing.T) {
	rng := newRand(60)
	c := testConfig(32, 48, 4, 2, 8)
	s, params := randomSpec(rng, c, 16)
	for _, p := range params {
		p.need = false
	}
	tape := &Tape{Pool: parallel.NewPool(2)}
	defer tape.Pool.Close()
	x := Const(8*16, 32, normals(rng, 8*16*32, 1))
	target := Const(8*16, 32, append([]float32(nil), tape.Block(x, s).Data...))
	tape.Reset()

	learn := func(build func(w *Var, i llama.Which) *Var, step func() error, steps int) (first, last float32) {
		for i := range steps {
			spec := *s
			for w := range llama.NumLinears {
				spec.Weights[w] = build(s.Weights[w], w)
			}
			spec.Input = func(_ llama.Input, x *Var) *Var { return tape.QuantizeActivations(x, ActQuant{Bits: 8}) }
			loss := tape.MSE(tape.Block(x, &spec), target, nil)
			if last = loss.Data[0]; i == 0 {
				first = last
			}
			tape.Backward(loss)
			tape.Reset()
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		return first, last
	}
	var gamma, offset [llama.NumLinears]*Var
	var clips, offsets []*Var
	for w := range llama.NumLinears {
		out, in := w.Shape(c)
		gamma[w], offset[w] = Filled(w.String(), out, 1, 4), Filled(w.String(), out, in, 0)
		clips, offsets = append(clips, gamma[w]), append(offsets, offset[w])
	}
	adam := &AdamW{Groups: []Group{{Params: clips, Rate: 0.05}}, Schedule: Cosine(60, 0.1)}
	first, last := learn(func(w *Var, i llama.Which) *Var {
		return tape.QuantizeWeights(w, WeightQuant{Bits: 3, ClipHi: tape.Sigmoid(gamma[i])})
	}, adam.Step, 60)
	t.Logf("clips: %.4g → %.4g", first, last)
	if !(last < 0.9*first) {
		t.Errorf("learned clips: loss %v → %v", first, last)
	}
	rounding := &AdamW{Groups: []Group{{Params: offsets, Rate: 1.0 / 60, Low: -0.5, High: 0.5}}, Schedule: Cosine(60, 0)}
	first, last = learn(func(w *Var, i llama.Which) *Var {
		return tape.QuantizeWeights(w, WeightQuant{Bits: 3, Offset: offset[i]})
	}, rounding.Step, 60)
	t.Logf("rounding: %.4g → %.4g", first, last)
	if !(last < 0.7*first) {
		t.Errorf("learned rounding: loss %v → %v", first, last)
	}
}
