package grad

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
)

// Attend describes the shape of an attention.
type Attend struct {
	Heads, KVHeads int // KVHeads divides Heads
	Window         int // tokens in a sequence; rows are whole sequences, one after another
	Sliding        int // a query attends to this many positions up to its own; 0: all
}

// queryRows is how many queries of a head are scored at a time: their probabilities take
// queryRows × window floats, and are recomputed in the backward pass.
const queryRows = 64

// Attention is softmax(q·kᵀ/√head_dim)·v, causal, for q [tokens × heads·dim]
// and k, v [tokens × kv_heads·dim], several sequences of one length in a batch.
func (t *Tape) Attention(q, k, v *Var, a Attend) *Var {
	demand(a.KVHeads > 0 && a.Heads%a.KVHeads == 0 && q.Cols%a.Heads == 0 && a.Window > 0 && q.Rows%a.Window == 0,
		"attention over %s with %d and %d heads, windows of %d", q.shape(), a.Heads, a.KVHeads, a.Window)
	same("attention", k, v)
	demand(k.Rows == q.Rows && k.Cols == q.Cols/a.Heads*a.KVHeads, "attention of queries %s to keys %s", q.shape(), k.shape())
	y := t.value(q.Rows, q.Cols, q, k, v)
	at := attention{Attend: a, q: q, k: k, v: v, y: y, dim: q.Cols / a.Heads}
	t.eachHead(&at, 1, at.forward)
	t.record(y, func() {
		for _, x := range []*Var{q, k, v} {
			t.gradient(x) // of a constant: computed for nothing, and released
		}
		t.eachHead(&at, 2, at.backward)
		for _, x := range []*Var{q, k, v} {
			if !x.need {
				t.give(x.Grad)
				x.Grad = nil
			}
		}
	})
	return y
}

type attention struct {
	Attend
	q, k, v, y *Var
	dim        int
}

// span is a range of queries of one head and the keys that they attend to.
type span struct {
	first, n   int // queries: positions in the sequence
	from, keys int // keys: positions in the sequence
	q, k       int // offsets of query `first` and key `from` in their matrices
}

// eachHead runs f for each kv head of each sequence, with scratch memory for `matrices`
// matrices [queryRows × window].
func (t *Tape) eachHead(a *attention, matrices int, f func(seq, head int, scratch []float32)) {
	size := matrices * min(queryRows, a.Window) * a.Window
	free := make(chan []float32, t.Pool.Threads())
	for range t.Pool.Threads() {
		free <- t.take(size)
	}
	t.Pool.Run(a.q.Rows/a.Window*a.KVHeads, func(i int) {
		s := <-free
		f(i/a.KVHeads, i%a.KVHeads, s)
		free <- s
	})
	for range t.Pool.Threads() {
		t.give(<-free)
	}
}

// spans calls f for the queries that share a kv head, in a fixed order.
func (a *attention) spans(seq, kvHead int, f func(s span)) {
	group := a.Heads / a.KVHeads
	for h := kvHead * group; h < (kvHead+1)*group; h++ {
		for first := 0; first < a.Window; first += queryRows {
			s := span{first: first, n: min(queryRows, a.Window-first)}
			if a.Sliding > 0 {
				s.from = max(0, first+1-a.Sliding)
			}
			s.keys = first + s.n - s.from
			s.q = (seq*a.Window+first)*a.q.Cols + h*a.dim
			s.k = (seq*a.Window+s.from)*a.k.Cols + kvHead*a.dim
			f(s)
		}
	}
}

// probabilities computes the attention probabilities p [n × keys].
func (a *attention) probabilities(p []float32, s span) {
	float.MatMulNT(inline, p, s.keys, a.q.Data[s.q:], a.q.Cols, a.k.Data[s.k:], a.k.Cols, s.n, s.keys, a.dim, false)
	for i := range s.n {
		row := p[i*s.keys:][:s.keys]
		to := s.first + i + 1 - s.from
		from := 0
		if a.Sliding > 0 {
			from = max(0, to-a.Sliding)
		}
		clear(row[:from])
		float.Softmax(row[from:to], a.scale())
		clear(row[to:])
	}
}

func (a *attention) scale() float32 { return float32(1 / math.Sqrt(float64(a.dim))) }

func (a *attention) forward(seq, head int, p []float32) {
	a.spans(seq, head, func(s span) {
		a.probabilities(p, s)
		float.MatMulNN(inline, a.y.Data[s.q:], a.y.Cols, p, s.keys, a.v.Data[s.k:], a.v.Cols, s.n, a.dim, s.keys, false)
	})
}

// backward: dv = pᵀ·dy, dp = dy·vᵀ, ds = p·(dp − Σ p·dp)·scale, dq = ds·k,
// dk = dsᵀ·q.
func (a *attention) backward(seq, head int, scratch []float32) {
	p, dp := scratch[:len(scratch)/2], scratch[len(scratch)/2:]
	qc, kc := a.q.Cols, a.k.Cols
	a.spans(seq, head, func(s span) {
		dy := a.y.Grad[s.q:]
		a.probabilities(p, s)
		float.MatMulTN(inline, a.v.Grad[s.k:], kc, p, s.keys, dy, qc, s.keys, a.dim, s.n, true)
		float.MatMulNT(inline, dp, s.keys, dy, qc, a.v.Data[s.k:], kc, s.n, s.keys, a.dim, false)
		for i := range s.n {
			softmaxGradient(dp[i*s.keys:][:s.keys], p[i*s.keys:][:s.keys], a.scale())
		}
		float.MatMulNN(inline, a.q.Grad[s.q:], qc, dp, s.keys, a.k.Data[s.k:], kc, s.n, a.dim, s.keys, true)
		float.MatMulTN(inline, a.k.Grad[s.k:], kc, dp, s.keys, a.q.Data[s.q:], qc, s.keys, a.dim, s.n, true)
	})
}

// softmaxGradient converts the gradient dp of probabilities to that of scores, in place.
func softmaxGradient(dp, p []float32, scale float32) {
	var dot float64
	for i, v := range p {
		dot += float64(v * dp[i])
	}
	d := float32(dot)
	for i, v := range p {
		dp[i] = v * (dp[i] - d) * scale
	}
}
