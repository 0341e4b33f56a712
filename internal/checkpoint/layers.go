package checkpoint

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// blockPrefix begins the names of the blocks' tensors, followed by the block's number and a
// dot.
const blockPrefix = "model.layers."

// blockOf is the number of the block that a tensor belongs to by its name; false if it is
// in no block. A number too large for an int gives the largest int.
func blockOf(name string) (int, bool) {
	return numberAfter(name, blockPrefix)
}

// numberAfter returns the number between a prefix of a name and the next dot.
func numberAfter(name, prefix string) (int, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	digits, _, ok := strings.Cut(rest, ".")
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, _ := strconv.Atoi(digits) // on overflow, the largest int
	return n, true
}

// checkLayers refuses tensors of blocks that config.json does not have: the model would
// silently run without them.
func (c *Checkpoint) checkLayers() error {
	count, most := 0, -1
	first, firstBlock := "", 0
	for _, name := range c.Names() {
		n, ok := blockOf(name)
		if !ok || n < c.Config.Layers {
			continue
		}
		count++
		if first == "" || n < firstBlock {
			first, firstBlock = name, n
		}
		most = max(most, n)
	}
	if count == 0 {
		return nil
	}
	remedy := "download config.json and weights again"
	if most < maxLayers {
		remedy += fmt.Sprintf(", or set num_hidden_layers to %d if all of the blocks are of this model", most+1)
	}
	return malformed("%s: tensor %q is of block %d, but num_hidden_layers in config.json is %d, expected blocks 0 to %d (%s beyond); config.json and weights do not belong together: %s",
		c.where[first].Path(), first, firstBlock, c.Config.Layers, c.Config.Layers-1, plural.Of(count, "tensor"), remedy)
}
