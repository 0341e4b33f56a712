package pipeline

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testmodel"
)

var kills = flag.Int("kills", 12, "how often TestRandomKills kills a job")

// killedDir says to TestRandomKills, in a process of its own, where the job's files lie.
const killedDir = "SPECQUANT_TEST_KILLED"

const killedRecipe = "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 32, propagate: runtime}\n"

// killedOptions are the job of TestRandomKills, whose checkpoint and text lie in dir.
func killedOptions(t *testing.T, dir, out string) Options {
	pool := parallel.NewPool(1)
	t.Cleanup(pool.Close)
	return Options{Dir: filepath.Join(dir, "model"), Out: filepath.Join(dir, out), Recipe: parsed(t, killedRecipe),
		Calibration: []string{filepath.Join(dir, "calibration.txt")}, Pool: pool, Tool: "test"}
}

// TestRandomKills kills a job (SIGKILL, in a process of its own) at random moments, again
// and again until one run comes to its end: the bytes are those of a job left alone.
// -kills says how often.
func TestRandomKills(t *testing.T) {
	if dir := os.Getenv(killedDir); dir != "" {
		fmt.Println("begun")
		if _, err := Run(context.Background(), killedOptions(t, dir, "killed")); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	if err := testmodel.Write(filepath.Join(dir, "model"), testmodel.Options{Hidden: 32, Intermediate: 64, Heads: 2, KVHeads: 2, Layers: 4}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "calibration.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := Run(t.Context(), killedOptions(t, dir, "alone")); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start)
	want, killed := sums(t, filepath.Join(dir, "alone")), filepath.Join(dir, "killed")
	rng := rand.New(rand.NewPCG(16, 4))
	done, late, finished := 0, 0, 0
	for done < *kills || finished == 0 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRandomKills$")
		cmd.Env = append(os.Environ(), killedDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = cmd.Stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		last := done == *kills
		if !last {
			// Once the process has ended, a kill does nothing.
			time.AfterFunc(time.Duration(rng.Float64()*float64(whole)), func() { cmd.Process.Kill() })
		}
		said, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		err = cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() || err != nil && last {
			t.Fatalf("a run that nobody killed, after %d kills: %v\n%s", done, err, said)
		}
		if err != nil {
			done++
		}
		// The folder has its name only when it is complete; a kill can come after that.
		if _, missing := os.Stat(killed); missing != nil {
			if err == nil {
				t.Fatalf("a run ended well and left nothing: %v", missing)
			}
			continue
		}
		if finished++; err != nil {
			late++
		}
		same(t, fmt.Sprintf("after %d kills", done), sums(t, killed), want)
		if err := os.RemoveAll(killed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, of which %d came after the end; %d jobs came to their end", done, late, finished)
}
