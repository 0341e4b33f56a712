package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// finish writes the files that are not blocks, compares the result with full precision, writes
// the manifest and renames the folder.
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
	// The files are hashed after the comparison has read all blocks, so that they come from
	// the page cache and the checksums are of what was compared. A resumed job hashes the
	// blocks of earlier runs too.
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

// files returns the names of all files of the artefact except the manifest: the blocks' and
// those that writeRest has written.
func (j *job) files(rest []string) []string {
	names := slices.Clone(rest)
	for i := range j.ck.Config.Layers {
		names = append(names, j.shard(i))
	}
	return names
}

// publish removes the job's own files and renames the artefact's folder to its final name.
// job.json is removed first: a manifest without it means that everything is done.
func (j *job) publish() error {
	for _, name := range []string{jobFile, rotationsFile, distilFile} {
		if err := disk.RemoveFile(filepath.Join(j.partial, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return checkpoint.RenameDir(j.partial, j.Out)
}

// weights returns the number of weights of each linear layer, by name.
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

// verifyWindows returns the windows for the comparison of the finished artefact: beginnings of
// windows that the weights were fitted to, and of windows that were held out. A recipe without
// calibration has none of the first, and windows of the embedded text for the second.
func (j *job) verifyWindows() (fitted, heldOut [][]int, err error) {
	limit := verifyTokens(&j.ck.Config)
	part := func(windows [][]int) (parts [][]int) {
		most := max(1, limit/verifyWindow)
		for i := range min(most, len(windows)) {
			w := windows[i*len(windows)/min(most, len(windows))] // windows spread evenly over the text
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

// beginning returns at most the first n bytes of a text, without cutting a character in two.
func beginning(text string, n int) string {
	if n >= len(text) {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// writeRest writes the files that are not blocks: the tensors that belong to no block, the
// index, config.json with its quantization_config, and copies of the tokenizer's files. It
// returns the files' names.
func (j *job) writeRest() ([]string, error) {
	c := &j.ck.Config
	rotation, err := stage.NewRotation(j.Recipe, c)
	if err != nil {
		return nil, err
	}
	rotation.Take(j.rotations)
	prepare, err := rotation.Rest(j.Pool, j.ck)
	if err != nil {
		return nil, err
	}
	last := j.shard(c.Layers)
	specs, err := j.restTensors(prepare)
	if err != nil {
		return nil, err
	}
	if err := checkpoint.WriteSealed(filepath.Join(j.partial, last), specs, map[string]string{"format": "pt"}); err != nil {
		return nil, err
	}
	for _, s := range specs {
		if t, err := j.ck.Tensor(s.Name); err == nil {
			t.Release()
		}
	}
	if err := j.writeIndex(); err != nil {
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
	copies, err := j.copySideFiles()
	return append([]string{last, indexFile, configFile}, copies...), err
}

// restTensors returns the tensors that belong to no block as the artefact stores them.
// prepare has functions that fold the rotations into them, by name.
func (j *job) restTensors(prepare map[string]func(w []float32, rows int)) (specs []checkpoint.TensorSpec, err error) {
	c := &j.ck.Config
	for _, name := range copied {
		t, err := j.ck.Tensor(name)
		if err != nil {
			return nil, err
		}
		table := j.table(name)
		switch fn := prepare[name]; {
		case table.Bits != 16 && name == stage.EmbedWeight && staysTied(c, j.Recipe):
			// the output matrix is used for both
		case table.Bits != 16:
			grid, round := table.Grid(), artefact.Rounder(nil)
			if name == stage.HeadWeight {
				fn, round = j.head.Prepare(fn), j.head.Rounder(grid)
			}
			specs = append(specs, artefact.QuantizeTable(strings.TrimSuffix(name, ".weight"), t, grid, fn, round, j.Pool.Run)...)
		case fn != nil: // changed by a rotation, so it is a separate tensor even if the checkpoint ties it
			specs = append(specs, changed(name, t, fn))
		case t.Name != name: // tied: stored under the other name
		case name == stage.NormWeight && c.NormOffset != 0: // an artefact stores the gains with their offset added
			gain, err := llama.FinalGain(j.ck)
			if err != nil {
				return nil, err
			}
			specs = append(specs, artefact.Floats(name, gain))
		default:
			specs = append(specs, asItIs(name, t))
		}
	}
	return specs, nil
}

// asItIs is a copy of a tensor of the checkpoint. The file's pages are let go as they are
// written, because an embedding may be larger than a block.
func asItIs(name string, t checkpoint.Tensor) checkpoint.TensorSpec {
	return checkpoint.TensorSpec{Name: name, DType: t.DType, Shape: t.Shape, Write: func(w io.Writer) error {
		if err := t.Err(); err != nil {
			return err
		}
		rows := t.Shape[0]
		step := max(1, rows*llama.MappedBytes/max(1, len(t.Data)))
		for first := 0; first < rows; first += step {
			part := t.Rows(first, min(step, rows-first))
			if _, err := w.Write(part.Data); err != nil {
				return err
			}
			part.Release()
		}
		return nil
	}}
}

// writeIndex writes the index of the tensors of all files, as Hugging Face's libraries expect
// it.
func (j *job) writeIndex() error {
	where := map[string]string{}
	var total int64
	for i := range j.ck.Config.Layers + 1 {
		f, err := checkpoint.OpenFile(filepath.Join(j.partial, j.shard(i)))
		if err != nil {
			return err
		}
		for _, name := range f.Names() {
			where[name] = j.shard(i)
		}
		total += f.Bytes()
		f.Close()
	}
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": where}, "", "  ")
	if err != nil {
		return err
	}
	return checkpoint.WriteFileAtomic(filepath.Join(j.partial, indexFile), append(index, '\n'))
}

// copySideFiles copies the tokenizer's files and the licence, and returns their names.
func (j *job) copySideFiles() (names []string, err error) {
	for _, name := range j.sideFiles() {
		data, err := sideFile(filepath.Join(j.Dir, name))
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

// table returns the format of the embedding or the output matrix in the artefact. All other
// tensors stay in 16 bits.
func (j *job) table(name string) recipe.Table {
	switch name {
	case stage.EmbedWeight:
		return j.Recipe.Embedding
	case stage.HeadWeight:
		return j.Recipe.Head.Table()
	}
	return recipe.Table{Bits: 16}
}

// tied matches the entry of config.json for an output matrix that is the embedding.
var tied = regexp.MustCompile(`("tie_word_embeddings"\s*:\s*)(?:true|null)`)

// untied changes config.json for an artefact whose embedding and output matrix differ.
func untied(config []byte) []byte {
	if !tied.Match(config) { // the entry is missing, and the architecture's default may be true
		start := bytes.IndexByte(config, '{') + 1
		return slices.Concat(config[:start], []byte("\n  \"tie_word_embeddings\": false,"), config[start:])
	}
	return tied.ReplaceAll(config, []byte("${1}false"))
}

// withQuantization adds the quantization_config to config.json and leaves everything else as it
// is.
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
