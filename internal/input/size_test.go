package input

import "testing"

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 kB", 49_999: "50 kB", 512_345: "512 kB", 999_499: "999 kB",
		999_999: "1.0 MB", 6_250_000: "6.2 MB", 999_949_999: "999.9 MB", 999_999_999: "1.00 GB", 4_200_000_000: "4.20 GB"} {
		if got := SizeText(n); got != want {
			t.Errorf("%d bytes: found %q, expected %q", n, got, want)
		}
		if back, err := Size(want); n >= 1e6 && n < 10e6 && (err != nil || back < n*99/100 || back > n*101/100) {
			t.Errorf("%q: read back as %d, %v", want, back, err)
		}
	}
}
