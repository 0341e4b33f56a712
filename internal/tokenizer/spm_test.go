package tokenizer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

// spmPiece is a piece written as [text, score, type].
type spmPiece Piece

func (p *spmPiece) UnmarshalJSON(b []byte) error {
	parts := []any{&p.Text, &p.Score, &p.Type}
	return json.Unmarshal(b, &parts)
}

type spmVectors struct {
	Pieces   []spmPiece `json:"pieces"`
	Texts    []string   `json:"texts"`
	Variants []struct {
		Name      string               `json:"name"`
		Options   SentencePieceOptions `json:"options"`
		DropBytes bool                 `json:"drop_bytes"`
		Drop      string               `json:"drop"`
		Extra     []spmPiece           `json:"extra"`
		IDs       [][]int              `json:"ids"`
		Decoded   []string             `json:"decoded"`
	} `json:"variants"`
}

func readSPMVectors(t testing.TB) *spmVectors {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "spm_vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	v := &spmVectors{}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// pieces returns the vocabulary of variant i.
func (v *spmVectors) pieces(i int) []Piece {
	x := v.Variants[i]
	var out []Piece
	for _, p := range append(slices.Clone(v.Pieces), x.Extra...) {
		if p.Type == PieceByte && x.DropBytes || strings.Contains(x.Drop, p.Text) {
			continue
		}
		out = append(out, Piece(p))
	}
	return out
}

// TestSentencePieceVectors compares with what SentencePiece gave for files
// that WriteSentencePiece wrote.
func TestSentencePieceVectors(t *testing.T) {
	v := readSPMVectors(t)
	for i, x := range v.Variants {
		t.Run(x.Name, func(t *testing.T) {
			var file bytes.Buffer
			if err := WriteSentencePiece(&file, v.pieces(i), x.Options); err != nil {
				t.Fatal(err)
			}
			pieces, o, err := readSentencePiece(file.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			o.AddBOS = false
			if !slices.Equal(pieces, v.pieces(i)) || o != x.Options {
				t.Fatalf("read back: %d pieces, %+v; wrote %d, %+v", len(pieces), o, len(v.pieces(i)), x.Options)
			}
			tok, err := NewSentencePiece(pieces, o)
			if err != nil {
				t.Fatal(err)
			}
			for k, text := range v.Texts {
				got, err := tok.Encode(text, true)
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				if !slices.Equal(got, x.IDs[k]) {
					t.Errorf("%q: ids\n got %v\nwant %v", text, got, x.IDs[k])
				}
				// Known difference: SentencePiece prints unknown pieces as
				// " ⁇ "; here, as with Hugging Face, they are special and skipped.
				want := strings.ReplaceAll(x.Decoded[k], " ⁇ ", "")
				if d := tok.Decode(x.IDs[k]); d != want {
					t.Errorf("%q: decoded\n got %q\nwant %q", text, d, want)
				}
			}
		})
	}
}

// TestSentencePieceSpecials: BOS, and control pieces written in the text.
func TestSentencePieceSpecials(t *testing.T) {
	v := readSPMVectors(t)
	tok, err := NewSentencePiece(v.pieces(0), DefaultSentencePieceOptions())
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode("a</s><s>a", true)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := tok.ID("▁a")
	if want := []int{1, a, 2, 1, a}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if got := tok.Decode(ids); got != "a a" {
		t.Errorf("decoded %q", got)
	}
	if ids, _ = tok.EncodeOrdinary("<s>"); slices.Contains(ids, 1) || tok.Decode(ids) != "<s>" {
		t.Errorf("EncodeOrdinary: %v", ids)
	}
	if bos, ok := tok.BOS(); bos != 1 || !ok || !slices.Equal(tok.EOS(), []int{2}) {
		t.Errorf("BOS %d %v, EOS %v", bos, ok, tok.EOS())
	}
	if ids, err := tok.Encode("", true); err != nil || !slices.Equal(ids, []int{1}) {
		t.Errorf("empty text: %v, %v", ids, err)
	}
}

func TestSentencePieceRefusals(t *testing.T) {
	v := readSPMVectors(t)
	good := v.pieces(0)
	o := v.Variants[0].Options
	for _, c := range []struct {
		name string
		edit func(p []Piece) []Piece
		want string
	}{
		{"empty", func(p []Piece) []Piece { return nil }, "empty"},
		{"twice", func(p []Piece) []Piece { p[300] = p[299]; return p }, "is also piece 299"},
		{"byte missing", func(p []Piece) []Piece { return append(p[:13], p[14:]...) }, `"<0x0A>" is missing`},
		{"byte name", func(p []Piece) []Piece { p[13].Text = "<0x0a>"; return p }, "named like"},
		{"unused", func(p []Piece) []Piece { p[300].Type = PieceUnused; return p }, "unused"},
		{"type", func(p []Piece) []Piece { p[300].Type = 9; return p }, "type 9"},
		{"score", func(p []Piece) []Piece { p[300].Score = float32(math.NaN()); return p }, "score NaN"},
		{"utf8", func(p []Piece) []Piece { p[300].Text = "\xff"; return p }, "UTF-8"},
		{"no text", func(p []Piece) []Piece { p[300].Text = ""; return p }, "is empty"},
		{"long", func(p []Piece) []Piece { p[300].Text = strings.Repeat("x", 2000); return p }, "limit is 1024"},
		{"unknown", func(p []Piece) []Piece { p[300].Type = PieceUnknown; return p }, "as is piece 0"},
		{"bos", func(p []Piece) []Piece { return p[:259] }, ""},
	} {
		_, err := NewSentencePiece(c.edit(slices.Clone(good)), o)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	bad := o
	bad.BOS = 1 << 20
	if _, err := NewSentencePiece(good, bad); err == nil || !strings.Contains(err.Error(), "BOS id") {
		t.Errorf("BOS outside the vocabulary: %v", err)
	}

	var file bytes.Buffer
	if err := WriteSentencePiece(&file, good, o); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		field []byte // appended: a second trainer_spec or normalizer_spec
		want  string
	}{
		{"unigram", protoBytes(nil, modelTrainer, protoVarint(nil, trainerModelType, 1)), `"unigram" is not supported`},
		{"suffix", protoBytes(nil, modelTrainer, protoVarint(nil, trainerSpaceSuffix, 1)), "treat_whitespace_as_suffix"},
		{"charsmap", protoBytes(nil, modelNormalizer, protoBytes(nil, normCharsMap, []byte("x"))), "precompiled_charsmap"},
		{"escape", protoBytes(nil, modelNormalizer, protoVarint(nil, normEscape, 0)), "escape_whitespaces"},
		{"denormalizer", protoBytes(nil, modelDenormalizer, protoBytes(nil, normCharsMap, []byte("x"))), "denormalizer_spec"},
		{"wire", []byte{modelTrainer<<3 | wireVarint, 1}, "expected a message"},
		{"cut off", []byte{modelPieces<<3 | wireBytes, 100, 1}, "past the end"},
	} {
		data := append(slices.Clone(file.Bytes()), c.field...)
		if _, _, err := readSentencePiece(data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	// The pieces come first: a file that ends among them must not be taken for one
	// whose model type is the format's default.
	for i, cut := 0, 0; ; i++ {
		n := int(file.Bytes()[cut+1]) + 2 // a piece's tag, its length in one byte, itself
		if file.Bytes()[cut] != modelPieces<<3|wireBytes {
			break
		}
		cut += n
		_, _, err := readSentencePiece(file.Bytes()[:cut])
		if err == nil || !strings.Contains(err.Error(), "truncated") || strings.Contains(err.Error(), "unigram") {
			t.Errorf("cut off after piece %d: %v", i, err)
		}
		if _, _, err = readSentencePiece(file.Bytes()[:cut-1]); err == nil || !strings.Contains(err.Error(), "truncated") {
			t.Errorf("cut off within piece %d: %v", i, err)
		}
	}
}

// storiesPieces reads llama2.c's tokenizer.bin: the longest piece's length,
// then per piece a score, a length and the text with ▁ as a space.
func storiesPieces(t testing.TB) []Piece {
	data, err := os.ReadFile(testdata.Path(t, "models", "stories260k", "tok512.bin"))
	if err != nil {
		t.Fatal(err)
	}
	var out []Piece
	for at := 4; at+8 <= len(data); {
		score := math.Float32frombits(binary.LittleEndian.Uint32(data[at:]))
		n := int(binary.LittleEndian.Uint32(data[at+4:]))
		p := Piece{Text: strings.ReplaceAll(string(data[at+8:at+8+n]), " ", "▁"), Score: score, Type: PieceNormal}
		at += 8 + n
		switch id := len(out); {
		case id == 0:
			p.Type = PieceUnknown
		case id <= 2:
			p.Type = PieceControl
			p.Text = strings.TrimSpace(p.Text) // llama2.c puts line ends around <s> and </s>
		case id < 259:
			p.Type = PieceByte
		}
		out = append(out, p)
	}
	return out
}

// TestStories260k encodes as the golden file of the model has it.
func TestStories260k(t *testing.T) {
	pieces := storiesPieces(t)
	if len(pieces) != 512 {
		t.Fatalf("%d pieces, expected 512", len(pieces))
	}
	var file bytes.Buffer
	if err := WriteSentencePiece(&file, pieces, DefaultSentencePieceOptions()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.model"), file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	g := readGolden(t, "stories260k")
	checkGolden(t, tok, g)
	if got := " " + tok.Decode(g.GreedyIDs); got != g.GreedyText {
		t.Errorf("greedy text\n got %q\nwant %q", got, g.GreedyText)
	}
}
