package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/disk"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// finish writes what is not a block, looks at the result and gives it its name.
func (j *job) finish(ctx context.Context) error {
	j.meter.At(partTables, 0)
	rest, err := j.writeRest()
	if err != nil {
		return err
	}
	var stored, weights float64
	sizes := j.weights()
	for _, l := range j.manifest.Layers {
		n := sizes[l.Name]
		weights += n
		stored += n * l.BitsPerWeight
	}
	j.manifest.BitsPerWeight = stored / weights
	j.manifest.Fallbacks = slices.Concat(j.plan.Fallbacks, observedFallbacks(j.Recipe, j.manifest.Layers))
	if j.Verify != nil {
		j.event(Event{Block: j.ck.Config.Layers, Stage: "comparing with full precision"})
		j.meter.At(partComparing, 0)
		fitted, heldOut, err := j.verifyWindows()
		if err != nil {
			return err
		}
		if j.manifest.Check, err = j.Verify(ctx, j.partial, j.ck, fitted, heldOut); err != nil {
			return fmt.Errorf("reopening the artefact: %w", err)
		}
		if !j.manifest.Check.Passed {
			return &RejectedError{Check: *j.manifest.Check, Dir: j.partial}
		}
	}
	// Only now, when the comparison has just read all blocks: they come from the
	// page cache, and what is summed is what was found good. A job that was taken
	// up again sums the same files, whoever wrote them.
	j.meter.At(partWriting, 0)
	if err := unchanged(j.sources); err != nil {
		return err
	}
	if j.manifest.Files, err = artefact.Sums(j.partial, j.files(rest)); err != nil {
		return err
	}
	data, err := sealedJSON(&j.manifest)
	if err != nil {
		return err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, artefact.ManifestFile), data); err != nil {
		return err
	}
	if err := j.Profile.End(j.meter, j.Pool, j.start, j.plan.Work, j.partial); err != nil {
		return err
	}
	return j.publish()
}

// files are the names of all files of the artefact but the manifest: the blocks'
// and what writeRest has written.
func (j *job) files(rest []string) []string {
	names := slices.Clone(rest)
	for i := range j.ck.Config.Layers {
		names = append(names, j.shard(i))
	}
	return names
}

// publish removes the job's own files and gives the artefact its name. That of the
// job goes first: without it the manifest says that all is done.
func (j *job) publish() error {
	for _, name := range []string{jobFile, mixFile, spinFile, distilFile} {
		if err := disk.RemoveFile(filepath.Join(j.partial, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return checkpoint.RenameDir(j.partial, j.Out)
}

// weights are the numbers of weights of all linear layers, by name.
func (j *job) weights() map[string]float64 {
	all := map[string]float64{}
	for i := range j.ck.Config.Layers {
		c := j.ck.Config.Of(i)
		for _, l := range llama.Layers(c) {
			out, in := l.Shape(c)
			all[llama.TensorPrefix(i)+l.String()] = float64(out) * float64(in)
		}
	}
	return all
}

// verifyWindow is the number of tokens of each window that the finished artefact is
// compared on: several short ones say more than one long one.
const verifyWindow = 64

// verifyWindows are the tokens that the finished artefact is compared on: the
// beginnings of windows that it was fitted on, and of windows that were held out.
// A recipe without calibration has none of the first, and of the second those of
// the embedded text.
func (j *job) verifyWindows() (fitted, heldOut [][]int, err error) {
	limit := verifyTokens(&j.ck.Config)
	part := func(windows [][]int) (parts [][]int) {
		most := max(1, limit/verifyWindow)
		for i := range min(most, len(windows)) {
			w := windows[i*len(windows)/min(most, len(windows))] // spread over the text
			parts = append(parts, w[:min(len(w), limit, verifyWindow)])
		}
		return parts
	}
	if j.set != nil {
		return part(j.set.Windows), part(j.set.HeldOut), nil
	}
	text := calibration.Default()
	ids, err := j.tok.Encode(beginning(text, 32*limit), true)
	if err != nil {
		return nil, nil, err
	}
	var windows [][]int
	for len(ids) > 0 && len(windows) < limit {
		n := min(len(ids), verifyWindow, j.ck.Config.MaxPositions)
		windows, ids = append(windows, ids[:n]), ids[n:]
	}
	return nil, part(windows), nil
}

// beginning is at most the first n bytes of a text: no character is cut in two, which
// no tokenizer would take.
func beginning(text string, n int) string {
	if n >= len(text) {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// writeRest writes the tensors that are copied, the index, config.json with
// its quantization_config, and the tokenizer's files as they are. It returns
// the files' names.
func (j *job) writeRest() ([]string, error) {
	c := &j.ck.Config
	last := j.shard(c.Layers)
	rotation, err := stage.NewRotation(j.Recipe, c)
	if err != nil {
		return nil, err
	}
	rotation.Take(j.rotations)
	prepare, err := rotation.Rest(j.Pool, j.ck)
	if err != nil {
		return nil, err
	}
	var specs []checkpoint.TensorSpec
	where := map[string]string{}
	for _, name := range copied {
		t, err := j.ck.Tensor(name)
		if err != nil {
			return nil, err
		}
		if table := j.table(name); table.Bits != 16 {
			if name == stage.EmbedWeight && staysTied(c, j.Recipe) {
				continue // the output matrix stands for both
			}
			grid, before, round := artefact.TableGrid(table.Bits, table.Group), prepare[name], artefact.Rounder(nil)
			if name == stage.HeadWeight {
				before, round = j.head.Prepare(before), j.head.Rounder(grid)
			}
			for _, s := range artefact.QuantizeTable(strings.TrimSuffix(name, ".weight"), t, grid, before, round, j.Pool.Run) {
				specs = append(specs, s)
				where[s.Name] = last
			}
			continue
		}
		if fn := prepare[name]; fn != nil { // tied or not, it is a tensor of its own now
			specs = append(specs, changed(name, t, fn))
			where[name] = last
			continue
		}
		if t.Name != name {
			continue // tied: stored under its other name
		}
		if name == stage.NormWeight && c.NormOffset != 0 { // an artefact has the gains themselves
			gain, err := llama.FinalGain(j.ck)
			if err != nil {
				return nil, err
			}
			specs = append(specs, artefact.Floats(name, gain))
			where[name] = last
			continue
		}
		specs = append(specs, checkpoint.TensorSpec{Name: name, DType: t.DType, Shape: t.Shape, Data: t.Data})
		where[name] = last
	}
	if err := checkpoint.WriteSealed(filepath.Join(j.partial, last), specs, map[string]string{"format": "pt"}); err != nil {
		return nil, err
	}
	for _, s := range specs {
		if t, err := j.ck.Tensor(s.Name); err == nil {
			t.Release()
		}
	}
	var total int64
	for i := range c.Layers + 1 {
		f, err := checkpoint.OpenFile(filepath.Join(j.partial, j.shard(i)))
		if err != nil {
			return nil, err
		}
		for _, name := range f.Names() {
			where[name] = j.shard(i)
		}
		total += f.Bytes()
		f.Close()
	}
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": where}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, indexFile), append(index, '\n')); err != nil {
		return nil, err
	}
	raw := c.Raw
	if len(prepare) > 0 && c.TieEmbeddings {
		raw = untied(raw)
	}
	config, err := withQuantization(raw, j.quantization())
	if err != nil {
		return nil, err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, configFile), config); err != nil {
		return nil, err
	}
	names := []string{last, indexFile, configFile}
	for _, name := range append(j.tok.Files(), "LICENSE", "LICENSE.txt") {
		data, err := sideFile(filepath.Join(j.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, name), data); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// table is how the tensor of that name is stored, if it is the embedding or the
// output matrix. Every other tensor stays in 16 bits.
func (j *job) table(name string) recipe.Table {
	switch name {
	case stage.EmbedWeight:
		return j.Recipe.Embedding
	case stage.HeadWeight:
		return j.Recipe.Head.Table()
	}
	return recipe.Table{Bits: 16}
}

// tied is the entry of config.json that says that the output matrix is the
// embedding.
var tied = regexp.MustCompile(`("tie_word_embeddings"\s*:\s*)(?:true|null)`)

// untied is config.json of a model whose embedding and output matrix have
// become different.
func untied(config []byte) []byte {
	if !tied.Match(config) { // the family's default
		start := bytes.IndexByte(config, '{') + 1
		return slices.Concat(config[:start], []byte("\n  \"tie_word_embeddings\": false,"), config[start:])
	}
	return tied.ReplaceAll(config, []byte("${1}false"))
}

// withQuantization adds the quantization_config to config.json, leaving the
// rest as it was, in its order.
func withQuantization(config []byte, q *artefact.Quantization) ([]byte, error) {
	end := bytes.LastIndexByte(config, '}')
	if end < 0 {
		return nil, errors.New("config.json: no closing brace")
	}
	body, err := json.MarshalIndent(q, "  ", "  ")
	if err != nil {
		return nil, err
	}
	head := bytes.TrimRight(config[:end], " \t\r\n")
	var out bytes.Buffer
	out.Write(head)
	out.WriteString(",\n  \"quantization_config\": ")
	out.Write(body)
	out.WriteString("\n}\n")
	return out.Bytes(), nil
}
