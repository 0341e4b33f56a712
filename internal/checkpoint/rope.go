package checkpoint

// RopeScaling changes the rotary frequencies for contexts longer than those of
// the first training.
type RopeScaling struct {
	Kind   string  // "linear", "dynamic" or "llama3"
	Factor float64 // >= 1: how much longer the context becomes

	// Of llama3 only: wavelengths shorter than OriginalMaxPositions/High are
	// kept, those longer than OriginalMaxPositions/Low are divided by Factor,
	// those between are interpolated.
	LowFreqFactor, HighFreqFactor float64

	// Context of the first training, in tokens; for dynamic it is the length
	// beyond which the base grows. 0 for linear where not given.
	OriginalMaxPositions int
}

// rope fills RopeTheta and RopeScaling. Transformers 4 writes rope_theta and
// rope_scaling, transformers 5 both inside rope_parameters.
func rope(f *fields, c *Config) {
	old, new := f.object("rope_scaling"), f.object("rope_parameters")
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
	a, b := ropeScaling(f, old, c.MaxPositions), ropeScaling(f, new, c.MaxPositions)
	switch {
	case f.err != nil:
	case new == nil:
		c.RopeScaling = a
	case old != nil && (a == nil) != (b == nil), a != nil && b != nil && *a != *b:
		f.failf("rope_parameters", "differs from rope_scaling; expected the same scaling in both")
	default:
		c.RopeScaling = b
	}
}

// ropeScaling reads one scaling object; nil for none and for "default". An
// error goes to f.
func ropeScaling(f, s *fields, positions int) *RopeScaling {
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
	if p := s.floatOr("partial_rotary_factor", 1, 0, 1); s.err == nil && p != 1 {
		s.err = unsupported("%s: field \"partial_rotary_factor\": found %v, only 1 is implemented", s.where, p)
	}
	if s.err != nil {
		return nil
	}
	r := &RopeScaling{Kind: kind}
	switch kind {
	case "default":
		return nil
	case "":
		if !s.has("factor") { // {"rope_theta": ...} alone
			return nil
		}
		s.failf("rope_type", "missing, and so is type; expected linear, dynamic, llama3 or default")
	case "linear", "dynamic":
		s.require("factor")
		r.Factor = s.floatOr("factor", 0, 1, 1e6)
		r.OriginalMaxPositions = s.intOr("original_max_position_embeddings", 0, 1, maxPositions)
		if kind == "dynamic" && r.OriginalMaxPositions == 0 {
			r.OriginalMaxPositions = positions
		}
	case "llama3":
		s.require("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
		r.Factor = s.floatOr("factor", 0, 1, 1e6)
		r.LowFreqFactor = s.floatOr("low_freq_factor", 0, 1e-6, 1e6)
		r.HighFreqFactor = s.floatOr("high_freq_factor", 0, 1e-6, 1e6)
		r.OriginalMaxPositions = s.intOr("original_max_position_embeddings", 0, 1, maxPositions)
		if s.err == nil && r.HighFreqFactor <= r.LowFreqFactor {
			s.failf("high_freq_factor", "is %v, expected more than low_freq_factor %v", r.HighFreqFactor, r.LowFreqFactor)
		}
	default:
		s.err = unsupported("%s: rope scaling kind %q is not supported; supported are linear, dynamic, llama3 and default", s.where, kind)
	}
	return r
}
