package tokenizer

import (
	"encoding/binary"
	"fmt"
)

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// protoField is one field of a protobuf message.
type protoField struct {
	number int
	wire   int
	value  uint64 // varint, fixed32, fixed64
	bytes  []byte // length-delimited; a slice of the input
}

// message reads the field as a nested message.
func (f protoField) message(visit func(protoField) error) error {
	if f.wire != wireBytes {
		return fmt.Errorf("field %d has wire type %d, expected a message", f.number, f.wire)
	}
	return protoFields(f.bytes, visit)
}

// protoFields calls visit for each field of a message.
func protoFields(data []byte, visit func(protoField) error) error {
	for at := 0; at < len(data); {
		tag, n := binary.Uvarint(data[at:])
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
			return fmt.Errorf("no field tag at byte %d", at)
		}
		at += n
		f := protoField{number: int(tag >> 3), wire: int(tag & 7)}
		switch f.wire {
		case wireVarint:
			if f.value, n = binary.Uvarint(data[at:]); n <= 0 {
				return fmt.Errorf("field %d: broken number at byte %d", f.number, at)
			}
			at += n
		case wireFixed64, wireFixed32:
			size := 8
			if f.wire == wireFixed32 {
				size = 4
			}
			if len(data)-at < size {
				return fmt.Errorf("field %d: cut off at byte %d", f.number, at)
			}
			if size == 8 {
				f.value = binary.LittleEndian.Uint64(data[at:])
			} else {
				f.value = uint64(binary.LittleEndian.Uint32(data[at:]))
			}
			at += size
		case wireBytes:
			size, n := binary.Uvarint(data[at:])
			if n <= 0 || size > uint64(len(data)-at-n) {
				return fmt.Errorf("field %d: its length at byte %d reaches past the end", f.number, at)
			}
			f.bytes = data[at+n : at+n+int(size)]
			at += n + int(size)
		default:
			return fmt.Errorf("field %d: wire type %d at byte %d is not supported", f.number, f.wire, at)
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func protoVarint(b []byte, field int, v uint64) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|wireVarint)
	return binary.AppendUvarint(b, v)
}

func protoBytes(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|wireBytes)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func protoBool(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}
