package grad

import (
	"fmt"
	"math"
)

// Schedule is the factor of the learning rates at each step, counted from 0.
type Schedule func(step int) float64

// Cosine falls from 1 to the fraction share over a number of steps, along half a cosine.
func Cosine(steps int, share float64) Schedule {
	return func(step int) float64 {
		return share + (1-share)*(1+math.Cos(math.Pi*progress(step, steps)))/2
	}
}

func progress(step, steps int) float64 {
	return min(1, float64(step)/float64(max(steps, 1)))
}

// at is the factor of a schedule; a nil schedule is constant.
func (s Schedule) at(step int) float64 {
	if s == nil {
		return 1
	}
	return s(step)
}

// Group is a set of parameters with common settings.
type Group struct {
	Params []*Var
	Rate   float64 // learning rate
	Decay  float64 // AdamW's decoupled weight decay
	// Low and High bound every element after a step, if Low < High.
	Low, High float32
}

// clamp keeps v within the group's bounds.
func (g *Group) clamp(v float32) float32 {
	if g.Low < g.High {
		return min(max(v, g.Low), g.High)
	}
	return v
}

// checkGradients returns an error for the first parameter whose gradient is not finite.
func checkGradients(groups []Group) error {
	for _, g := range groups {
		for _, p := range g.Params {
			for i, v := range p.Grad {
				if !finite(v) {
					return fmt.Errorf("gradient of %q, element [%d][%d], is %v; lower the learning rate", p.Name, i/p.Cols, i%p.Cols, v)
				}
			}
		}
	}
	return nil
}

// AdamW is Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv
// 1711.05101, algorithm 2).
type AdamW struct {
	Groups       []Group
	Beta1, Beta2 float64 // 0 means 0.9 and 0.999
	Epsilon      float64 // 0 means 1e-8
	Schedule     Schedule

	step int
	m, v [][]float32 // by parameter, in order
}

// Step updates the parameters and clears their gradients. After an error nothing has been
// changed.
func (a *AdamW) Step() error {
	if err := checkGradients(a.Groups); err != nil {
		return err
	}
	b1, b2, eps := or(a.Beta1, 0.9), or(a.Beta2, 0.999), or(a.Epsilon, 1e-8)
	factor := a.Schedule.at(a.step)
	a.step++
	c1, c2 := 1-math.Pow(b1, float64(a.step)), 1-math.Pow(b2, float64(a.step))
	k := 0
	for gi := range a.Groups {
		g := &a.Groups[gi]
		rate := g.Rate * factor
		for _, p := range g.Params {
			if k == len(a.m) {
				a.m, a.v = append(a.m, make([]float32, len(p.Data))), append(a.v, make([]float32, len(p.Data)))
			}
			m, v := a.m[k], a.v[k]
			k++
			for i, d := range p.Grad {
				d := float64(d)
				mi := b1*float64(m[i]) + (1-b1)*d
				vi := b2*float64(v[i]) + (1-b2)*d*d
				m[i], v[i] = float32(mi), float32(vi)
				w := float64(p.Data[i]) * (1 - rate*g.Decay)
				p.Data[i] = g.clamp(float32(w - rate*(mi/c1)/(math.Sqrt(vi/c2)+eps)))
			}
			p.ZeroGrad()
		}
	}
	return nil
}

func or(v, otherwise float64) float64 {
	if v == 0 {
		return otherwise
	}
	return v
}
