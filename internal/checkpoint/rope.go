package checkpoint

import (
	"encoding/json"
	"math"
	"reflect"

	"github.com/specquant/specquant/internal/plural"
)

// RopeScaling changes the rotary frequencies for contexts longer than those of the original
// training.
type RopeScaling struct {
	Kind   string  // "linear", "dynamic", "llama3", "yarn" or "longrope"
	Factor float64 // >= 1: how much longer the context becomes

	// Of llama3 only: wavelengths shorter than OriginalMaxPositions/High are unchanged,
	// longer than OriginalMaxPositions/Low divided by Factor, and interpolated between.
	LowFreqFactor, HighFreqFactor float64

	// Context length of the original training, in tokens; for dynamic it is the length
	// beyond which the base grows, for longrope that beyond which Long replaces Short. 0
	// for linear if not given.
	OriginalMaxPositions int

	// Of yarn only: frequencies with more than BetaFast rotations within
	// OriginalMaxPositions are unchanged, those with fewer than BetaSlow are divided by
	// Factor, and those between are interpolated; the limits are rounded to whole
	// dimensions unless Fractional.
	BetaFast, BetaSlow float64
	Fractional         bool

	// Of yarn and longrope: a factor applied to cosines and sines.
	AttentionFactor float64

	// Of longrope only: the divisor of each frequency for contexts up to
	// OriginalMaxPositions and beyond.
	Short, Long []float64
}

// rope sets RopeTheta, RopeScaling, RotaryDim and, if blocks with a window have their own
// base, LocalTheta. Transformers 4 writes rope_theta and rope_scaling; transformers 5
// writes both inside rope_parameters, with one object for each kind of block if they
// differ.
func rope(f *fields, c *Config, of *family) {
	old, new := f.object("rope_scaling"), f.object("rope_parameters")
	if new != nil && new.has("full_attention") {
		full, local := new.object("full_attention"), new.object("sliding_attention")
		if f.err == nil {
			f.err = new.err
		}
		if local != nil {
			c.LocalTheta = local.floatOr("rope_theta", 10000, 1, 1e15)
			if kind := local.stringOr("rope_type", "default"); local.err == nil && kind != "default" {
				local.err = unsupported("%s: rope_type is %q, expected \"default\": scaling in blocks with a window is not implemented", local.where, kind)
			}
			if f.err == nil {
				f.err = local.err
			}
		}
		new = full
	}
	if f.err != nil {
		return
	}
	if new != nil && new.has("rope_theta") {
		theta := new.floatOr("rope_theta", 0, 1, 1e15)
		if new.err == nil && f.has("rope_theta") && theta != c.RopeTheta {
			new.failf("rope_theta", "is %v, but rope_theta beside it is %v; expected one value", theta, c.RopeTheta)
		}
		c.RopeTheta = theta
		f.err = new.err
	}
	partialRotary(f, c, of, old, new)
	a, b := ropeScaling(f, old, c, of), ropeScaling(f, new, c, of)
	switch {
	case f.err != nil:
	case new == nil:
		c.RopeScaling = a
	case old != nil && !reflect.DeepEqual(a, b):
		f.failf("rope_parameters", "differs from rope_scaling; expected the same scaling in both")
	default:
		c.RopeScaling = b
	}
}

// partialRotary sets RotaryDim from partial_rotary_factor, which is a field of the config
// or of its rope parameters.
func partialRotary(f *fields, c *Config, of *family, objects ...*fields) {
	share, found := 1.0, false
	for _, at := range append([]*fields{f}, objects...) {
		if at == nil || f.err != nil || !at.has("partial_rotary_factor") {
			continue
		}
		v := at.floatOr("partial_rotary_factor", 1, 0, 1)
		switch {
		case at.err != nil:
		case v != 1 && !of.partial:
			at.err = unsupported("%s: field \"partial_rotary_factor\": found %v, only 1 is implemented for %s", at.where, v, of.class)
		case found && v != share:
			at.failf("partial_rotary_factor", "is %v, but elsewhere in the config it is %v; expected one value", v, share)
		}
		share, found, f.err = v, true, at.err
	}
	if f.err != nil || share == 1 {
		return
	}
	c.RotaryDim = int(float64(c.HeadDim) * share)
	if c.RotaryDim < 2 || c.RotaryDim%2 != 0 {
		f.failf("partial_rotary_factor", "%v of a head of %s are %d, expected an even number, at least 2", share, plural.Of(c.HeadDim, "channel"), c.RotaryDim)
	}
}

// ropeScaling reads one scaling object; nil for none and for "default". Errors are recorded
// in f.
func ropeScaling(f, s *fields, c *Config, of *family) *RopeScaling {
	if s == nil || f.err != nil {
		return nil
	}
	defer func() {
		if f.err == nil {
			f.err = s.err
		}
	}()
	kind := s.stringOr("rope_type", "")
	if t := s.stringOr("type", kind); kind == "" {
		kind = t
	} else if t != kind {
		s.failf("type", "is %q, but rope_type is %q; expected the same", t, kind)
	}
	if s.err == nil && s.has("llama_4_scaling_beta") {
		s.err = unsupported("%s: field \"llama_4_scaling_beta\": scaling queries by their position is not implemented", s.where)
	}
	if s.err != nil {
		return nil
	}
	if of.partial && (kind == "su" || kind == "yarn") { // the first files of Phi-3 used these names
		kind = "longrope"
	}
	r := &RopeScaling{Kind: kind}
	factor := func() float64 { return s.floatOr("factor", 0, 1, 1e6) }
	original := func() int { return s.intOr("original_max_position_embeddings", 0, 1, maxPositions) }
	switch kind {
	case "default":
		return nil
	case "":
		if !s.has("factor") { // only {"rope_theta": ...}
			return nil
		}
		s.failf("rope_type", "missing, and so is type; expected linear, dynamic, llama3, yarn, longrope or default")
	case "linear", "dynamic":
		s.require("factor")
		r.Factor, r.OriginalMaxPositions = factor(), original()
		if kind == "dynamic" && r.OriginalMaxPositions == 0 {
			r.OriginalMaxPositions = c.MaxPositions
		}
	case "llama3":
		s.require("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
		r.Factor = factor()
		r.LowFreqFactor = s.floatOr("low_freq_factor", 0, 1e-6, 1e6)
		r.HighFreqFactor = s.floatOr("high_freq_factor", 0, 1e-6, 1e6)
		r.OriginalMaxPositions = original()
		if s.err == nil && r.HighFreqFactor <= r.LowFreqFactor {
			s.failf("high_freq_factor", "is %v, expected more than low_freq_factor %v", r.HighFreqFactor, r.LowFreqFactor)
		}
	case "yarn":
		s.require("factor")
		r.Factor, r.OriginalMaxPositions = factor(), original()
		if r.OriginalMaxPositions == 0 {
			r.OriginalMaxPositions = c.MaxPositions
		}
		if s.err == nil && c.RopeTheta <= 1 {
			s.failf("rope_type", "is yarn, but rope_theta is %v, expected more than 1 with it", c.RopeTheta)
		}
		yarn(s, r)
	case "longrope":
		longRope(f, s, r, c)
	default:
		s.err = unsupported("%s: rope scaling kind %q is not supported; supported are linear, dynamic, llama3, yarn, longrope and default", s.where, kind)
	}
	return r
}

// yarn reads the remaining fields of a yarn scaling (Peng et al., arXiv 2309.00071).
func yarn(s *fields, r *RopeScaling) {
	r.BetaFast = s.floatOr("beta_fast", 32, 1e-3, 1e6)
	r.BetaSlow = s.floatOr("beta_slow", 1, 1e-3, 1e6)
	if s.err == nil && r.BetaFast <= r.BetaSlow {
		s.failf("beta_fast", "is %v, expected more than beta_slow %v", r.BetaFast, r.BetaSlow)
	}
	r.Fractional = !s.boolOr("truncate", true)
	scale := func(by float64) float64 {
		if r.Factor <= 1 {
			return 1
		}
		return 0.1*by*math.Log(r.Factor) + 1
	}
	one, all := s.floatOr("mscale", 0, 0, 1e3), s.floatOr("mscale_all_dim", 0, 0, 1e3)
	r.AttentionFactor = scale(1)
	if one != 0 && all != 0 {
		r.AttentionFactor = scale(one) / scale(all)
	}
	if s.has("attention_factor") {
		r.AttentionFactor = s.floatOr("attention_factor", 0, 1e-3, 1e3)
	}
}

// longRope reads a longrope scaling (Ding et al., arXiv 2402.13753). The original context
// length may be outside the scaling object, as in Phi-3's files.
func longRope(f, s *fields, r *RopeScaling, c *Config) {
	s.require("short_factor", "long_factor")
	r.Short, r.Long = divisors(s, "short_factor", c.Rotary()/2), divisors(s, "long_factor", c.Rotary()/2)
	r.OriginalMaxPositions = f.intOr("original_max_position_embeddings", 0, 1, maxPositions)
	if r.OriginalMaxPositions == 0 {
		r.OriginalMaxPositions = s.intOr("original_max_position_embeddings", c.MaxPositions, 1, maxPositions)
	}
	if s.err != nil || f.err != nil {
		return
	}
	r.Factor = max(1, float64(c.MaxPositions)/float64(r.OriginalMaxPositions))
	if s.has("factor") {
		r.Factor = s.floatOr("factor", 0, 1, 1e6)
	}
	r.AttentionFactor = 1
	if r.Factor > 1 && r.OriginalMaxPositions > 1 {
		r.AttentionFactor = math.Sqrt(1 + math.Log(r.Factor)/math.Log(float64(r.OriginalMaxPositions)))
	}
	if s.has("attention_factor") {
		r.AttentionFactor = s.floatOr("attention_factor", 0, 1e-3, 1e3)
	}
}

// divisors reads a list of n numbers by which frequencies are divided.
func divisors(s *fields, key string, n int) []float64 {
	r := s.raw(key)
	if r == nil {
		return nil
	}
	var list []float64
	if json.Unmarshal(r, &list) != nil || len(list) != n {
		s.failf(key, "found %s, expected a list of %s, one for each pair of the %s", brief(r), plural.Of(n, "number"), plural.Of(2*n, "rotated channel"))
		return nil
	}
	for i, v := range list {
		if !(v >= 1e-3 && v <= 1e6) {
			s.failf(key, "number %d is %v, expected 0.001 to 1e+06", i, v)
			return nil
		}
	}
	return list
}
