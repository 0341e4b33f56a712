package input

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// sizeUnits are tried in this order: of two suffixes that match, the longer one comes
// first.
var sizeUnits = []struct {
	suffix string
	bytes  float64
}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"B", 1}, {"", 1}}

// Size parses a number of bytes such as 16GB, 500MiB or 1.5g, at most 2⁶⁰.
func Size(s string) (int64, error) {
	t := strings.ToUpper(strings.TrimSpace(s))
	for _, u := range sizeUnits {
		number, found := strings.CutSuffix(t, u.suffix)
		if !found {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(v >= 0 && v*u.bytes <= 1<<60) {
			break
		}
		return int64(v * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size; write it as 16GB or 500MiB", s)
}

// SizeText writes a number of bytes for people, in the unit that tells most: 512 bytes, 640 kB, 91.9 MB,
// 4.20 GB.
func SizeText(n int64) string {
	switch f := float64(n); {
	case n < 1e3:
		return plural.Of(n, "byte")
	case n < 999_500:
		return fmt.Sprintf("%.0f kB", f/1e3)
	case n < 999_950_000:
		return fmt.Sprintf("%.1f MB", f/1e6)
	default:
		return fmt.Sprintf("%.2f GB", f/1e9)
	}
}
