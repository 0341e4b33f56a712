package serve

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/serve/scheduler"
	"github.com/specquant/specquant/internal/testmodel"
)

// twoModels are two small models with different weights; the second has no template.
func twoModels(t *testing.T) []Source {
	t.Helper()
	second := filepath.Join(t.TempDir(), "second")
	if err := testmodel.Write(second, testmodel.Options{Context: 1024, Seed: 4}); err != nil {
		t.Fatal(err)
	}
	return []Source{{Name: "one", Path: modelDir(t)}, {Name: "org/two", Path: second}}
}

// memoryFor is a limit that has room for one of the two models and not for both.
func memoryFor(t *testing.T, models []Source) int64 {
	t.Helper()
	s, err := Open(models, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, _ := s.Memory()
	return all * 3 / 4
}

func completion(t *testing.T, url, model string) (status int, text, body string) {
	t.Helper()
	status, _, body = call(t, "POST", url+"/v1/completions", `{"model":"`+model+`","prompt":"abc","max_tokens":8,"temperature":0,"logit_bias":{"258":-100}}`)
	var a struct{ Choices []struct{ Text string } }
	if status == 200 {
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatal(err)
		}
		text = a.Choices[0].Text
	}
	return status, text, body
}

// TestModels: the model field picks; within a limit that has room for one, they give way
// to each other with the same answers as ever; a request under way keeps its model.
func TestModels(t *testing.T) {
	models := twoModels(t)
	s, url, log := serverOf(t, models, Options{MaxMemory: memoryFor(t, models)})
	_, one, _ := completion(t, url, "one")
	_, two, body := completion(t, url, "org/two")
	if one == "" || two == "" || one == two {
		t.Fatalf("answers %q and %q; %s", one, two, body)
	}
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			name, want := "one", one
			if i%2 == 1 {
				name, want = "org/two", two
			}
			for range 200 { // refused while the other one is in use
				status, text, body := completion(t, url, name)
				if status == 503 && strings.Contains(body, "no_memory") {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if status != 200 || text != want {
					t.Errorf("%s: status %d, %q, expected %q", name, status, text, want)
				}
				return
			}
			t.Errorf("%s: never any room", name)
		})
	}
	all.Wait()
	if text := log.String(); strings.Count(text, "msg=unloaded") < 2 || strings.Count(text, "msg=loaded") < 2 {
		t.Errorf("they never gave way: %s", text)
	}
	completion(t, url, "one")
	resp, _ := streaming(t, url) // of the first
	if status, _, body := completion(t, url, "org/two"); status != 503 || !strings.Contains(body, "no_memory") {
		t.Errorf("beside one in use: status %d, %s", status, body)
	}
	resp.Body.Close()
	if st := s.stats(); st.Generated < 14*8 {
		t.Errorf("what unloaded models did is forgotten: %+v", st)
	}
	_, _, list := call(t, "GET", url+"/v1/models", "")
	if !strings.Contains(list, `"one"`) || strings.Index(list, `"org/two"`) < strings.Index(list, `"one"`) || strings.Contains(list, filepath.Dir(models[0].Path)) {
		t.Error(list)
	}
	if status, _, _ := call(t, "GET", url+"/v1/models/org/two", ""); status != 200 {
		t.Error("a name with a slash is not found")
	}
	for _, name := range []string{"model", "two", models[0].Path, "../one", "one/", "ONE", "org/../one"} {
		if status, _, body := completion(t, url, name); status != 404 || !strings.Contains(body, "org/two") {
			t.Errorf("name %q: status %d, %s", name, status, body)
		}
	}
	if _, _, text := call(t, "GET", url+"/metrics", ""); !strings.Contains(text, `specquant_generated_tokens_total{model="org/two"}`) || !strings.Contains(text, `specquant_model_loaded{model="one"} 1`) {
		t.Error(text)
	}
}

// TestKeepAlive: what nobody asks for is unloaded, and comes back when it is asked for.
func TestKeepAlive(t *testing.T) {
	s, url, _ := serverOf(t, twoModels(t), Options{KeepAlive: 50 * time.Millisecond})
	_, want, _ := completion(t, url, "one")
	loaded := func() (n int) {
		for _, m := range s.library.stats() {
			if m.Loaded {
				n++
			}
		}
		return n
	}
	for i := 0; loaded() > 0; i++ {
		if i > 1000 {
			t.Fatal("an idle model stays loaded")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, got, _ := completion(t, url, "one"); got != want {
		t.Errorf("after it was unloaded: %q, expected %q", got, want)
	}
}

// TestModelsThatCannotBeServed: what is wrong with a model is said at the start, whichever
// it is.
func TestModelsThatCannotBeServed(t *testing.T) {
	models := twoModels(t)
	for name, c := range map[string]struct {
		models []Source
		o      Options
		says   string
	}{
		"none":       {nil, Options{}, "no model"},
		"no folder":  {append(models[:1:1], Source{Name: "x", Path: t.TempDir()}), Options{}, "config.json"},
		"equal name": {append(models[:1:1], Source{Name: "one", Path: models[1].Path}), Options{}, "NAME=MODEL"},
		"memory":     {models, Options{MaxMemory: 1000}, "--max-memory is 1000"},
		"negative":   {models, Options{MaxMemory: -1}, "memory"},
		"keep-alive": {models, Options{KeepAlive: -1}, "keep-alive"},
	} {
		c.o.Threads = 1
		if _, err := Open(c.models, c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, expected %q", name, err, c.says)
		}
	}
	var memory *MemoryError
	if _, err := Open(models, Options{Threads: 1, MaxMemory: 1000, Scheduler: scheduler.Options{Slots: 2}}); !errors.As(err, &memory) || memory.Caches >= memory.Bytes {
		t.Errorf("error %v", err)
	}
}

// TestPanicWhileLoading: what fails in the worst way leaves the library as it was.
func TestPanicWhileLoading(t *testing.T) {
	s, url, _ := serverOf(t, twoModels(t), Options{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		s.library.mu.Lock()
		defer s.library.mu.Unlock()
		s.library.change(func() { panic("of a load") })
	}()
	if status, _, body := completion(t, url, "org/two"); status != 200 {
		t.Errorf("after a panic: status %d, %s", status, body)
	}
}
