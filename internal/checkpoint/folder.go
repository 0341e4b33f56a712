package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/input"
)

// Names of the files of a Hugging Face folder.
const (
	configFile     = "config.json"
	generationFile = "generation_config.json"
	weightsFile    = "model.safetensors"
	indexFile      = "model.safetensors.index.json"
)

// importHint is the advice for GGUF files where a folder is needed.
const importHint = "give the file itself, or import it: specquant import FILE.gguf -o DIR"

// Checkpoint is an open model folder: its config and all its weight files, mapped.
// Concurrent reads are safe; Close must come after the last of them.
type Checkpoint struct {
	Dir    string // or the path of a GGUF file
	Config Config
	GGUF   *GGUF // nil: a folder
	// Unsummed: the model is quantized, but by an early version that did not store
	// checksums of all files. Damage to it may go unnoticed.
	Unsummed bool
	// Checking is how long Open took to compare a quantized model with its checksums.
	Checking time.Duration

	files []*File
	where map[string]*File // of each tensor
	sums  []FileHash       // of a quantized model's files, from its manifest; nil: no checksums

	mu         sync.Mutex // protects what is computed once
	verified   bool       // the files agree with sums
	tensorHash string     // "": not computed yet
}

// Open opens a GGUF file (see [OpenGGUF]), or a Hugging Face folder: config.json, the end
// tokens of generation_config.json if it exists, and model.safetensors or the shards listed
// in model.safetensors.index.json.
//
// It verifies every header (see OpenFile), that each tensor of the index is in its shard
// and none is in two, that none belongs to a block beyond num_hidden_layers, and the file
// sizes listed in a quantized model's manifest. A quantized model is read completely and
// compared with the checksums in its files (CRC-32C; Verify compares the sha256 of the
// weights). Of an unquantized checkpoint no weights are read, and Check compares names and
// shapes with the config.
func Open(dir string) (*Checkpoint, error) {
	st, err := input.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		if !st.Mode().IsRegular() {
			return nil, &input.NotRegularError{Path: dir, Mode: st.Mode()}
		}
		if IsGGUF(dir) {
			return openGGUFModel(dir)
		}
		return nil, malformed("%s: a file, expected a model folder with %s and %s", dir, configFile, weightsFile)
	}
	c := &Checkpoint{Dir: dir, where: map[string]*File{}}
	err = c.open()
	if err == nil {
		err = c.splitFused()
	}
	if err == nil {
		err = c.renameExperts()
	}
	if err == nil {
		err = c.checkLayers()
	}
	if err == nil {
		err = c.checkSizes()
	}
	if err == nil {
		start := time.Now()
		if err = c.checkContents(); c.Config.Quantization != nil {
			c.Checking = time.Since(start)
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Checkpoint) open() error {
	path := filepath.Join(c.Dir, configFile)
	data, err := readSmall(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return c.explainMissing(configFile)
	}
	if err != nil {
		return err
	}
	if c.Config, err = ParseConfig(data, path); err != nil {
		return err
	}
	path = filepath.Join(c.Dir, generationFile)
	if data, err = readSmall(path, maxConfig); err == nil {
		err = c.Config.withGeneration(data, path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	path = filepath.Join(c.Dir, weightsFile)
	if _, err := input.Stat(path); err == nil {
		return c.add(path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	path = filepath.Join(c.Dir, indexFile)
	data, err = readSmall(path, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return c.explainMissing(weightsFile)
	}
	if err != nil {
		return err
	}
	return c.openShards(data, path)
}

// openShards opens the files listed in the index, in the order of their names.
func (c *Checkpoint) openShards(index []byte, path string) error {
	weights, err := parseIndex(index, path)
	if err != nil {
		return err
	}
	shards := slices.Sorted(maps.Values(weights))
	for _, s := range slices.Compact(shards) {
		p := filepath.Join(c.Dir, s)
		if _, err := input.Stat(p); errors.Is(err, fs.ErrNotExist) {
			return notFound("%s: shard %q is missing from the folder; download it again", path, s)
		}
		if err := c.add(p); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		want := filepath.Join(c.Dir, weights[name])
		f := c.where[name]
		if f == nil {
			return notFound("%s: tensor %q is listed in shard %q, but the shard has no such tensor; download both again", path, name, weights[name])
		}
		if f.Path() != want {
			return malformed("%s: tensor %q is listed in shard %q, but it is in %s; download the folder again", path, name, weights[name], f.Path())
		}
	}
	return nil
}

// add opens one weight file. Tensors that are in the file but not in the index are
// included.
func (c *Checkpoint) add(path string) error {
	f, err := OpenFile(path)
	if err != nil {
		return err
	}
	c.files = append(c.files, f)
	for _, name := range f.Names() {
		if other := c.where[name]; other != nil {
			return malformed("%s: tensor %q is in %s too, expected it in one shard", path, name, other.Path())
		}
		c.where[name] = f
	}
	return nil
}

// explainMissing explains a folder that lacks the file want, by what it contains instead.
func (c *Checkpoint) explainMissing(want string) error {
	has := func(pattern string) string {
		m, _ := filepath.Glob(filepath.Join(globQuote(c.Dir), pattern))
		if len(m) == 0 {
			return ""
		}
		return filepath.Base(m[0])
	}
	if g := has("*.gguf"); g != "" {
		return unsupported("%s: no %s, but the GGUF file %s; give that: %s",
			c.Dir, want, g, filepath.Join(c.Dir, g))
	}
	if want == weightsFile {
		for _, pattern := range []string{"pytorch_model*.bin", "consolidated*.pth", "*.pt"} {
			if p := has(pattern); p != "" {
				return unsupported("%s: the weights are PyTorch pickles (%s), which are not read because they run code; get the safetensors version or convert them with transformers' save_pretrained(safe_serialization=True)", c.Dir, p)
			}
		}
		if s := has("*.safetensors"); s != "" {
			return notFound("%s: found %s but neither %s nor %s; download the folder again, with its index", c.Dir, s, weightsFile, indexFile)
		}
		return notFound("%s: no weights: expected %s, or %s with its shards", c.Dir, weightsFile, indexFile)
	}
	return notFound("%s: no %s; expected a Hugging Face model folder with %s and %s", c.Dir, want, configFile, weightsFile)
}

// globQuote escapes a path for filepath.Glob, which has no escape character on Windows.
func globQuote(s string) string {
	if filepath.Separator == '\\' {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// stored is the name under which a tensor is stored: its own, or for tied embeddings of
// which only one is stored, that of the other.
func (c *Checkpoint) stored(name string) string {
	if c.where[name] == nil && c.Config.TieEmbeddings {
		switch name {
		case headName:
			return embedName
		case embedName:
			return headName
		}
	}
	return name
}

// Has reports whether Tensor finds the name.
func (c *Checkpoint) Has(name string) bool { return c.where[c.stored(name)] != nil }

// Tensor returns a tensor by name. If the embeddings are tied, the names of embedding and
// output head both find the one that is stored (and the Tensor has its name). An unknown
// name is ErrNotFound with the most similar names.
func (c *Checkpoint) Tensor(name string) (Tensor, error) {
	s := c.stored(name)
	f := c.where[s]
	if f == nil {
		msg := fmt.Sprintf("%s: no tensor %q", c.Dir, name)
		if near := nearest(name, c.Names(), 3); len(near) > 0 {
			msg += "; nearest are " + strings.Join(near, ", ")
		}
		return Tensor{}, notFound("%s", msg)
	}
	t, _ := f.Tensor(s)
	return t, t.err
}

// Names lists the stored tensors, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.where)) }

// Files lists the paths of the weight files, in the order of their names.
func (c *Checkpoint) Files() []string {
	var out []string
	for _, f := range c.files {
		out = append(out, f.Path())
	}
	return out
}

// Bytes is the size of all tensors of all files.
func (c *Checkpoint) Bytes() int64 {
	var n int64
	for _, f := range c.files {
		n += f.Bytes()
	}
	return n
}

// Close unmaps the weight files; no tensor may be used afterwards.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
