package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/recipe"
)

func (c *comparison) begin(ctx context.Context) error {
	if err := c.setDefaults(); err != nil {
		return err
	}
	if len(c.Texts) == 0 {
		return errors.New("no evaluation text is given")
	}
	if err := c.hashTexts(ctx); err != nil {
		return err
	}
	var err error
	if c.build, err = BuildOf(c.Version, ""); err != nil {
		return err
	}
	if c.Work == "" {
		c.temporary = true
		if c.Work, err = os.MkdirTemp("", "specquant-compare-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(c.Work, 0o755); err != nil {
		return err
	}
	c.pool = parallel.NewPool(c.Threads)
	if err := c.openReference(); err != nil {
		c.close()
		return err
	}
	t := &c.table
	t.Ablation, t.Windows, t.ModelHash = c.Ablation, len(c.ref.windows), hashJSON(c.inputs)
	for _, w := range c.ref.windows {
		t.Window, t.Tokens = max(t.Window, len(w)), t.Tokens+len(w)-1
	}
	t.Protocol = fmt.Sprintf("gptq protocol: %s of %s, %d predicted in each row; sha256 of text %s, model %s, calibration %s; specquant %s; ± standard error",
		plural.Of(t.Windows, "window"), plural.Of(t.Window, "token"), t.Tokens, t.TextHash[:12], t.ModelHash[:12], shortHashes(t.Calibration), c.Version)
	return nil
}

// setDefaults fills in recipes and bits that are not given, and parses the bits.
func (c *comparison) setDefaults() error {
	switch {
	case len(c.Recipes) > 0:
	case c.Ablation != "":
		c.Recipes = []string{recipe.Paper}
	case len(c.Also) == 0:
		c.Recipes = []string{"rtn", recipe.Paper, recipe.Default}
	}
	if len(c.Bits) == 0 {
		c.Bits = []string{"4-16-16", "4-4-16", "4-4-4"}
		if c.Ablation != "" {
			c.Bits = []string{"4-4-16"}
		}
	}
	for _, b := range c.Bits {
		s, err := parseSetting(b)
		if err != nil {
			return err
		}
		c.settings = append(c.settings, s)
	}
	return nil
}

// hashTexts records the names and hashes of the evaluation and calibration texts in the
// table, and warns of an evaluation text that is a calibration text.
func (c *comparison) hashTexts(ctx context.Context) error {
	t := &c.table
	hashes := make([]string, len(c.Texts))
	for i, text := range c.Texts {
		hashes[i] = hashText(text.Content)
		t.Texts = append(t.Texts, text.Name)
	}
	t.TextHash = hashes[0]
	if len(hashes) > 1 {
		t.TextHash = hashJSON(hashes)
	}
	texts, err := calibration.ReadFiles(ctx, c.Calibration)
	if err != nil {
		return err
	}
	for _, text := range texts {
		c.sources = append(c.sources, text.Source)
		t.Calibration = append(t.Calibration, text.Source.SHA256)
		if slices.Contains(hashes, text.Source.SHA256) {
			t.Warnings = append(t.Warnings, fmt.Sprintf("the evaluation text is the calibration text %s; rows of recipes that calibrate look better than they are", text.Source.Name))
		}
	}
	if c.Strict && len(t.Warnings) > 0 {
		return errors.New(t.Warnings[0])
	}
	return nil
}

// openReference opens the full-precision model, checks its weights and hashes its files.
func (c *comparison) openReference() (err error) {
	if c.ref, err = newReference(c.dir, c.pool, c.Texts, c.Window, c.MaxWindows); err != nil {
		return err
	}
	ck := c.ref.model.Checkpoint
	if _, err := ck.Scan(); err != nil {
		return err
	}
	c.ref.files = append([]string{filepath.Join(c.dir, "config.json")}, ck.Files()...)
	for _, f := range c.ref.tok.Files() {
		c.ref.files = append(c.ref.files, filepath.Join(c.dir, f))
	}
	c.inputs, err = checkpoint.HashFiles(c.ref.files...)
	return err
}

func shortHashes(hashes []string) string {
	var out []string
	for _, h := range hashes {
		out = append(out, h[:12])
	}
	return strings.Join(out, "+")
}

func (c *comparison) close() {
	c.ref.close()
	if c.pool != nil {
		c.pool.Close()
	}
	if c.temporary {
		os.RemoveAll(c.Work)
	}
}

// recipes returns the recipes of the rows, in their order.
func (c *comparison) recipes() ([]*recipe.Recipe, error) {
	var out []*recipe.Recipe
	for _, name := range c.Recipes {
		r, err := recipe.Load(name)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
			r.Name = name // two recipe files may have the same name inside
		}
		if c.Ablation == "" {
			out = append(out, r)
			continue
		}
		variants, err := variants(r, c.Ablation, &c.ref.model.Checkpoint.Config)
		if err != nil {
			return nil, err
		}
		out = append(out, variants...)
	}
	return out, nil
}
