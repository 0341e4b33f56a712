package artefact

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestActivationGroup(t *testing.T) {
	for _, c := range []struct {
		act, weights, bits int
		ok                 bool
	}{
		{0, 0, 8, true}, {0, 24, 4, true}, {16, 0, 4, true}, {32, 128, 4, true}, {128, 64, 4, true}, {64, 64, 4, true}, {16, 8, 4, true},
		{32, 0, 8, false}, {32, 0, 16, false}, {24, 0, 4, false}, {8, 0, 4, false}, {-16, 0, 4, false}, {256, 0, 4, false},
		{32, 48, 4, false}, {32, 24, 4, false},
	} {
		text := fmt.Sprintf(`{"quant_method":"specquant","format_version":2,"bits":{"weights":4,"activations":%d,"kv":16},"group_size":%d,"activation_clip":0.9,"activation_group":%d,"head_bits":16}`,
			c.bits, c.weights, c.act)
		q, err := ParseQuantization(json.RawMessage(text), "config.json")
		if (err == nil) != c.ok {
			t.Errorf("%+v: error %v", c, err)
		}
		if err == nil && (q.ActGrid().Group != c.act || q.ActGrid().Bits != c.bits || q.ActGrid().Clip != 0.9) {
			t.Errorf("%+v: grid %+v", c, q.ActGrid())
		}
	}
}
