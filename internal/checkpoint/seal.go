package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Files that a resumed job reads, and those of a quantized model, contain checksums of
// their own content, so that damage is noticed on reading and not by its consequences. The
// checksum is CRC-32C, which CPUs compute at memory speed; it detects accidents, not
// forgeries. In a JSON file it is the last member, in a safetensors file there is one for
// the header and one for each tensor (see [WriteSealed]).

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealMark precedes the eight hexadecimal digits of the checksum in a JSON text.
const sealMark = `"crc32c":"`

// noDigits takes the place of the checksum while it is computed.
const noDigits = "00000000"

// ErrNoSeal: a text has no checksum.
var ErrNoSeal = errors.New("has no sum of its content")

// ErrDamaged: a content does not match its checksum.
var ErrDamaged = errors.New("is damaged")

// Seal adds a last member "crc32c" to a JSON object: the CRC-32C of the whole text with
// zeros in place of its eight hexadecimal digits. White space at the end is kept.
func Seal(object []byte) ([]byte, error) {
	body := bytes.TrimRight(object, " \t\r\n")
	if len(body) < 2 || body[0] != '{' || body[len(body)-1] != '}' {
		return nil, errors.New("only a JSON object can be given a sum")
	}
	end := object[len(body):]
	body = body[:len(body)-1]
	inner := bytes.TrimRight(body, " \t\r\n")
	out := append(make([]byte, 0, len(object)+len(sealMark)+16), inner...)
	if len(inner) > 1 {
		out = append(out, ',')
	}
	if len(inner) < len(body) { // indented
		out = append(out, "\n  "...)
	}
	out = append(out, sealMark...)
	at := len(out)
	out = append(append(append(out, noDigits+`"`...), body[len(inner):]...), '}')
	out = append(out, end...)
	copy(out[at:], digits(crc32.Checksum(out, castagnoli)))
	return out, nil
}

// CheckSeal compares a text with the checksum added by [Seal] and returns nil, [ErrNoSeal]
// or [ErrDamaged].
func CheckSeal(text []byte) error {
	at := bytes.LastIndex(text, []byte(sealMark))
	if at < 0 {
		return ErrNoSeal
	}
	at += len(sealMark)
	if len(text) < at+len(noDigits) || string(bytes.Join(bytes.Fields(text[at+len(noDigits):]), nil)) != `"}` {
		return ErrNoSeal // the mark is part of something else
	}
	return checkDigits(text, at)
}

// Unseal checks a text and returns the object without its checksum.
func Unseal(text []byte) ([]byte, error) {
	if err := CheckSeal(text); err != nil {
		return nil, err
	}
	at := bytes.LastIndex(text, []byte(sealMark))
	body := bytes.TrimRight(text[:at], " \t\r\n")
	return append(bytes.TrimSuffix(bytes.Clone(body), []byte(",")), text[at+len(sealMark)+len(noDigits)+1:]...), nil
}

// digits are the eight hexadecimal digits of a checksum.
func digits(sum uint32) string { return fmt.Sprintf("%08x", sum) }

// checkDigits compares the digits at an offset of a text with the checksum of the text with
// zeros there.
func checkDigits(text []byte, at int) error {
	found := string(text[at : at+len(noDigits)])
	sum := crc32.Update(0, castagnoli, text[:at])
	sum = crc32.Update(sum, castagnoli, []byte(noDigits))
	sum = crc32.Update(sum, castagnoli, text[at+len(noDigits):])
	if want, err := strconv.ParseUint(found, 16, 32); err != nil || uint32(want) != sum || digits(sum) != found {
		return ErrDamaged
	}
	return nil
}
