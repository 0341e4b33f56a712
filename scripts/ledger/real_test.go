package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/testmodel"
)

func TestParseReal(t *testing.T) {
	for _, c := range []struct {
		in, want string // want "": an error
	}{
		{"m=dir", "{m dir []}"},
		{"m=a/b,x.gguf,y.gguf", "{m a/b [x.gguf y.gguf]}"},
		{"m", ""}, {"=dir", ""}, {"m=", ""}, {"m=dir,", ""}, {"a/b=dir", ""},
	} {
		got, err := parseReal(c.in)
		if c.want == "" && err == nil || c.want != "" && fmt.Sprint(got) != c.want {
			t.Errorf("%q: got %v, %v", c.in, got, err)
		}
	}
}

func TestWeave(t *testing.T) {
	line := strings.Repeat("x", pieceBytes/2) + "\n" // one fits into a piece, two do not
	got := string(weave([][]byte{[]byte(strings.ReplaceAll(strings.Repeat(line, 4), "x", "a")), []byte("b\n"), []byte("c\nd")}))
	a := strings.ReplaceAll(line, "x", "a")
	if want := a + "\nb\n\nc\nd\n" + a + "\n" + a; got != want {
		t.Errorf("got %q", got)
	}
}

func TestQuestions(t *testing.T) {
	data := t.TempDir()
	write := func(name string, n int) {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "{\"query\": \"Question: %s %d\\n\"}\n", name, i)
		}
		if err := os.WriteFile(filepath.Join(data, "tasks", name+".jsonl"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(data, "tasks"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, name := range questionSets {
		write(name, eachSet*(i+1))
	}
	got, err := questions(data)
	if err != nil || len(got) != eachSet*len(questionSets) {
		t.Fatalf("got %d questions, %v", len(got), err)
	}
	if got[3] != "arc_easy 1" || got[4] != "openbook_qa 2" || got[5] != "piqa 3" {
		t.Errorf("got %q", got[3:6])
	}
	write("piqa", eachSet-1)
	if _, err := questions(data); err == nil || !strings.Contains(err.Error(), "has 39 questions, expected at least 40") {
		t.Errorf("got %v", err)
	}
}

// TestReal: cells are made once, kept ones are read, and what is absent is named.
func TestReal(t *testing.T) {
	work, ctx := t.TempDir(), context.Background()
	dir := filepath.Join(work, "model")
	if err := testmodel.Write(dir, testmodel.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(work, "texts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wiki", "books", "code", "chat"} {
		if err := os.WriteFile(filepath.Join(work, "texts", name+".txt"), []byte(strings.Repeat("a text for "+name+". ", 9)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	l := &ledger{Work: work, Log: &log}
	f := flags{real: []realModel{{Name: "m", Dir: dir}, {Name: "gone", Dir: filepath.Join(work, "gone")}}, bits: []string{"4-4-4"}, recipes: []string{"smoothquant", "quarot"}}
	made, complete, err := l.real(ctx, f)
	if err != nil || complete || len(made) != 3 {
		t.Fatalf("got %d rows, complete %v, %v\n%s", len(made), complete, err, log.String())
	}
	if want := "gone is skipped: " + filepath.Join(work, "gone") + " has no config.json\n"; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, log.String())
	}
	f.kept = true
	kept, _, err := l.real(ctx, f)
	if err != nil || realTables(kept) != realTables(made) {
		t.Errorf("kept: %v\n%s\nmade\n%s", err, realTables(kept), realTables(made))
	}
}

func TestRealTables(t *testing.T) {
	row := func(bits, recipe string, kl, heldOut float64) realRow {
		r := fake(kl, 4.5)
		r.TotalBytes, r.WorstShare, r.HeldOutKL = 91_900_000, 0.021, heldOut
		r.ByText = []compare.Measure{{Text: "wiki", Tokens: 2555, KL: eval.Estimate{Mean: 2 * kl, StdErr: 0.002}}, {Text: "books", Tokens: 2555, KL: eval.Estimate{Mean: kl / 2, StdErr: 0.001}}}
		return realRow{"m", bits, recipe, r}
	}
	got := realTables([]realRow{row("", compare.FullPrecision, 0, 0), row("4-4-4", "quarot", 0.4, 0), row(compare.DefaultBits, defaultRecipe, 0.03, 0.04)})
	const head = "| recipe | bits of linears | MB | wiki | books | all | top-1 | worst thousandth's share | of held-out KL |\n|---|---|---|---|---|---|---|---|---|\n"
	const want = "#### `m` at the size of Q4_0, 2,555 tokens of each text\n\n" + head +
		"| specquant-fast | 4.50 | 91.9 | .0600 ± .0020 | .0150 ± .0010 | .0300 ± .0010 | 75.0 % | 2.1 % | 0.75 |\n\n" +
		"#### `m` at 4-4-4, 2,555 tokens of each text\n\n" + head +
		"| quarot | 4.50 | 91.9 | .8000 ± .0020 | .2000 ± .0010 | .4000 ± .0010 | 75.0 % | 2.1 % | – |\n\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
