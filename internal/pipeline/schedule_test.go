package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// TestSchedule: what is done to a model of three blocks, step by step.
func TestSchedule(t *testing.T) {
	c := &checkpoint.Config{HiddenSize: 64, IntermediateSize: 128, Layers: 3, Heads: 4, KVHeads: 2, HeadDim: 16, VocabSize: 300, MaxPositions: 64}
	for _, test := range []struct{ name, yaml, want string }{
		{"rounding", "bits: 4-16-16\nsolve: {method: rtn}\nweights: {layers: [{match: layers.2.*.down_proj, bits: 16}]}\n", `
blocks 0 to 2
  round to nearest, some rows at a time
  write
after the blocks
  write the rest, compare with full precision, rename
`},
		{"rotated", "bits: 4-16-16\nsolve: {method: rtn}\nrotate: {heads: hadamard}\nweights: {layers: [{match: layers.2.*.down_proj, bits: 16}]}\n", `
blocks 0 to 1
  load
  fold rotations
  split, input of q,k,v
  solve self_attn.q_proj to 4 bits
  solve self_attn.k_proj to 4 bits
  solve self_attn.v_proj to 4 bits
  split, input of o
  solve self_attn.o_proj to 4 bits
  split, input of gate,up
  solve mlp.gate_proj to 4 bits
  solve mlp.up_proj to 4 bits
  split, input of down
  solve mlp.down_proj to 4 bits
  write
block 2
  load
  fold rotations
  split, input of q,k,v
  solve self_attn.q_proj to 4 bits
  solve self_attn.k_proj to 4 bits
  solve self_attn.v_proj to 4 bits
  split, input of o
  solve self_attn.o_proj to 4 bits
  split, input of gate,up
  solve mlp.gate_proj to 4 bits
  solve mlp.up_proj to 4 bits
  split, input of down
  leave mlp.down_proj in 16 bits
  write
after the blocks
  write the rest, compare with full precision, rename
`},
		{"all there is", `bits: 4-4-4
weights: {clip: hessian}
smooth: {alpha: [off, 0.5]}
rotate: {cache: balanced, down: hadamard}
branch: {basis: klt, axis: output, components: 4, remove: true, inputs: [mlp]}
solve: {method: gptq, damp: 0.01, correct: stream}
tune: {epochs: 1, batch: 1}
calibration: {propagate: runtime}
`, `
before the blocks
  embed calibration windows
blocks 0 to 1
  load
  statistics
  balance keys
  error of plain rounding
  smooth
  fold rotations
  keep full precision
  second moments, input of q,k,v
  split, input of q,k,v
  fit, input of q,k,v
  diagonal, input of q,k,v
  factor, input of q,k,v
  solve self_attn.q_proj to 4 bits
  solve self_attn.k_proj to 4 bits
  solve self_attn.v_proj to 4 bits
  second moments, input of o
  split, input of o
  fit, input of o
  diagonal, input of o
  factor, input of o
  solve self_attn.o_proj to 4 bits
  second moments, input of gate,up
  basis of branch, input of gate,up
  split, input of gate,up
  remove branch, input of gate,up
  fit, input of gate,up
  diagonal, input of gate,up
  factor, input of gate,up
  solve mlp.gate_proj to 4 bits
  solve mlp.up_proj to 4 bits
  second moments, input of down
  split, input of down
  fit, input of down
  diagonal, input of down
  factor, input of down
  solve mlp.down_proj to 4 bits
  advance full-precision calibration
  tune
  write
  advance calibration
block 2
`},
	} {
		windows := 0
		r := parsed(t, test.yaml)
		if r.NeedsCalibration() {
			windows = 4
		}
		var got strings.Builder
		newSchedule(c, r, windows).Print(&got)
		if want := strings.TrimPrefix(test.want, "\n"); !strings.HasPrefix(got.String(), want) {
			t.Errorf("%s: got\n%s", test.name, got.String())
		}
	}
}

// TestScheduleOfRecipes: every embedded recipe loads, solves and writes each block
// once, calibration moves on between blocks only, and what an earlier run has written
// is decoded and leaves the activations where the whole block would.
func TestScheduleOfRecipes(t *testing.T) {
	c := &checkpoint.Config{HiddenSize: 64, IntermediateSize: 128, Layers: 3, Heads: 4, KVHeads: 2, HeadDim: 16, VocabSize: 300, MaxPositions: 64}
	for _, name := range recipe.Names() {
		r, err := recipe.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		windows := 0
		if r.NeedsCalibration() {
			windows = 4
		}
		s := newSchedule(c, r, windows)
		for i, steps := range s.Blocks {
			count := func(steps []stage.Step, kinds ...stage.Kind) (n int) {
				for _, step := range steps {
					if slices.Contains(kinds, step.Kind) {
						n++
					}
				}
				return n
			}
			loads, solves, rounds := 1, 7, 0
			if name == "rtn" {
				loads, solves, rounds = 0, 0, 1
			}
			if loads == 1 && steps[0].Kind != stepLoad || count(steps, stepLoad) != loads || count(steps, stage.StepSolve) != solves || count(steps, stepRound) != rounds || count(steps, stepWrite) != 1 {
				t.Errorf("%s, block %d: %v", name, i, steps)
			}
			moves := 0
			if windows > 0 && (i < 2 || r.Distil != nil || r.Head.Method == "gptq") {
				moves = 1
			}
			left := resumed(steps)
			if count(steps, stepAdvance, stepAdvanceFull) != moves || count(left, stepAdvance, stepAdvanceFull) != moves {
				t.Errorf("%s, block %d: calibration moves on %v, resumed %v", name, i, steps, left)
			}
			reference := 0
			if moves == 1 && r.Fitting() {
				reference = 1
			}
			again := 0 // where layers are fitted, the full-precision block is made again first
			if reference == 1 && count(steps, stage.StepFit) > 0 {
				again = 1
			}
			if count(left, stepAdvanceReference) != reference || count(left, stepDecode) != 1 || again == 0 && left[0].Kind != stepDecode ||
				count(left, stepLoad) != again || count(left, stage.StepKeep) != again || count(left, stepWrite, stage.StepSolve, stage.StepTune) != 0 {
				t.Errorf("%s, block %d: resumed %v", name, i, left)
			}
		}
	}
}
