package stage

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
	"github.com/specquant/specquant/internal/tokenizer"
)

// TestSearchAWQ: the exponent that is chosen for down has the least error in a
// direct computation in float64, and the parts of the block that outputs are
// compared of are those of the block.
func TestSearchAWQ(t *testing.T) {
	const calibration = "The quick brown fox jumps over the lazy dog; 12345 sphinxes of quartz judge my vow. "
	r, err := recipe.Parse([]byte("name: test\nbits: 4-16-16\nweights: {group: 32, zero: asymmetric}\nsmooth: {method: awq}\nsolve: {method: rtn}\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := testmodel.Write(dir, testmodel.Options{Heads: 4, KVHeads: 4, HeadDim: 8, Bias: true}); err != nil {
		t.Fatal(err)
	}
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode(strings.Repeat(calibration, 4), true)
	if err != nil {
		t.Fatal(err)
	}
	const tokens = 32
	windows := [][]int{ids[:tokens], ids[tokens:][:tokens], ids[2*tokens:][:tokens], ids[3*tokens:][:tokens]}
	pool := parallel.NewPool(2)
	defer pool.Close()
	st, err := New(&ck.Config, r, pool, len(windows), tokens)
	if err != nil {
		t.Fatal(err)
	}
	if st.Inputs, err = st.Fill(ck, windows, ""); err != nil {
		t.Fatal(err)
	}
	defer st.Inputs.Close()
	if err := st.Load(ck, 0); err != nil {
		t.Fatal(err)
	}
	if err := st.Gather(t.Context(), -1, nil); err != nil {
		t.Fatal(err)
	}
	for in := range llama.NumInputs {
		pieces, size := st.partOutputs(in)
		outputs := func(replaced map[llama.Which]*llama.Dense) ([]float32, error) {
			all := make([]float32, 0, size)
			err := pieces(replaced, func(at int, y []float32) {
				if at != len(all) {
					t.Errorf("input of %s: a piece at %d after %d values", in, at, len(all))
				}
				all = append(all, y...)
			})
			if len(all) != size {
				t.Errorf("input of %s: %d values, %d were promised", in, len(all), size)
			}
			return all, err
		}
		exact, err := outputs(nil)
		if err != nil {
			t.Fatal(err)
		}
		same, other := map[llama.Which]*llama.Dense{}, map[llama.Which]*llama.Dense{}
		l := in.Readers()[len(in.Readers())-1]
		d := st.Block.Linears[l]
		same[l] = &d
		y, err := outputs(same)
		if err != nil || Relative(exact, y) != 0 {
			t.Errorf("input of %s: its own layer changes the output by %v, %v", in, Relative(exact, y), err)
		}
		twice := d
		twice.W = append([]float32(nil), d.W...)
		for i := range twice.W {
			twice.W[i] *= 1.01
		}
		other[l] = &twice
		if y, err = outputs(other); err != nil || Relative(exact, y) == 0 || Relative(exact, y) > 0.1 {
			t.Errorf("input of %s: 1 %% more weight changes the output by %v, %v", in, Relative(exact, y), err)
		}
	}

	said, lambda, err := st.searchAWQ(t.Context(), llama.DownInput)
	if err != nil {
		t.Fatal(err)
	}
	d, s := &st.Block.Linears[llama.Down], st.Stats[llama.DownInput]
	least, best := math.Inf(1), -1
	for i, ratio := range AWQRatios() {
		lambda := AWQScale(s.Act(nil).MeanAbs, ratio)
		rounded := make([]float32, len(d.W))
		if err := AWQRound(nil, st.grid(llama.Down), rounded, make([]int8, len(d.W)), d.W, lambda, d.Out, d.In); err != nil {
			t.Fatal(err)
		}
		var e float64
		for tok := range s.SampleTokens() {
			for r := range d.Out {
				var y float64
				for c := range d.In {
					y += float64(s.Sample[tok*d.In+c]) * (float64(rounded[r*d.In+c]) - float64(d.W[r*d.In+c]))
				}
				e += y * y
			}
		}
		if e < least {
			least, best = e, i
		}
	}
	ratio := AWQRatios()[best]
	want := AWQScale(s.Act(nil).MeanAbs, ratio)
	for i, v := range want {
		if lambda[i] != v {
			t.Fatalf("chose %s, the direct computation %.2f", said, ratio)
		}
	}
}

// What AWQ's trials take of the worker's rooms is not counted twice, and what does
// not fit there is counted.
func TestSpareRooms(t *testing.T) {
	a, b := make([]float32, 10), make([]float32, 6)
	rooms := spareBuffers{a, b}
	var got [][]float32
	for i, n := range []int{6, 5, 4, 2} {
		s := rooms.take(n)
		if len(s) != n {
			t.Fatalf("asked for %d, got %d", n, len(s))
		}
		for k := range s {
			if s[k] != 0 {
				t.Errorf("room %d overlaps another", i)
			}
			s[k] = float32(i + 1)
		}
		got = append(got, s)
	}
	if &got[0][0] != &a[0] || &got[2][0] != &a[6] || &got[1][0] != &b[0] || slices.Contains(a, 4) || slices.Contains(b, 4) {
		t.Error("rooms are not where there is place")
	}
}

// TestAWQBytes: what AWQ's trials take of the scratch memory is not counted twice, and
// what does not fit there is counted.
func TestAWQBytes(t *testing.T) {
	square := &checkpoint.Config{HiddenSize: 8, IntermediateSize: 8, Heads: 1, KVHeads: 1, HeadDim: 8}
	if o, i := llama.Q.Shape(square); o*i != 64 {
		t.Fatal("shape")
	}
	// Three readers of 64 weights in rooms of 64 each: one does not fit.
	if got := awqBytes(Shape{Config: square, Windows: 1, Tokens: 1}); got != 4*(8+64) {
		t.Errorf("%d bytes, want %d", got, 4*(8+64))
	}
}
