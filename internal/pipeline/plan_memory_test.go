package pipeline

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/testdata"
	"github.com/specquant/specquant/internal/testmodel"
)

// memoryRecipe says to TestPlanMemory, in a process of its own, which recipe to run.
const memoryRecipe = "SPECQUANT_TEST_MEMORY"

// TestPlanMemory compares the plan with what a process really takes: how much memory was
// resident at most, as the system counts it. Nothing is allowed beside the plan. What the
// planned parts have taken more than planned is garbage, which the collector's limit
// ([Plan.Limit]) allows as long as Go's runtime takes less than its share of
// [programBytes].
func TestPlanMemory(t *testing.T) {
	if name := os.Getenv(memoryRecipe); name != "" {
		memoryChild(t, name)
		return
	}
	if _, err := os.Stat("/proc/self/status"); err != nil || raceDetector {
		t.Skip("the peak is told by /proc/self/status, and the race detector's memory is not planned")
	}
	testdata.Path(t, "models", "books-1m")
	for _, name := range []string{"awq", "awq 43", "svdquant", "specquant-fast", "rtn", wideRTN} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestPlanMemory$", "-test.v")
			cmd.Env = append(os.Environ(), memoryRecipe+"="+name)
			out, err := cmd.CombinedOutput()
			found := regexp.MustCompile(`planned (\d+) peak (\d+) grown (\d+)`).FindSubmatch(out)
			if err != nil || found == nil {
				t.Fatalf("%v\n%s", err, out)
			}
			planned, _ := strconv.ParseFloat(string(found[1]), 64)
			peak, _ := strconv.ParseFloat(string(found[2]), 64)
			grown, _ := strconv.ParseFloat(string(found[3]), 64)
			t.Logf("planned %.1f MB, the peak was %.1f MB, the growth from start to peak %.1f MB", planned/1e6, peak/1e6, grown/1e6)
			if peak > planned {
				t.Errorf("the process took %.1f MB, planned were %.1f MB", peak/1e6, planned/1e6)
			}
			if beside := planned - programBytes; beside > 1.4*grown+2e6 {
				t.Errorf("planned %.1f MB beside the program, the process grew by %.1f MB only", beside/1e6, grown/1e6)
			}
			if beside := planned - programBytes; name == wideRTN && beside > 1.15*grown {
				t.Errorf("planned %.1f MB beside the program, the process grew by %.1f MB only", beside/1e6, grown/1e6)
			}
		})
	}
}

// wideRTN is rtn on a block that is wide enough for its weights to be most of the plan.
const wideRTN = "rtn wide"

func memoryChild(t *testing.T, name string) {
	dir := testdata.Path(t, "models", "books-1m")
	if name == wideRTN {
		name, dir = "rtn", t.TempDir()
		if err := testmodel.Write(dir, testmodel.Options{Hidden: 2048, Intermediate: 8192, Layers: 2, Heads: 16, KVHeads: 4, Context: 512, DType: checkpoint.BF16}); err != nil {
			t.Fatal(err)
		}
	}
	name, limit, limited := strings.Cut(name, " ")
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	r.Calibration.Samples = 32
	pool := parallel.NewPool(2)
	defer pool.Close()
	o := Options{Dir: dir, Out: filepath.Join(t.TempDir(), "out"), Recipe: r, Pool: pool}
	if limited {
		mb, _ := strconv.Atoi(limit)
		o.MaxMemory = int64(mb) * 1e6
	}
	plan, err := PlanJob(o)
	if err != nil {
		t.Fatal(err)
	}
	if limited && plan.Spill == 0 {
		t.Error("nothing is spilled")
	}
	defer plan.Limit()()
	freeMemory()
	before := resident(t, "VmRSS")
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // what was the peak before is not to count
		t.Logf("the peak is that of the whole process: %v", err)
	}
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	peak := resident(t, "VmHWM")
	fmt.Printf("planned %d peak %d grown %d\n", plan.Peak, peak, peak-before)
}

// resident is a line of /proc/self/status, in bytes.
func resident(t *testing.T, name string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(name + `:\s*(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no %s in /proc/self/status", name)
	}
	kB, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kB << 10
}

// The plan of a model too large for any test counts what grows with its width.
func TestPlanWide(t *testing.T) {
	c := wideConfig()
	items := func(name string) map[string]int64 {
		r, err := recipe.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPlan(c, 13e9, 5e8, 0, r, 2, 128, 2048, 0)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]int64{}
		var sum int64
		for _, i := range p.Memory {
			m[i.Name] = i.Bytes
			sum += i.Bytes
		}
		if sum != p.Peak {
			t.Errorf("%s: parts are %d bytes, the peak is %d", name, sum, p.Peak)
		}
		return m
	}
	// The MLP's two readers: one copy in float64 for the singular vectors, one of
	// both together and one of what rounding leaves in float32.
	readers := int64(2 * 11008 * 4096)
	r, err := recipe.Load("svdquant")
	if err != nil {
		t.Fatal(err)
	}
	if got := stage.LowRankBytes(r.Branch, 2*11008, 4096, 32); got < 16*readers || got > 18*readers {
		t.Errorf("svdquant: %d bytes for a low-rank branch of %d weights", got, readers)
	}
	// The factor lies in the Hessian, and a layer is solved in what the factor leaves of it.
	gptq := items("gptq")
	if got := gptq["the largest layer, column by column"]; got != 0 {
		t.Errorf("gptq: %d bytes for a layer that is solved", got)
	}
	if got := gptq["Hessian of the widest input"] + gptq["factor of the widest Hessian"]; got < 8*11008*11008 || got > 9*11008*11008 {
		t.Errorf("gptq: %d bytes for a Hessian and its factor", got)
	}
	// The exact outputs of the attention are less than a clip search over a layer.
	if got := items("awq")["AWQ's search for clips"]; got < 4*11008*4096 {
		t.Errorf("awq: %d bytes for a copy of the largest layer and more", got)
	}
	if got := items("specquant")["the branch's channels"]; got < 2*8*64*11008 {
		t.Errorf("specquant: %d bytes for 64 channels of each thread", got)
	}
	if got := items("specquant-fast")["operands of products, packed"]; got < 2*2*(640<<10) {
		t.Errorf("specquant-fast: %d bytes for packed operands", got)
	}
}
