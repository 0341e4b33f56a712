package checkpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// SumsKey is the metadata key of a safetensors file that contains its own checksums:
// CRC-32C values of eight hexadecimal digits, separated by spaces. The first one covers the
// header, from the first byte of the file to the beginning of the data, with zeros in place
// of its own eight digits; then there is one for each tensor, in the order of their data.
const SumsKey = "specquant.crc32c"

// WriteSealed is [WriteFile] with the checksums of [SumsKey] in the metadata.
func WriteSealed(path string, tensors []TensorSpec, metadata map[string]string) error {
	all := map[string]string{SumsKey: strings.Repeat(noDigits+" ", len(tensors)) + noDigits}
	for k, v := range metadata {
		all[k] = v
	}
	return writeFile(path, tensors, all, true)
}

// sealMarkOfHeader precedes the checksums in the header's text.
const sealMarkOfHeader = `"` + SumsKey + `":"`

// sealHeader fills in the checksums of the tensors, in the order of their data, and of the
// header itself.
func sealHeader(header []byte, sums []uint32) error {
	at := bytes.Index(header, []byte(sealMarkOfHeader))
	if at < 0 {
		return fmt.Errorf("the header has no place for sums")
	}
	at += len(sealMarkOfHeader)
	for i, s := range sums {
		copy(header[at+(i+1)*(len(noDigits)+1):], digits(s))
	}
	copy(header[at:], digits(crc32.Checksum(header, castagnoli)))
	return nil
}

// readSums checks the header of a file that contains checksums and returns those of its
// tensors, in the order of their data; nil if it contains none. head are the bytes before
// the data.
func readSums(path string, head []byte, h *header) ([]sealedEntry, error) {
	text, ok := h.metadata[SumsKey]
	if !ok {
		return nil, nil
	}
	at := bytes.Index(head, []byte(sealMarkOfHeader))
	fields := strings.Split(text, " ")
	if at < 0 || len(fields) != len(h.entries)+1 || len(text) != len(fields)*(len(noDigits)+1)-1 {
		return nil, damaged("%s: the header's %s has %s, expected one for itself and %s", path, SumsKey, plural.Of(len(fields), "sum"), plural.Of(len(h.entries), "tensor"))
	}
	if err := checkDigits(head, at+len(sealMarkOfHeader)); err != nil {
		return nil, damaged("%s: the header is not the one that was written: its CRC-32C is not %s", path, fields[0])
	}
	sums := make([]sealedEntry, 0, len(h.entries))
	for _, e := range h.entries {
		sums = append(sums, sealedEntry{entry: e})
	}
	slices.SortFunc(sums, func(a, b sealedEntry) int { return byPlace(a.entry, b.entry) })
	for i, f := range fields[1:] {
		v, err := strconv.ParseUint(f, 16, 32)
		if err != nil {
			return nil, damaged("%s: the header's %s has %q, expected eight hexadecimal digits", path, SumsKey, f)
		}
		sums[i].sum = uint32(v)
	}
	return sums, nil
}

// sealedEntry is a tensor with the checksum stored in its file.
type sealedEntry struct {
	*entry
	sum uint32
}

// damaged is an error that is both [ErrMalformed] and [ErrDamaged].
func damaged(format string, a ...any) error {
	return &damagedError{fmt.Sprintf(format, a...)}
}

type damagedError struct{ msg string }

func (e *damagedError) Error() string   { return e.msg }
func (e *damagedError) Unwrap() []error { return []error{ErrMalformed, ErrDamaged} }

// Sealed reports whether the file contains checksums; its header is then known to be
// intact.
func (f *File) Sealed() bool { return f.sums != nil }

// CheckSums reads all tensors, on all CPUs, and compares them with the checksums in the
// file. The error, [ErrDamaged], names the first damaged tensor; a file without checksums
// is [ErrNoSeal].
func (f *File) CheckSums() error { return checkSums([]*File{f}) }

// checkSums does the same for several files at once.
func checkSums(files []*File) error {
	type piece struct {
		f *File
		sealedEntry
	}
	var all []piece
	for _, f := range files {
		if !f.Sealed() {
			return &kindError{ErrNoSeal, fmt.Sprintf("%s: carries no sums of its tensors", f.Path())}
		}
		for _, e := range f.sums {
			all = append(all, piece{f, e})
		}
	}
	// The largest first, so that no thread has a large tensor left at the end.
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(all[b].end-all[b].begin, all[a].end-all[a].begin)
	})
	errs := make([]error, len(all))
	share(len(all), func() func(i int) {
		return func(i int) {
			p := all[order[i]]
			sum, err := p.f.checksum(p.begin, p.end)
			if err == nil && sum != p.sum {
				err = damaged("%s: tensor %q is damaged: its CRC-32C is %08x, expected %08x", p.f.Path(), p.name, sum, p.sum)
			}
			errs[order[i]] = err
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checksum is the CRC-32C of the data from begin to end. What was read is let go, so that
// a file is not in memory as a whole only for its sums.
func (f *File) checksum(begin, end int64) (sum uint32, err error) {
	const piece = 16 << 20
	for at := begin; at < end; at += piece {
		n := min(piece, end-at)
		data, err := f.region.bytes(f.dataOff+at, n)
		if err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, data)
		f.region.release(f.dataOff+at, n)
	}
	return sum, nil
}

// byPlace is the order of tensors in a file; those without data, which share an offset, are
// ordered by name.
func byPlace(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), strings.Compare(a.name, b.name))
}

// CheckFile opens a file that must contain checksums and compares all of them. The error is
// [ErrDamaged], [ErrNoSeal], or one of the operating system.
func CheckFile(path string) error {
	f, err := OpenFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.CheckSums()
}

// summing is a writer that computes the CRC-32C of what is written through it.
type summing struct {
	w   io.Writer
	sum uint32
}

func (s *summing) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.sum = crc32.Update(s.sum, castagnoli, p[:n])
	return n, err
}
