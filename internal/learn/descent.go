package learn

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/grad"
)

// descent is gradient descent over windows of calibration data.
type descent struct {
	windows Windows
	options Options
	width   int          // of a token in the windows
	groups  []grad.Group // of the parameters

	// loss is the mean loss of the tokens (rows) of x, whose targets it may overwrite. With
	// learn it adds its gradients to those of the parameters.
	loss func(x, target []float32, rows int, learn bool) float64

	x, target []float32 // of a batch
	epoch     int       // under way, from 1; 0: before the first
}

// Outcome is what training brought. Where there are two windows or more, a tenth of them,
// and at least one, is not trained on: these windows judge. The parameters kept are those
// after the epoch with the least loss on them.
type Outcome struct {
	First, Last   float64 // mean loss over the first and the last epoch, on the windows trained on
	Before, After float64 // on the windows that judge: before training, and with what was kept
	Epoch         int     // after which the parameters were kept; 0: no epoch lowered the loss, and nothing was changed
}

// judge divides the windows into those trained on and those that judge: every tenth, or the
// last of fewer than ten.
func judge(count int) (fitted, judging []int) {
	const every = 10
	for i := range count {
		if count > 1 && (i%every == every-1 || count < every && i == count-1) {
			judging = append(judging, i)
		} else {
			fitted = append(fitted, i)
		}
	}
	return fitted, judging
}

// judged trains with a step size that falls to nearly 0, and leaves the parameters at their
// best by the windows that judge, which may be where they began.
func (d *descent) judged(ctx context.Context) (out Outcome, err error) {
	fitted, judging := judge(d.windows.Count())
	if out.Before, err = d.measure(ctx, judging); err != nil {
		return out, err
	}
	best := snapshot{groups: d.groups}
	best.take()
	out.After = out.Before
	if len(judging) == 0 {
		out.After = math.Inf(1) // nothing judges: the last epoch is kept
	}
	steps := (len(fitted) + d.options.Batch - 1) / d.options.Batch
	adam := &grad.AdamW{Groups: d.groups, Schedule: grad.Cosine(steps*d.options.Epochs, 0.02), Beta2: 0.95}
	out.First, out.Last, err = d.descend(ctx, fitted, adam, func(epoch int) error {
		loss, err := d.measure(ctx, judging)
		if err == nil && (loss < out.After || len(judging) == 0) {
			out.After, out.Epoch = loss, epoch
			best.take()
		}
		return err
	})
	best.restore()
	return out, err
}

// descend passes over the windows options.Epochs times, in an order chosen by the seed, with
// a step of adam after each batch. It calls after, if there is one, when an epoch is done
// (counted from 1), and returns the mean loss of the first and the last epoch.
func (d *descent) descend(ctx context.Context, windows []int, adam *grad.AdamW, after func(epoch int) error) (first, last float64, err error) {
	order := append([]int(nil), windows...)
	rng := rand.New(rand.NewPCG(d.options.Seed, 0x7475_6e65))
	for epoch := 1; epoch <= d.options.Epochs; epoch++ {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		d.epoch = epoch
		last, err = d.pass(ctx, order, adam)
		if err == nil && after != nil {
			err = after(epoch)
		}
		if err != nil {
			return 0, 0, err
		}
		if epoch == 1 {
			first = last
		}
	}
	return first, last, nil
}

// measure is the mean loss of windows, with the parameters as they are; 0 of no windows.
func (d *descent) measure(ctx context.Context, windows []int) (float64, error) {
	return d.pass(ctx, windows, nil)
}

// pass computes the loss of windows in batches, with a step of adam, if there is one, after
// each batch, and returns the mean over the windows.
func (d *descent) pass(ctx context.Context, windows []int, adam *grad.AdamW) (mean float64, err error) {
	var sum float64
	for at := 0; at < len(windows); at += d.options.Batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		batch := windows[at:min(at+d.options.Batch, len(windows))]
		if d.options.Tell != nil && adam != nil {
			d.options.Tell(d.epoch, at, len(windows))
		}
		if err := d.load(batch); err != nil {
			return 0, err
		}
		rows := len(batch) * d.windows.Tokens()
		sum += float64(len(batch)) * d.loss(d.x[:rows*d.width], d.target[:rows*d.width], rows, adam != nil)
		if adam == nil {
			continue
		}
		if err := adam.Step(); err != nil {
			return 0, err
		}
	}
	return sum / float64(max(len(windows), 1)), nil
}

// load copies a batch of windows to x and target, one after the other.
func (d *descent) load(batch []int) error {
	size := d.windows.Tokens() * d.width
	if d.x == nil {
		d.x, d.target = make([]float32, d.options.Batch*size), make([]float32, d.options.Batch*size)
	}
	for k, i := range batch {
		x, target, err := d.windows.Window(i)
		if err != nil {
			return err
		}
		copy(d.x[k*size:], x)
		copy(d.target[k*size:], target)
	}
	return nil
}

// snapshot keeps the values of parameters.
type snapshot struct {
	groups []grad.Group
	kept   [][]float32
}

// each calls f with every parameter and its index.
func (s *snapshot) each(f func(i int, v *grad.Var)) {
	i := 0
	for _, g := range s.groups {
		for _, v := range g.Params {
			f(i, v)
			i++
		}
	}
}

// take keeps the parameters' values.
func (s *snapshot) take() {
	s.each(func(i int, v *grad.Var) {
		if i == len(s.kept) {
			s.kept = append(s.kept, make([]float32, len(v.Data)))
		}
		copy(s.kept[i], v.Data)
	})
}

// restore puts the kept values back.
func (s *snapshot) restore() {
	s.each(func(i int, v *grad.Var) { copy(v.Data, s.kept[i]) })
}
