package tasks

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/specquant/specquant/internal/testdata"
)

func find(t testing.TB, name string) *Task {
	t.Helper()
	task, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// TestSchemas: one record of each published schema, of each other form of it,
// and of the pre-formatted one, with the prompt and choices that lm-eval 0.4.4
// makes of it.
func TestSchemas(t *testing.T) {
	for _, c := range []struct {
		task, line string
		contexts   []string
		rest       []string
		gold       int
	}{
		{"boolq", `{"question":"is it so","passage":"P.","idx":0,"label":1}`, []string{"P.\nQuestion: is it so?\nAnswer:"}, []string{" no", " yes"}, 1},
		{"boolq", `{"question":"is it so","passage":"P.","answer":false}`, []string{"P.\nQuestion: is it so?\nAnswer:"}, []string{" no", " yes"}, 0},
		{"boolq", `{"query":"Passage: P.\nQuestion: is it so?","choices":["no","yes"],"gold":1}`, []string{"P.\nQuestion: is it so?\nAnswer:"}, []string{" no", " yes"}, 1},
		{"hellaswag", `{"activity_label":"Roof","ctx_a":"A man  sits.","ctx_b":"he Is","endings":["up [title] on","[step] down","c","d"],"label":"3"}`,
			[]string{"Roof: A man sits. He is"}, []string{" up. on", "  down", " c", " d"}, 3},
		{"hellaswag", `{"activity_label":"Roof","ctx_a":"A","ctx_b":"","endings":["a","b"],"label":1}`, []string{"Roof: A"}, []string{" a", " b"}, 1},
		{"lambada", `{"text":"He said his name was  Bob"}`, []string{"He said his name was "}, []string{" Bob"}, 0},
		{"lambada", `{"context":"his name was","continuation":"Bob"}`, []string{"his name was"}, []string{" Bob"}, 0},
		{"openbookqa", `{"id":"1","question_stem":"Sky is","choices":{"text":["red","blue"],"label":["A","B"]},"answerKey":" B"}`, []string{"Sky is"}, []string{" red", " blue"}, 1},
		{"openbookqa", `{"id":"1","question":{"stem":"Sky is","choices":[{"text":"red","label":"A"},{"text":"blue","label":"B"}]},"answerKey":"A"}`, []string{"Sky is"}, []string{" red", " blue"}, 0},
		{"openbookqa", `{"query":"Sky is","choices":["red","blue"],"gold":0}`, []string{"Sky is"}, []string{" red", " blue"}, 0},
		{"piqa", `{"goal":"cut","sol1":"knife","sol2":"spoon","label":0}`, []string{"Question: cut\nAnswer:"}, []string{" knife", " spoon"}, 0},
		{"piqa", `{"query":"Question: cut\n","choices":["knife","spoon"],"gold":0}`, []string{"Question: cut\nAnswer:"}, []string{" knife", " spoon"}, 0},
		{"siqa", `{"context":"C.","question":"Why?","answerA":"a","answerB":"b","answerC":"c","label":"3"}`, []string{"Q: C. Why?\nA:"}, []string{" a", " b", " c"}, 2},
		{"siqa", `{"query":"Q\nAnswer:","choices":["A","B"],"gold":1}`, []string{"Q\nAnswer:"}, []string{" A", " B"}, 1},
		{"winogrande", `{"sentence":"Ann met Bea so _ went home.","option1":"Ann","option2":"Bea","answer":"2"}`,
			[]string{"Ann met Bea so Ann", "Ann met Bea so Bea"}, []string{" went home.", " went home."}, 1},
		{"winogrande", `{"context_options":["so Ann","so Bea"],"continuation":"went home.","gold":0}`, []string{"so Ann", "so Bea"}, []string{" went home.", " went home."}, 0},
		{"arc_easy", `{"question":"What?","choices":{"text":["x","y","z"],"label":["1","2","3"]},"answerKey":"3"}`, []string{"Question: What?\nAnswer:"}, []string{" x", " y", " z"}, 2},
		{"arc_challenge", `{"question":{"stem":"What?","choices":[{"text":"x","label":"A"},{"text":"y","label":"B"}]},"answerKey":"B"}`, []string{"Question: What?\nAnswer:"}, []string{" x", " y"}, 1},
		{"arc_challenge", `{"query":"Question: What?","choices":["x","y"],"gold":1}`, []string{"Question: What?\nAnswer:"}, []string{" x", " y"}, 1},
	} {
		var out []Question
		if err := find(t, c.task).readJSONL(strings.NewReader(c.line+"\n"), "f", &out); err != nil {
			t.Errorf("%s %s: %v", c.task, c.line, err)
			continue
		}
		q := out[0]
		var contexts, rest []string
		for i, choice := range q.Choices {
			if i == 0 || choice.Context != contexts[len(contexts)-1] {
				contexts = append(contexts, choice.Context)
			}
			rest = append(rest, choice.Continuation)
			if " "+choice.Answer != choice.Continuation {
				t.Errorf("%s: answer %q of continuation %q", c.task, choice.Answer, choice.Continuation)
			}
		}
		if !reflect.DeepEqual(contexts, c.contexts) || !reflect.DeepEqual(rest, c.rest) || q.Gold != c.gold {
			t.Errorf("%s %s:\n%q %q %d, want\n%q %q %d", c.task, c.line, contexts, rest, q.Gold, c.contexts, c.rest, c.gold)
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := `{"goal":"g","sol1":"a","sol2":"b","label":0}` + "\n"
	for _, c := range []struct{ task, file, text, want string }{
		{"piqa", "f.jsonl", good + `{"goal":"g","sol1":"a","label":0}`, `f.jsonl: line 2: field "sol2": is missing`},
		{"piqa", "f.jsonl", good + "\n" + `{"goal":7,"sol1":"a","sol2":"b","label":0}`, `line 3: field "goal": is a number, expected a string`},
		{"piqa", "f.jsonl", `{"goal":null,"sol1":"a","sol2":"b","label":0}`, `field "goal": is missing`},
		{"piqa", "f.jsonl", `{"goal":"g","sol1":"a","sol2":"b","label":"x"}`, `field "label": is "x", expected a whole number`},
		{"piqa", "f.jsonl", `{"goal":"g","sol1":"a","sol2":"b","label":0.5}`, `field "label": is a number, expected a whole number`},
		{"piqa", "f.jsonl", `{"goal":"g","sol1":"a","sol2":"b","label":[0]}`, `field "label": is a list, expected a whole number`},
		{"piqa", "f.jsonl", `{"goal":"g","sol1":"a","sol2":"b","label":-1}`, `line 1: the right answer is choice -1, counted from 0, of 2 choices`},
		{"piqa", "f.jsonl", `{"goal":"g","sol1":"a","sol2":"","label":0}`, `choice 1, counted from 0, is empty`},
		{"piqa", "f.jsonl", `{"query":"q","choices":["a"],"gold":0}`, `line 1: has 1 choice, expected at least 2`},
		{"piqa", "f.jsonl", `{"query":"q","choices":["a",3],"gold":0}`, `field "choices": item 1, counted from 0, is a number, expected a string`},
		{"piqa", "f.jsonl", `{"query":"q","choices":"ab","gold":0}`, `field "choices": is a string, expected a list of strings`},
		{"piqa", "f.jsonl", `{"query":"q","choices":["a","b"],"gold":2}`, `choice 2, counted from 0, of 2`},
		{"piqa", "f.jsonl", "", "piqa has no questions"},
		{"piqa", "f.jsonl", "\n\n", "piqa has no questions"},
		{"piqa", "f.jsonl", "[1]", "line 1: is not a JSON object"},
		{"piqa", "f.jsonl", "null", "line 1: is null"},
		{"piqa", "f.jsonl", "{} {}", "more than one JSON object"},
		{"piqa", "f.jsonl", `{"goal":`, "line 1: is not a JSON object"},
		{"piqa", "f.jsonl", good + "{\"goal\":\"caf\xe9\"}", "line 2: is not UTF-8"},
		{"piqa", "f.txt", "a\n", "is plain text, expected JSON lines or Parquet for piqa"},
		{"piqa", "f.parquet", "PAR1", "is not a Parquet file"},
		{"piqa", "f.jsonl.gz", "not gzip", "f.jsonl.gz"},
		{"piqa", "f.jsonl.bz2", "not bzip2", "line 1: bzip2"},
		{"arc_easy", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"}`, `field "answerKey": is "C", expected one of the labels ["A" "B"]`},
		{"arc_easy", "f.jsonl", `{"question":"q","choices":{"text":["a","b"],"label":["A"]},"answerKey":"A"}`, `field "choices": has 2 texts and 1 label`},
		{"arc_easy", "f.jsonl", `{"question":"q","choices":{"text":["a","b"]},"answerKey":"A"}`, `field "choices.label": is missing`},
		{"arc_easy", "f.jsonl", `{"question":"q","choices":["a","b"],"answerKey":"A"}`, `field "choices": is a list, expected an object`},
		{"arc_easy", "f.jsonl", `{"question":{"stem":"q","choices":[{"text":"a"}]},"answerKey":"A"}`, `field "question.choices[0].label": is missing`},
		{"arc_easy", "f.jsonl", `{"question":{"stem":"q","choices":[1]},"answerKey":"A"}`, `field "question.choices": item 0, counted from 0, is a number, expected an object`},
		{"boolq", "f.jsonl", `{"question":"q","passage":"p","label":2}`, `field "label": is 2, expected 0 or 1`},
		{"boolq", "f.jsonl", `{"question":"q","passage":"p"}`, `field "label": is missing`},
		{"lambada", "f.jsonl", `{"text":"word"}`, `field "text": is one word`},
		{"lambada", "f.jsonl", `{"text":"two "}`, `is empty`},
		{"winogrande", "f.jsonl", `{"sentence":"no blank","option1":"a","option2":"b","answer":"1"}`, `field "sentence": has no blank (_)`},
		{"winogrande", "f.jsonl", `{"sentence":"ends _ ","option1":"a","option2":"b","answer":"1"}`, `ends with the blank`},
		{"winogrande", "f.jsonl", `{"sentence":"a _ b","option1":"a","option2":"b","answer":"3"}`, `choice 2, counted from 0, of 2`},
		{"hellaswag", "f.jsonl", `{"activity_label":"l","ctx_a":"a","ctx_b":3,"endings":["a","b"],"label":0}`, `field "ctx_b": is a number, expected a string`},
		{"hellaswag", "f.txt", "ctx\n1\na\nb\nc\n", "line 5: the last question has 5 lines, expected 6"},
		{"hellaswag", "f.txt", "ctx\nx\na\nb\nc\nd\n", `line 1: field "gold": is "x", expected a whole number`},
		{"hellaswag", "f.txt", "ctx\n1\na\nb\nc\nd\nctx\n4\na\nb\nc\nd\n", `line 7: the right answer is choice 4`},
	} {
		path := filepath.Join(t.TempDir(), c.file)
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := find(t, c.task).Read(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q:\nerror %v\nwant  %q", c.task, c.text, err, c.want)
		}
	}
	if _, err := find(t, "piqa").Read(t.TempDir()); err == nil {
		t.Error("a folder is read as a file")
	}
	if _, err := Find("mmlu"); err == nil || !strings.Contains(err.Error(), "boolq") {
		t.Errorf("an unknown task: %v", err)
	}
	var out []Question
	long := `{"goal":"` + strings.Repeat("x", maxLine) + `"}`
	if err := find(t, "piqa").readJSONL(strings.NewReader(long), "f", &out); err == nil || !strings.Contains(err.Error(), "line 1: is longer than") {
		t.Errorf("a line that is too long: %v", err)
	}
}

// TestParquet reads published schemas with nested lists, as Hugging Face's
// files have them.
func TestParquet(t *testing.T) {
	type choiceList struct {
		Text  []string `parquet:"text,list"`
		Label []string `parquet:"label,list"`
	}
	type arc struct {
		ID       string     `parquet:"id"`
		Question string     `parquet:"question"`
		Choices  choiceList `parquet:"choices"`
		Answer   string     `parquet:"answerKey"`
	}
	type piqa struct {
		Goal  string `parquet:"goal"`
		Sol1  string `parquet:"sol1"`
		Sol2  string `parquet:"sol2"`
		Label int64  `parquet:"label"`
	}
	type hella struct {
		Activity string   `parquet:"activity_label"`
		A        string   `parquet:"ctx_a"`
		B        string   `parquet:"ctx_b"`
		Endings  []string `parquet:"endings,list"`
		Label    string   `parquet:"label"`
	}
	type boolq struct {
		Question string `parquet:"question,optional"`
		Passage  string `parquet:"passage,optional"`
		Answer   bool   `parquet:"answer,optional"`
	}
	dir := t.TempDir()
	read := func(task string, write func(*bytes.Buffer) error) []Question {
		t.Helper()
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, task+".parquet")
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		q, err := find(t, task).Read(path)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	q := read("arc_easy", func(b *bytes.Buffer) error {
		rows := make([]arc, 150)
		for i := range rows {
			rows[i] = arc{"id", "What?", choiceList{[]string{"x", "yé", "z"}, []string{"A", "B", "C"}}, "B"}
		}
		return parquet.Write(b, rows)
	})
	if want := choices("Question: What?\nAnswer:", []string{"x", "yé", "z"}); len(q) != 150 || !reflect.DeepEqual(q[149], Question{149, want, 1}) {
		t.Errorf("ARC: %d questions, %+v", len(q), q[len(q)-1])
	}
	q = read("piqa", func(b *bytes.Buffer) error { return parquet.Write(b, []piqa{{"g", "a", "b", 1}}) })
	if !reflect.DeepEqual(q, []Question{{0, choices("Question: g\nAnswer:", []string{"a", "b"}), 1}}) {
		t.Errorf("PIQA: %+v", q)
	}
	q = read("hellaswag", func(b *bytes.Buffer) error {
		return parquet.Write(b, []hella{{"L", "A.", "b c", []string{"1", "2", "3", "4"}, "2"}})
	})
	if !reflect.DeepEqual(q, []Question{{0, choices("L: A. B c", []string{"1", "2", "3", "4"}), 2}}) {
		t.Errorf("HellaSwag: %+v", q)
	}
	q = read("boolq", func(b *bytes.Buffer) error { return parquet.Write(b, []boolq{{"q", "p", true}}) })
	if !reflect.DeepEqual(q, []Question{{0, choices("p\nQuestion: q?\nAnswer:", []string{"no", "yes"}), 1}}) {
		t.Errorf("BoolQ: %+v", q)
	}

	path := filepath.Join(dir, "piqa.parquet")
	if _, err := find(t, "arc_easy").Read(path); err == nil || !strings.Contains(err.Error(), `piqa.parquet: row 1: field "question": is missing`) {
		t.Errorf("another task's file: %v", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 7 {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := find(t, "piqa").Read(path); err == nil {
			t.Errorf("cut to %d of %d bytes: accepted", n, len(whole))
		}
	}
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"ARC-Easy/test-00000-of-00002.parquet", "ARC-Easy/test-00001-of-00002.parquet", "ARC-Easy/train-00000-of-00001.parquet",
		"ai2_arc/ARC-Challenge/test.jsonl", "ai2_arc/ARC-Challenge/dev.jsonl", "boolq_train.jsonl", "boolq_val.jsonl.gz", "boolq.md",
		"hellaswag_val_full.txt.bz2", "piqa.jsonl", "piqa_validation.parquet", "social_i_qa/data/validation.parquet", "winogrande_xl.txt", "lambada_openai.jsonl"} {
		path := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for task, want := range map[string][]string{
		"arc_easy":      {"ARC-Easy/test-00000-of-00002.parquet", "ARC-Easy/test-00001-of-00002.parquet"},
		"arc_challenge": {"ai2_arc/ARC-Challenge/test.jsonl"},
		"boolq":         {"boolq_val.jsonl.gz"},
		"hellaswag":     {"hellaswag_val_full.txt.bz2"},
		"siqa":          {"social_i_qa/data/validation.parquet"},
		"lambada":       {"lambada_openai.jsonl"},
	} {
		got, err := find(t, task).Locate(dir)
		if err != nil {
			t.Errorf("%s: %v", task, err)
			continue
		}
		for i := range got {
			rel, _ := filepath.Rel(dir, got[i])
			got[i] = filepath.ToSlash(rel)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", task, got, want)
		}
	}
	for task, want := range map[string]string{"piqa": "several files could be", "winogrande": "no file for winogrande", "openbookqa": "openbookqa=FILE"} {
		if _, err := find(t, task).Locate(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", task, err, want)
		}
	}
	if _, err := find(t, "piqa").Locate(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a missing folder is searched")
	}
}

// TestCounts reads all nine tasks whole.
func TestCounts(t *testing.T) {
	dir := testdata.Path(t, "tasks")
	for _, task := range all {
		files, err := task.Locate(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		q, err := task.Read(files...)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(q) != task.Count {
			t.Errorf("%s: %d questions, expected %d", task.Name, len(q), task.Count)
		}
		for i := range q {
			if q[i].Index != i {
				t.Fatalf("%s: question %d has index %d", task.Name, i, q[i].Index)
			}
		}
	}
}

// FuzzRead: a task file is read or refused, for every task and text form.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"query":"q","choices":["a","b"],"gold":1}`, `{"context_options":["a","b"],"continuation":"c","gold":"0"}`, `{"context":"a","continuation":"b"}`,
		`{"question":{"stem":"q","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}]},"answerKey":"A"}`, `{"sentence":"a _ b","option1":"x","option2":"y","answer":"1"}`,
		`{"activity_label":"l","ctx_a":"a","ctx_b":"b","endings":["a [x]","b"],"label":"0"}`, "c\n0\na\nb\nc\nd\n", `{"text":"a b"}`, `{"choices":{"text":[1]}}`, "{}", "[", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, task := range all {
			var out []Question
			err := task.readJSONL(bytes.NewReader(data), "f", &out)
			if task.Name == "hellaswag" && err != nil {
				out = nil
				err = task.readText(bytes.NewReader(data), "f", &out)
			}
			if err != nil {
				continue
			}
			for _, q := range out {
				if q.Gold < 0 || q.Gold >= len(q.Choices) {
					t.Fatalf("%s: gold %d of %d", task.Name, q.Gold, len(q.Choices))
				}
				for _, c := range q.Choices {
					if c.Answer == "" || c.Continuation != " "+c.Answer {
						t.Fatalf("%s: %+v", task.Name, c)
					}
				}
			}
		}
	})
}

// FuzzParquet: a Parquet file is read or refused.
func FuzzParquet(f *testing.F) {
	type piqa struct {
		Goal  string `parquet:"goal"`
		Sol1  string `parquet:"sol1"`
		Sol2  string `parquet:"sol2"`
		Label int64  `parquet:"label"`
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, []piqa{{"g", "a", "b", 1}, {"h", "c", "d", 0}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		var out []Question
		_ = find(t, "piqa").readParquet(bytes.NewReader(data), int64(len(data)), "f", &out)
	})
}
