package grad

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Logits fills dst [to−from × vocab] with the teacher's logits for the rows
// from … to−1.
type Logits func(dst []float32, from, to int)

// HeadLogits computes a teacher's logits x·headᵀ on demand from its last hidden states x
// [rows × hidden] (after the final norm) and its output matrix [vocab × hidden].
func HeadLogits(p *parallel.Pool, x, head *Var) Logits {
	return func(dst []float32, from, to int) {
		n, k := head.Rows, head.Cols
		float.MatMulNT(p, dst, n, x.Data[from*k:], k, head.Data, k, to-from, n, k, false)
	}
}

// KL is the divergence KL(teacher ‖ student) of the next-token distribution, averaged over
// the rows, in nats. The student's logits are x·headᵀ with x [tokens × hidden] after the
// final norm and head [vocab × hidden].
//
// The product, the softmax and their gradients are one operation on a few rows at a time,
// so that the logits of all rows are never in memory together.
func (t *Tape) KL(x, head *Var, teacher Logits) *Var {
	return t.fusedHead(x, head, 3, func(buf [3][]float32, from, to int, losses []float64) {
		teacher(buf[1], from, to)
		t.rows(to-from, head.Rows, func(r int) {
			o, n := r*head.Rows, head.Rows
			losses[from+r] = klRow(buf[0][o:o+n], buf[1][o:o+n], buf[2][o:o+n])
		})
	})
}

// CrossEntropy is −log p(target), averaged over the rows, in nats, for logits x·headᵀ as in
// [Tape.KL]. Rows with a negative target are not counted.
func (t *Tape) CrossEntropy(x, head *Var, targets []int) *Var {
	demand(len(targets) == x.Rows, "%d targets for %d rows", len(targets), x.Rows)
	counted := 0
	for _, id := range targets {
		demand(id < head.Rows, "target %d in a vocabulary of %d", id, head.Rows)
		if id >= 0 {
			counted++
		}
	}
	factor := float32(x.Rows) / float32(max(counted, 1)) // fusedHead divides by all rows
	return t.fusedHead(x, head, 1, func(buf [3][]float32, from, to int, losses []float64) {
		t.rows(to-from, head.Rows, func(r int) {
			row := buf[0][r*head.Rows:][:head.Rows]
			losses[from+r] = crossEntropyRow(row, targets[from+r], factor)
		})
	})
}

// headFloats limits the memory for the logits of a block of rows; tests lower it.
var headFloats = 2 << 20

// fusedHead computes logits block by block into buf[0] and calls f, which gets `buffers`
// buffers, to write each row's loss and to replace the logits by the gradient of the loss.
func (t *Tape) fusedHead(x, head *Var, buffers int, f func(buf [3][]float32, from, to int, losses []float64)) *Var {
	demand(x.Cols == head.Cols && x.Rows > 0, "output matrix %s on %s", head.shape(), x.shape())
	rows, vocab, k := x.Rows, head.Rows, x.Cols
	block := min(rows, max(16, headFloats/max(vocab, 1)))
	var buf [3][]float32
	for i := range buffers {
		buf[i] = t.take(block * vocab)
	}
	y := t.value(1, 1, x, head)
	var dx, dh []float32
	if x.need {
		dx = t.keep(len(x.Data))
	}
	if head.need {
		dh = t.keep(len(head.Data))
	}
	losses := make([]float64, rows)
	for from := 0; from < rows; from += block {
		n := min(block, rows-from)
		part := buf
		for i := range buffers {
			part[i] = buf[i][:n*vocab]
		}
		float.MatMulNT(t.Pool, part[0], vocab, x.Data[from*k:], k, head.Data, k, n, vocab, k, false)
		f(part, from, from+n, losses)
		if dx != nil {
			float.MatMulNN(t.Pool, dx[from*k:], k, part[0], vocab, head.Data, k, n, k, vocab, false)
		}
		if dh != nil {
			float.MatMulTN(t.Pool, dh, k, part[0], vocab, x.Data[from*k:], k, vocab, k, n, from > 0)
		}
	}
	for i := range buffers {
		t.give(buf[i])
	}
	var sum float64
	for _, v := range losses {
		sum += v
	}
	y.Data[0] = float32(sum / float64(rows))
	t.record(y, func() {
		t.addScaled(x, dx, y.Grad[0]/float32(rows))
		t.addScaled(head, dh, y.Grad[0]/float32(rows))
	})
	return y
}

// addScaled adds f·g to the gradient of v, if g is not nil.
func (t *Tape) addScaled(v *Var, g []float32, f float32) {
	if g == nil {
		return
	}
	dst := t.gradient(v)
	t.elements(len(g), func(from, to int) { float.Axpy(dst[from:to], f, g[from:to]) })
}

// klRow returns the divergence of one row and replaces the student's logits s by its
// gradient, p − p_teacher. teacher and d are overwritten.
func klRow(s, teacher, d []float32) float64 {
	for i, v := range teacher {
		d[i] = v - s[i]
	}
	ls, sums := exponentials(s)
	lt, sumt := exponentials(teacher)
	var kl float64
	fs, ft := float32(1/sums), float32(1/sumt)
	for i, v := range teacher {
		kl += float64(v) * float64(d[i])
		s[i] = s[i]*fs - v*ft
	}
	return kl/sumt + ls - lt
}

// crossEntropyRow returns −log p(target) and replaces the logits by its gradient times
// factor.
func crossEntropyRow(s []float32, target int, factor float32) float64 {
	if target < 0 {
		clear(s)
		return 0
	}
	own := float64(s[target])
	l, sum := exponentials(s)
	f := factor / float32(sum)
	for i := range s {
		s[i] *= f
	}
	s[target] -= factor
	return float64(factor) * (l - own)
}

// exponentials replaces x by exp(x − max x) and returns log Σ exp(x) and the sum of the new
// values.
func exponentials(x []float32) (logSum, sum float64) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	for i := range x {
		x[i] -= top
	}
	float.Exp(x)
	for _, v := range x {
		sum += float64(v)
	}
	return float64(top) + math.Log(sum), sum
}
