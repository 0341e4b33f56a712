package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// A model that is opened for use has its weights in large pages, where there are any; its
// logits are those of one that is streamed from the file, with and without threads.
func TestWeightsInLargePages(t *testing.T) {
	for _, group := range []int{0, 16} {
		t.Run(fmt.Sprint("group ", group), func(t *testing.T) { weightsInLargePages(t, group) })
	}
}

func weightsInLargePages(t *testing.T, group int) {
	dir := quantize(t, "4-8-8", "output", group, "0")
	logits := func(o engine.Options) (out []float32, regions int) {
		m, err := engine.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		step := engine.Step{Seq: m.NewSequence(), IDs: []int{1, 2, 3}, Want: engine.WantAll}
		if err := m.Forward(context.Background(), []engine.Step{step}, func(_, _ int, l []float32) error {
			out = append(out, l...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return out, m.LargeRegions()
	}
	pool := parallel.NewPool(3)
	defer pool.Close()
	want, none := logits(engine.Options{Stream: true})
	if none != 0 {
		t.Error("a streamed model in large pages")
	}
	for _, o := range []engine.Options{{}, {Pool: pool}} {
		got, regions := logits(o)
		if !slices.Equal(got, want) {
			t.Error("the logits differ from those of the streamed model")
		}
		if (regions > 0) != engine.LargePagesHere() {
			t.Errorf("%d regions of large pages", regions)
		}
	}
}
