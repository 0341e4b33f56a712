package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Files that a job takes up again, and those of a quantized model, carry sums of their
// own content, so that damage is noticed when they are read and not by what comes of it.
// The sum is CRC-32C, which CPUs compute as fast as memory is read: it is to find
// accidents, not forgeries. A JSON text has one as its last member, a safetensors file
// one of its header and of each tensor (see [WriteSealed]).

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealMark stands before the eight hexadecimal digits of a JSON text's sum.
const sealMark = `"crc32c":"`

// noDigits stand in the place of a sum while it is taken.
const noDigits = "00000000"

// ErrNoSeal says that a text has no sum.
var ErrNoSeal = errors.New("has no sum of its content")

// ErrDamaged says that a content is not the one that its sum was taken of.
var ErrDamaged = errors.New("is damaged")

// Seal gives a JSON object a last member "crc32c", the CRC-32C of the whole text with
// zeros in the place of its eight hexadecimal digits. White space at the end stays.
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

// CheckSeal says whether a text is what [Seal] has made of an object: nil, [ErrNoSeal]
// or [ErrDamaged].
func CheckSeal(text []byte) error {
	at := bytes.LastIndex(text, []byte(sealMark))
	if at < 0 {
		return ErrNoSeal
	}
	at += len(sealMark)
	if len(text) < at+len(noDigits) || string(bytes.Join(bytes.Fields(text[at+len(noDigits):]), nil)) != `"}` {
		return ErrNoSeal // the words are part of something else
	}
	return checkDigits(text, at)
}

// Unseal checks a text and gives the object without its sum.
func Unseal(text []byte) ([]byte, error) {
	if err := CheckSeal(text); err != nil {
		return nil, err
	}
	at := bytes.LastIndex(text, []byte(sealMark))
	body := bytes.TrimRight(text[:at], " \t\r\n")
	return append(bytes.TrimSuffix(bytes.Clone(body), []byte(",")), text[at+len(sealMark)+len(noDigits)+1:]...), nil
}

// digits are the eight hexadecimal digits of a sum.
func digits(sum uint32) string { return fmt.Sprintf("%08x", sum) }

// checkDigits compares the digits at a place of a text with the sum of the text with
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
