package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

func TestOpenFileRefuses(t *testing.T) {
	one := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	two := func(a, b string) string {
		return `{"a":{"dtype":"F32","shape":[2],"data_offsets":` + a + `},"b":{"dtype":"F32","shape":[2],"data_offsets":` + b + `}}`
	}
	shape := func(s string) string { return `{"a":{"dtype":"F32","shape":` + s + `,"data_offsets":[0,8]}}` }
	huge := binary.LittleEndian.AppendUint64(nil, 1<<62)
	long := binary.LittleEndian.AppendUint64(nil, 1000)
	tests := []struct {
		name  string
		data  []byte
		kind  error
		parts []string
	}{
		{"empty", nil, ErrMalformed, []string{"empty"}},
		{"short", []byte("abc"), ErrMalformed, []string{"truncated"}},
		{"huge header", append(huge, "{}"...), ErrMalformed, []string{"4611686018427387904", "at most 100000000"}},
		{"header beyond file", append(long, "{}"...), ErrMalformed, []string{"truncated", "up to 1008", "file has 10"}},
		{"negative header", bytes.Repeat([]byte{0xff}, 16), ErrMalformed, []string{"18446744073709551615"}},
		{"lfs pointer", []byte("version https://git-lfs.github.com/spec/v1\n"), ErrMalformed, []string{"git lfs pull"}},
		{"pickle", []byte("PK\x03\x04............"), ErrMalformed, []string{"pickle"}},
		{"gguf", []byte("GGUF\x03\x00\x00\x00....."), ErrMalformed, []string{"specquant import"}},
		{"no brace", rawSafetensors(` {}`, 0), ErrMalformed, []string{"'{'"}},
		{"bad json", rawSafetensors(`{"a":`, 0), ErrMalformed, nil},
		{"array", rawSafetensors(`{"a":[]}`, 0), ErrMalformed, []string{"object"}},
		{"not utf8", rawSafetensors("{\"\xff\":1}", 0), ErrMalformed, []string{"UTF-8"}},
		{"garbage after", rawSafetensors(one+"x", 8), ErrMalformed, []string{"padding"}},
		{"truncated", rawSafetensors(one, 7), ErrMalformed, []string{"truncated", `tensor "a"`, "up to 70, file has 69"}},
		{"oversized", rawSafetensors(one, 9), ErrMalformed, []string{"oversized", "70", "71"}},
		{"no tensors but data", rawSafetensors(`{}`, 4), ErrMalformed, []string{"oversized"}},
		{"overlap", rawSafetensors(two("[0,8]", "[4,12]"), 12), ErrMalformed, []string{`"b"`, "overlaps", `"a"`}},
		{"same place", rawSafetensors(two("[0,8]", "[0,8]"), 8), ErrMalformed, []string{"overlaps"}},
		{"hole", rawSafetensors(two("[0,8]", "[12,20]"), 20), ErrMalformed, []string{"hole of 4 bytes", `"b"`}},
		{"hole at start", rawSafetensors(two("[4,12]", "[12,20]"), 20), ErrMalformed, []string{"hole"}},
		{"unknown dtype", rawSafetensors(`{"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}`, 8), ErrUnsupported, []string{`"a"`, `"Q4"`, "BF16"}},
		{"null dtype", rawSafetensors(`{"a":{"dtype":null,"shape":[2],"data_offsets":[0,8]}}`, 8), ErrMalformed, []string{"null"}},
		{"missing dtype", rawSafetensors(`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8), ErrMalformed, []string{"dtype is missing"}},
		{"missing shape", rawSafetensors(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8), ErrMalformed, []string{"shape is missing"}},
		{"missing offsets", rawSafetensors(`{"a":{"dtype":"F32","shape":[2]}}`, 8), ErrMalformed, []string{"data_offsets is missing"}},
		{"unknown field", rawSafetensors(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8), ErrMalformed, []string{`"x"`}},
		{"size mismatch", rawSafetensors(shape("[3]"), 8), ErrMalformed, []string{"span 8 bytes, expected 12", "[3]"}},
		{"negative shape", rawSafetensors(shape("[-2]"), 8), ErrMalformed, []string{"dimension 0 is -2"}},
		{"negative product", rawSafetensors(shape("[-1,-2]"), 8), ErrMalformed, []string{"-1"}},
		{"overflow", rawSafetensors(shape("[4294967296,4294967296]"), 8), ErrMalformed, []string{"overflows"}},
		{"overflow to zero", rawSafetensors(shape("[4611686018427387904,4]"), 8), ErrMalformed, []string{"overflows"}},
		{"byte overflow", rawSafetensors(shape("[4611686018427387905]"), 8), ErrMalformed, []string{"overflows"}},
		{"beyond int64", rawSafetensors(shape("[99999999999999999999]"), 8), ErrMalformed, []string{"whole number"}},
		{"float shape", rawSafetensors(shape("[2.0]"), 8), ErrMalformed, []string{"2.0"}},
		{"quoted shape", rawSafetensors(shape(`["2"]`), 8), ErrMalformed, []string{"whole number"}},
		{"null shape", rawSafetensors(shape(`null`), 8), ErrMalformed, []string{"list"}},
		{"rank", rawSafetensors(shape("["+strings.Repeat("1,", 40)+"2]"), 8), ErrMalformed, []string{"at most 32"}},
		{"offsets reversed", rawSafetensors(two("[8,0]", "[8,16]"), 16), ErrMalformed, []string{"begin <= end"}},
		{"offsets negative", rawSafetensors(two("[-8,0]", "[0,8]"), 8), ErrMalformed, []string{"begin"}},
		{"three offsets", rawSafetensors(two("[0,4,8]", "[0,8]"), 8), ErrMalformed, []string{"at most 2"}},
		{"one offset", rawSafetensors(two("[0]", "[0,8]"), 8), ErrMalformed, []string{"found 1"}},
		{"duplicate tensor", rawSafetensors(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), ErrMalformed, []string{`"a" appears twice`}},
		{"duplicate by escape", rawSafetensors(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), ErrMalformed, []string{"twice"}},
		{"duplicate field", rawSafetensors(`{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrMalformed, []string{`"dtype" appears twice`}},
		{"metadata number", rawSafetensors(`{"__metadata__":{"k":1}}`, 0), ErrMalformed, []string{"__metadata__", "string"}},
		{"duplicate metadata", rawSafetensors(`{"__metadata__":{"k":"1","k":"2"}}`, 0), ErrMalformed, []string{"twice"}},
		{"packed type not whole", rawSafetensors(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1), ErrMalformed, []string{"not whole"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := writeTemp(t, "x.safetensors", tt.data)
			f, err := OpenFile(p)
			if err == nil {
				f.Close()
			}
			wantErr(t, err, tt.kind, append(tt.parts, p)...)
		})
	}
	if _, err := OpenFile(t.TempDir()); err == nil {
		t.Error("a folder was opened as a file")
	}
}

func TestOpenFileAccepts(t *testing.T) {
	h := `{"__metadata__":{"format":"pt"},"z":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},` +
		`"b":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[4,6]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},` +
		`"c":{"dtype":"F4","shape":[4],"data_offsets":[6,8]}}   `
	f, err := OpenFile(writeTemp(t, "x.safetensors", rawSafetensors(h, 8)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Names(); !slices.Equal(got, []string{"a", "b", "c", "z"}) {
		t.Errorf("names %v", got)
	}
	if f.Metadata["format"] != "pt" || f.Bytes() != 8 {
		t.Errorf("metadata %v, %d bytes", f.Metadata, f.Bytes())
	}
	a, _ := f.Tensor("a")
	z, _ := f.Tensor("z")
	if a.Elems() != 1 || len(a.Data) != 4 || z.Elems() != 0 || len(z.Data) != 0 {
		t.Errorf("scalar %+v, empty %+v", a, z)
	}
	z.Release()
	b, _ := f.Tensor("b")
	wantErr(t, b.Float32(make([]float32, 2)), ErrUnsupported, "F8_E4M3", `"b"`)
	if _, ok := f.Tensor("nope"); ok {
		t.Error("found a tensor that is not there")
	}
}

// A small file that claims giant tensors must not make the reader allocate.
func TestOpenFileDoesNotAllocateClaims(t *testing.T) {
	h := `{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`
	for name, data := range map[string][]byte{
		"tensor": rawSafetensors(h, 8),
		"header": append(binary.LittleEndian.AppendUint64(nil, maxHeader), '{', '}'),
	} {
		p := writeTemp(t, "x.safetensors", data)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := OpenFile(p)
		runtime.ReadMemStats(&after)
		wantErr(t, err, ErrMalformed, "truncated")
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: allocated %d bytes for a file of %d", name, n, len(data))
		}
	}
}

func TestWriteFileRoundTrip(t *testing.T) {
	dir := t.TempDir()
	w := floats(t, BF16, make([]float32, 32)...)
	specs := []TensorSpec{
		{Name: "odd.u8", DType: U8, Shape: []int{3}, Data: []byte{1, 2, 3}},
		{Name: "scale <&>\u2028", DType: F32, Shape: []int{3}, Data: floats(t, F32, 1, 2, 3)},
		{Name: "w", DType: BF16, Shape: []int{2, 16}, Write: func(o io.Writer) error {
			for i := range w {
				if _, err := o.Write(w[i : i+1]); err != nil {
					return err
				}
			}
			return nil
		}},
		{Name: "f64", DType: F64, Shape: []int{1}, Data: make([]byte, 8)},
		{Name: "packed", DType: U8, Shape: []int{128}, Data: bytes.Repeat([]byte{7}, 128)},
		{Name: "empty", DType: F16, Shape: []int{0, 5}},
	}
	meta := map[string]string{"b": "2", "a": "1", "quote\"": "\n"}
	p1, p2 := filepath.Join(dir, "1.safetensors"), filepath.Join(dir, "2.safetensors")
	for _, p := range []string{p1, p2} {
		if err := WriteFile(p, specs, meta); err != nil {
			t.Fatal(err)
		}
	}
	b1, _ := os.ReadFile(p1)
	b2, _ := os.ReadFile(p2)
	if !bytes.Equal(b1, b2) {
		t.Error("two runs wrote different bytes")
	}
	f, err := OpenFile(p1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !reflect.DeepEqual(f.Metadata, meta) {
		t.Errorf("metadata %v, expected %v", f.Metadata, meta)
	}
	if f.dataOff%dataAlign != 0 {
		t.Errorf("data begins at %d", f.dataOff)
	}
	for _, s := range specs {
		got, ok := f.Tensor(s.Name)
		if !ok || got.DType != s.DType || !slices.Equal(got.Shape, s.Shape) {
			t.Errorf("tensor %q: found %+v, expected %+v", s.Name, got, s)
			continue
		}
		want := s.Data
		if s.Write != nil {
			want = w
		}
		if !bytes.Equal(got.Data, want) {
			t.Errorf("tensor %q: other bytes", s.Name)
		}
		align := int64(s.DType.Size())
		if len(want)%dataAlign == 0 {
			align = dataAlign
		}
		if got.off%align != 0 {
			t.Errorf("tensor %q at %d, expected a multiple of %d", s.Name, got.off, align)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("temporaries left: %v", left)
	}
}

func TestWriteFileRefuses(t *testing.T) {
	u8 := func(name string) TensorSpec {
		return TensorSpec{Name: name, DType: U8, Shape: []int{2}, Data: []byte{1, 2}}
	}
	write := func(n int, err error) []TensorSpec {
		return []TensorSpec{{Name: "w", DType: U8, Shape: []int{4}, Write: func(o io.Writer) error {
			if _, err := o.Write(make([]byte, n)); err != nil {
				return err
			}
			return err
		}}}
	}
	tests := map[string]struct {
		specs []TensorSpec
		part  string
	}{
		"duplicate": {[]TensorSpec{u8("a"), u8("a")}, `"a"`},
		"reserved":  {[]TensorSpec{u8("__metadata__")}, "reserved"},
		"no name":   {[]TensorSpec{u8("")}, "empty"},
		"not utf8":  {[]TensorSpec{u8("\xff")}, "UTF-8"},
		"dtype":     {[]TensorSpec{{Name: "a", DType: "Q4", Shape: []int{1}, Data: []byte{1}}}, "Q4"},
		"negative":  {[]TensorSpec{{Name: "a", DType: U8, Shape: []int{-1}}}, "[-1]"},
		"length":    {[]TensorSpec{{Name: "a", DType: F32, Shape: []int{1}, Data: []byte{1}}}, "expected 4"},
		"too few":   {write(3, nil), "1 byte of 4 not written"},
		"too many":  {write(5, nil), "1 byte more"},
		"its error": {write(4, fmt.Errorf("boom")), "boom"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			wantErr(t, WriteFile(filepath.Join(dir, "x.safetensors"), tt.specs, nil), nil, tt.part, "x.safetensors")
			if list, _ := os.ReadDir(dir); len(list) > 0 {
				t.Errorf("left behind: %v", list)
			}
		})
	}
}

func TestRealFiles(t *testing.T) {
	for _, m := range []struct {
		dir    string
		dtype  DType
		params int
	}{{"tinystories-656k", F32, 656000}, {"books-1m", BF16, 1000000}} {
		c, err := Open(testdata.Path(t, "models", m.dir))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Check(); err != nil {
			t.Error(err)
		}
		n := 0
		for _, name := range c.Names() {
			x, err := c.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			if x.DType != m.dtype {
				t.Errorf("%s: %s is %s", m.dir, name, x.DType)
			}
			if err := x.Float32(make([]float32, x.Elems())); err != nil {
				t.Error(err)
			}
			n += x.Elems()
			x.Release()
		}
		if n < m.params*99/100 || n > m.params*102/100 {
			t.Errorf("%s: %d parameters, expected about %d", m.dir, n, m.params)
		}
		if extra := c.Extra(); len(extra) > 0 {
			t.Errorf("%s: extra tensors %v", m.dir, extra)
		}
	}
}
