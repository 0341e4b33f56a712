package checkpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/plural"
)

// Check compares the tensors with the config: every tensor that the architecture needs must
// be present, of a float type and of the right shape, and no other tensor may exist that
// would change the result (such as a bias if the config has none). Tied embeddings may be
// stored once under either name, or twice if the bytes are equal. No weights are read
// except for that comparison. The error names the first offending tensor and counts the
// others.
func (c *Checkpoint) Check() error {
	if q := c.Config.QuantMethod(); q != "" {
		return unsupported("%s: the model is already quantized (quantization_config.quant_method is %q), expected full-precision weights; start from the original model", c.Dir, q)
	}
	var first error
	faults := 0
	fault := func(err error) {
		if first == nil {
			first = err
		}
		faults++
	}
	expected := map[string]bool{headName: c.Config.TieEmbeddings}
	for _, want := range c.Config.Expected() {
		expected[want.Name] = true
		name := c.stored(want.Name)
		f := c.where[name]
		if f == nil {
			msg := fmt.Sprintf("%s: tensor %q is missing, expected shape %v", c.Dir, c.Config.InFile(want.Name), want.Shape)
			if want.Name == headName && c.Has(embedName) {
				msg += "; if the output head is the embedding, set tie_word_embeddings to true in config.json"
			}
			fault(notFound("%s", msg))
			continue
		}
		e := f.entries[name]
		if !slices.Equal(e.shape, want.Shape) {
			fault(malformed("%s: tensor %q has shape %v, expected %v by config.json", f.Path(), name, e.shape, want.Shape))
		} else if e.dtype == F64 {
			fault(unsupported("%s: tensor %q has dtype F64, which models are not run in, expected F32, F16 or BF16; convert it, in Python: model.to(torch.float32).save_pretrained(DIR)", f.Path(), name))
		} else if !e.dtype.Float() {
			fault(unsupported("%s: tensor %q has dtype %s, expected F32, F16 or BF16", f.Path(), name, e.dtype))
		}
	}
	for _, name := range c.Names() {
		if !expected[name] && c.Config.alters(name) {
			fault(unsupported("%s: tensor %q %s", c.where[name].Path(), c.Config.InFile(name), c.Config.leftOver(name)))
		}
	}
	if first != nil && faults > 1 {
		return fmt.Errorf("%w (and %s at fault)", first, plural.Of(faults-1, "more tensor"))
	}
	if first != nil {
		return first
	}
	return c.checkTied()
}

// checkTied compares the two copies of tied embeddings if both are stored.
func (c *Checkpoint) checkTied() error {
	if !c.Config.TieEmbeddings || c.where[embedName] == nil || c.where[headName] == nil {
		return nil
	}
	a, err := c.Tensor(embedName)
	if err != nil {
		return err
	}
	b, err := c.Tensor(headName)
	if err != nil {
		return err
	}
	defer a.Release()
	defer b.Release()
	if a.DType != b.DType || !bytes.Equal(a.Data, b.Data) {
		return malformed("%s: tie_word_embeddings is true, but %s and %s differ; set it to false in config.json if that is meant", c.Dir, embedName, headName)
	}
	return nil
}

// Extra lists the stored tensors that the config does not expect but Check tolerates,
// sorted, for a report.
func (c *Checkpoint) Extra() []string {
	expected := map[string]bool{headName: c.Config.TieEmbeddings}
	for _, t := range c.Config.Expected() {
		expected[t.Name] = true
	}
	return slices.DeleteFunc(c.Names(), func(n string) bool { return expected[n] })
}

// nearest picks at most n names that share the longest prefix and suffix with name, and
// only those that share half of it.
func nearest(name string, names []string, n int) []string {
	shared := func(s string) int {
		m := min(len(s), len(name))
		pre := 0
		for pre < m && s[pre] == name[pre] {
			pre++
		}
		suf := 0
		for suf < m-pre && s[len(s)-1-suf] == name[len(name)-1-suf] {
			suf++
		}
		// A difference in length lowers the score, so that "layers.1" is closer to itself
		// than "layers.11".
		return 2*(pre+suf) - max(len(s), len(name))
	}
	near := slices.DeleteFunc(slices.Clone(names), func(s string) bool { return shared(s) <= 0 })
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(shared(b), shared(a)) })
	return near[:min(n, len(near))]
}
