package tokenizer

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/specquant/specquant/internal/plural"
)

// Field numbers of sentencepiece_model.proto that are used here.
const (
	modelPieces       = 1
	modelTrainer      = 2
	modelNormalizer   = 3
	modelDenormalizer = 5

	pieceText  = 1
	pieceScore = 2
	pieceType  = 3

	trainerModelType    = 3
	trainerVocabSize    = 4
	trainerSpaceSuffix  = 24
	trainerByteFallback = 35
	trainerUnkID        = 40
	trainerBOSID        = 41
	trainerEOSID        = 42
	trainerPadID        = 43
	trainerUnkPiece     = 45
	trainerBOSPiece     = 46
	trainerEOSPiece     = 47

	normName        = 1
	normCharsMap    = 2
	normDummyPrefix = 3
	normRemoveExtra = 4
	normEscape      = 5

	modelTypeBPE = 2
)

// modelTypes names trainer_spec.model_type.
var modelTypes = map[uint64]string{1: "unigram", 2: "BPE", 3: "word", 4: "char"}

// readSentencePiece reads a SentencePiece tokenizer.model: a ModelProto of
// sentencepiece_model.proto. Unknown fields are skipped, as protobuf requires.
func readSentencePiece(data []byte) ([]Piece, SentencePieceOptions, error) {
	m := spmFile{kind: 1, escape: true,
		options: SentencePieceOptions{AddDummyPrefix: true, RemoveExtraWhitespaces: true, BOS: 1, EOS: 2, AddBOS: true}}
	if err := protoFields(data, m.read); err != nil {
		return nil, m.options, fmt.Errorf("not a SentencePiece model, or a truncated one: %w", err)
	}
	return m.pieces, m.options, m.check()
}

// spmFile is what has been read of a tokenizer.model.
type spmFile struct {
	pieces  []Piece
	options SentencePieceOptions
	kind    uint64 // trainer_spec.model_type
	escape  bool   // normalizer_spec.escape_whitespaces
	trainer bool   // it has a trainer_spec
	refused error  // the last setting that is not supported
}

// read reads a field of the ModelProto.
func (m *spmFile) read(f protoField) error {
	switch f.number {
	case modelPieces:
		return m.readPiece(f)
	case modelTrainer:
		m.trainer = true
		return f.message(m.readTrainer)
	case modelNormalizer:
		return f.message(m.readNormalizer)
	case modelDenormalizer:
		return f.message(func(f protoField) error {
			if f.number == normCharsMap && len(f.bytes) > 0 {
				m.refused = fmt.Errorf("denormalizer_spec has a precompiled_charsmap, which is not supported")
			}
			return nil
		})
	}
	return nil
}

func (m *spmFile) readPiece(f protoField) error {
	if len(m.pieces) >= MaxVocab {
		return fmt.Errorf("has more than %s, the limit", plural.Of(MaxVocab, "piece"))
	}
	p := Piece{Type: PieceNormal}
	err := f.message(func(f protoField) error {
		switch f.number {
		case pieceText:
			p.Text = string(f.bytes)
		case pieceScore:
			p.Score = math.Float32frombits(uint32(f.value))
		case pieceType:
			p.Type = PieceType(min(f.value, 1<<16))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("piece %d: %w", len(m.pieces), err)
	}
	m.pieces = append(m.pieces, p)
	return nil
}

// readTrainer reads a field of the TrainerSpec.
func (m *spmFile) readTrainer(f protoField) error {
	switch f.number {
	case trainerModelType:
		m.kind = f.value
	case trainerSpaceSuffix:
		if f.value != 0 {
			m.refused = fmt.Errorf("trainer_spec.treat_whitespace_as_suffix is not supported")
		}
	case trainerByteFallback:
		m.options.ByteFallback = f.value != 0
	case trainerBOSID:
		m.options.BOS = signedID(f.value)
	case trainerEOSID:
		m.options.EOS = signedID(f.value)
	}
	return nil
}

// readNormalizer reads a field of the NormalizerSpec.
func (m *spmFile) readNormalizer(f protoField) error {
	switch f.number {
	case normCharsMap:
		if len(f.bytes) > 0 {
			m.refused = fmt.Errorf("normalizer_spec has a precompiled_charsmap; only the identity normalizer is supported")
		}
	case normDummyPrefix:
		m.options.AddDummyPrefix = f.value != 0
	case normRemoveExtra:
		m.options.RemoveExtraWhitespaces = f.value != 0
	case normEscape:
		m.escape = f.value != 0
	}
	return nil
}

// check returns an error for a file that is incomplete or not supported.
func (m *spmFile) check() error {
	if len(m.pieces) == 0 {
		return fmt.Errorf("not a SentencePiece model: it has no pieces")
	}
	if !m.trainer { // otherwise the format's defaults would be mistaken for the file's settings
		return fmt.Errorf("SentencePiece model: has %s but no trainer_spec, which comes after them and defines how they are merged; the file is truncated, fetch it again", plural.Of(len(m.pieces), "piece"))
	}
	if m.kind != modelTypeBPE {
		name := modelTypes[m.kind]
		if name == "" {
			name = fmt.Sprint("type ", m.kind)
		}
		return fmt.Errorf("SentencePiece model: %w", unsupported(name, "BPE"))
	}
	if m.refused == nil && !m.escape {
		m.refused = fmt.Errorf("normalizer_spec.escape_whitespaces false is not supported")
	}
	if m.refused != nil {
		return fmt.Errorf("SentencePiece model: %w", m.refused)
	}
	return nil
}

// signedID decodes an int32 as protobuf encodes it; negative ids mean none.
func signedID(v uint64) int {
	if id := int32(uint32(v)); id >= 0 {
		return int(id)
	}
	return -1
}

// WriteSentencePiece writes a tokenizer.model that SentencePiece can open, for vocabularies
// from other sources (GGUF). The pieces are checked as in [NewSentencePiece].
func WriteSentencePiece(w io.Writer, pieces []Piece, o SentencePieceOptions) error {
	if _, err := NewSentencePiece(pieces, o); err != nil {
		return err
	}
	var out []byte
	unk := -1
	for id, p := range pieces {
		var m []byte
		m = protoBytes(m, pieceText, []byte(p.Text))
		m = binary.AppendUvarint(m, pieceScore<<3|wireFixed32)
		m = binary.LittleEndian.AppendUint32(m, math.Float32bits(p.Score))
		if p.Type != PieceNormal {
			m = protoVarint(m, pieceType, uint64(p.Type))
		}
		out = protoBytes(out, modelPieces, m)
		if p.Type == PieceUnknown {
			unk = id
		}
	}
	if unk < 0 {
		return fmt.Errorf("tokenizer: a tokenizer.model needs a piece of type unknown, but there is none")
	}
	var tr []byte
	tr = protoVarint(tr, trainerModelType, modelTypeBPE)
	tr = protoVarint(tr, trainerVocabSize, uint64(len(pieces)))
	tr = protoVarint(tr, trainerByteFallback, protoBool(o.ByteFallback))
	// A negative int32 is encoded with its sign extended to 64 bits, in ten bytes.
	tr = protoVarint(tr, trainerUnkID, uint64(unk))
	tr = protoVarint(tr, trainerBOSID, uint64(int64(o.BOS)))
	tr = protoVarint(tr, trainerEOSID, uint64(int64(o.EOS)))
	tr = protoVarint(tr, trainerPadID, ^uint64(0))
	tr = protoBytes(tr, trainerUnkPiece, []byte(pieces[unk].Text))
	if o.BOS >= 0 {
		tr = protoBytes(tr, trainerBOSPiece, []byte(pieces[o.BOS].Text))
	}
	if o.EOS >= 0 {
		tr = protoBytes(tr, trainerEOSPiece, []byte(pieces[o.EOS].Text))
	}
	out = protoBytes(out, modelTrainer, tr)
	var nm []byte
	nm = protoBytes(nm, normName, []byte("identity"))
	nm = protoVarint(nm, normDummyPrefix, protoBool(o.AddDummyPrefix))
	nm = protoVarint(nm, normRemoveExtra, protoBool(o.RemoveExtraWhitespaces))
	nm = protoVarint(nm, normEscape, 1)
	out = protoBytes(out, modelNormalizer, nm)
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("tokenizer: writing tokenizer.model: %w", err)
	}
	return nil
}
