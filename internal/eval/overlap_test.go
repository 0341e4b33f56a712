package eval

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/testmodel"
)

func TestOverlaps(t *testing.T) {
	dir := t.TempDir()
	line := func(n string) string { return "A line that is long enough to count, number " + n + ".\n" }
	calib := filepath.Join(dir, "calib.txt")
	known := line("one") + "short\n" + line("two")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(calib, known)
	manifest := func(sources ...checkpoint.FileHash) {
		data, err := json.Marshal(artefact.Manifest{Calibration: &artefact.Calibration{Sources: sources}})
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(dir, artefact.ManifestFile), string(data))
	}
	source := checkpoint.FileHash{Name: calib, Bytes: int64(len(known)), SHA256: TextHash(known)}
	one := func(text string) Overlap {
		t.Helper()
		o, err := Overlaps(dir, text)
		if err != nil || len(o) != 1 {
			t.Fatalf("%v, %v", o, err)
		}
		return o[0]
	}

	if o, err := Overlaps(dir, "x"); err != nil || o != nil {
		t.Errorf("a checkpoint: %v, %v", o, err)
	}
	manifest(source)
	if o := one(known); !o.Same || !o.Any() || o.Share != 1 {
		t.Errorf("the text itself: %+v", o)
	}
	// Two long lines, one of them known; "short" does not count.
	if o := one(line("one") + "short\n" + line("six")); o.Same || o.Lines != 1 || o.Share != .5 || !strings.Contains(o.String(), "50.0 %") {
		t.Errorf("half of it: %+v", o)
	}
	if o := one("short\n" + line("six")); o.Any() || o.Reason != "" {
		t.Errorf("another text: %+v", o)
	}
	write(calib, strings.ToUpper(known))
	if o := one(line("one")); o.Any() || o.Reason == "" {
		t.Errorf("a changed calibration text: %+v", o)
	}
	os.Remove(calib)
	if o := one(line("one")); o.Any() || o.Reason == "" {
		t.Errorf("a missing calibration text: %+v", o)
	}
	if o := one(known); !o.Same {
		t.Errorf("the text itself, under another name: %+v", o)
	}
	d := calibration.Default()
	manifest(checkpoint.FileHash{Name: calibration.DefaultName, Bytes: int64(len(d)), SHA256: TextHash(d)})
	if o := one(d + "\nmore"); o.Same || o.Share < .9 {
		t.Errorf("the embedded text and more: %+v", o)
	}
	write(filepath.Join(dir, artefact.ManifestFile), "{")
	if _, err := Overlaps(dir, "x"); err == nil || !strings.Contains(err.Error(), artefact.ManifestFile) {
		t.Errorf("a damaged manifest: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	hash := func(name string, seed uint64) (model, tok string) {
		d := filepath.Join(dir, name)
		if err := testmodel.Write(d, testmodel.Options{Seed: seed}); err != nil {
			t.Fatal(err)
		}
		ck, err := checkpoint.Open(d)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		if model, err = ModelHash(ck); err != nil {
			t.Fatal(err)
		}
		if tok, err = TokenizerHash(d, []string{"tokenizer.json", "generation_config.json"}); err != nil {
			t.Fatal(err)
		}
		return model, tok
	}
	a, tokA := hash("a", 0)
	again, _ := hash("again", 0)
	b, tokB := hash("b", 1)
	if a != again || a == b || tokA != tokB || len(a) != 64 {
		t.Errorf("models %s %s %s, tokenizers %s %s", a, again, b, tokA, tokB)
	}
	f := Fingerprint{Protocol: GPTQ, Window: 2048, BOS: "BOS once", Windows: 166, Tokens: 339802, Tokenizer: "9f00112233", Text: "aa00112233", Model: "bb00112233", Bits: "4-4-16"}
	if got, want := f.String(), "[gptq, window 2048, BOS once, 166 windows, 339802 tokens, tok 9f001122, text aa001122, model bb001122, bits 4-4-16]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
