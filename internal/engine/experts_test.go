package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testmodel"
)

// ggufSums are of the files that gguf-py has written: the output of
// testmodel/families/make_gguf.py.
var ggufSums = map[string]string{
	"mixtral-F16":        "72f11a0a23c6d878aa07b76cd88524e2dc2e743ba6e7c8f42b844926d4d00ee5",
	"mixtral-Q8_0":       "0b32506a4e9e89c7594848400518102a6f817c4914fee8215467d7843b612943",
	"qwen3-moe-all-F16":  "e50e2d917e8b77c401f21511955ec034d592fe755145c6e182d11f3990c011f9",
	"qwen3-moe-all-Q8_0": "62005eeed1ee161d90170de0583af81f3fd63bbef2c6f30929725ad50db672ec",
	"olmoe-F16":          "10e65ec9d543f7122f849488fcad74388ffbbf32585b7657bd777b274714559e",
	"olmoe-Q8_0":         "fdcde12fea490ef765f630d303cb1760308c4777bfbafd0d0658382fc567f327",
}

// textLogits are the logits of all tokens of a text, fed in pieces.
func textLogits(t *testing.T, m *Model, ids []int, piece int) []float32 {
	t.Helper()
	var all []float32
	seq := m.NewSequence()
	for first := 0; first < len(ids); first += piece {
		err := m.Forward(t.Context(), []Step{{Seq: seq, IDs: ids[first:min(first+piece, len(ids))], Want: WantAll}}, func(_, _ int, l []float32) error {
			all = append(all, l...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestExpertsGGUF: GGUF files of models with experts, byte for byte what gguf-py writes,
// give the goldens' logits as nearly as their types allow, and so do the folders that
// they are imported into.
func TestExpertsGGUF(t *testing.T) {
	// Of logits up to 4; in 8 bits a token near the border of two experts may go to the other.
	most := map[string]float64{"F16": 5e-3, "Q8_0": 0.25}
	seen := 0
	for _, f := range testmodel.Families() {
		for _, kind := range testmodel.GGUFKinds {
			if !f.HasGGUF() {
				continue
			}
			seen++
			t.Run(f.Name+"-"+kind, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "m.gguf")
				if err := f.WriteGGUF(path, kind); err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != ggufSums[f.Name+"-"+kind] {
					t.Fatalf("the file has sha256 %x, gguf-py's has %s", sum, ggufSums[f.Name+"-"+kind])
				}
				folder := filepath.Join(t.TempDir(), "folder")
				if err := checkpoint.ImportGGUF(path, folder, nil); err != nil {
					t.Fatal(err)
				}
				for _, dir := range []string{path, folder} {
					m, err := Open(dir, Options{Context: len(f.IDs)})
					if err != nil {
						t.Fatal(err)
					}
					defer m.Close()
					logits, worst := textLogits(t, m, f.IDs, len(f.IDs)), 0.0
					for i, v := range f.Last {
						worst = max(worst, math.Abs(v-float64(logits[len(logits)-len(f.Last)+i])))
					}
					t.Logf("%s: largest deviation %.2g", filepath.Base(dir), worst)
					if !(worst <= most[kind]) {
						t.Errorf("%s: logits deviate by %v, expected at most %v", filepath.Base(dir), worst, most[kind])
					}
				}
			})
		}
	}
	if seen != len(ggufSums) {
		t.Errorf("%d files tested, expected %d", seen, len(ggufSums))
	}
}

// TestExpertsSameBits: what a model with experts says of a token is the same, to the bit,
// for any number of threads, any company in the batch and any cut of the text, in full
// precision and with a GGUF file's integers.
func TestExpertsSameBits(t *testing.T) {
	for _, name := range []string{"mixtral", "olmoe"} {
		f := testmodel.FamilyNamed(name)
		dir, file := filepath.Join(t.TempDir(), "m"), filepath.Join(t.TempDir(), "m.gguf")
		if err := f.Write(dir); err != nil {
			t.Fatal(err)
		}
		if err := f.WriteGGUF(file, "Q8_0"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, file} {
			sameBits(t, path, f.IDs)
		}
	}
}

// sameBits holds the logits of a text to themselves: on one thread and three, in pieces,
// and beside another text.
func sameBits(t *testing.T, path string, ids []int) {
	t.Helper()
	var want []float32
	for _, threads := range []int{1, 3} {
		pool := parallel.NewPool(threads)
		defer pool.Close()
		m, err := Open(path, Options{Pool: pool, Context: len(ids)})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, piece := range []int{len(ids), 1, 7} {
			got := textLogits(t, m, ids, piece)
			if want == nil {
				want = got
			}
			for i, v := range got {
				if math.Float32bits(v) != math.Float32bits(want[i]) {
					t.Fatalf("%s, %d threads, pieces of %d: logit %d is %v, expected %v", filepath.Base(path), threads, piece, i, v, want[i])
				}
			}
		}
		other := make([]int, len(ids))
		for i, id := range ids {
			other[len(ids)-1-i] = id
		}
		var got []float32
		err = m.Forward(t.Context(), []Step{{Seq: m.NewSequence(), IDs: other}, {Seq: m.NewSequence(), IDs: ids, Want: WantAll}}, func(_, _ int, l []float32) error {
			got = append(got, l...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("%s, %d threads, beside another text: logit %d is %v, expected %v", filepath.Base(path), threads, i, v, want[i])
			}
		}
	}
}
