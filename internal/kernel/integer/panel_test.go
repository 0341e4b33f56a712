package integer

import (
	"testing"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// Panels stay near the size that the caches want, and there are no more of them than that size
// makes necessary: each unpacks the weights again.
func TestPanels(t *testing.T) {
	for _, tokens := range []int{1, 2, 11, 12, 13, 100, 504, 511, 512, 513, 4096} {
		for _, bytes := range []int{64, 576, 640, 896, 1536, 2048, 4864, 5632, 8192, 14336, 28672, 1 << 20} {
			panel := intPanel(tokens, bytes)
			if panel < 1 || (panel-2*intAMXBlock)*bytes > intPanelBytes() {
				t.Fatalf("%d tokens of %d bytes: panels of %d tokens, %d bytes", tokens, bytes, panel, panel*bytes)
			}
			if n, most := shape.CeilDiv(tokens, panel), shape.CeilDiv(tokens*bytes, intPanelBytes()); n > most {
				t.Errorf("%d tokens of %d bytes: %d panels, %d are enough", tokens, bytes, n, most)
			}
		}
	}
}
