package serve

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium with one page, driven by the DevTools protocol over two
// pipes, so that nothing listens for it.
type browser struct {
	t       *testing.T
	in      io.Writer
	session string
	mu      sync.Mutex
	id      int
	answers map[int]chan json.RawMessage
	asked   []string // the addresses that the page has asked for
	faults  []string // what the page has thrown or logged
}

// openBrowser starts it, or skips the test where there is none.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" || testing.Short() {
		t.Skip("no Chromium")
	}
	commands, in, err1 := os.Pipe()
	out, events, err2 := os.Pipe()
	profile, err3 := os.MkdirTemp("", "chromium")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{commands, events}
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Skipf("%s does not run here: %v", program, err)
	}
	commands.Close()
	events.Close()
	b := &browser{t: t, in: in, answers: map[int]chan json.RawMessage{}}
	done := make(chan struct{})
	go func() { defer close(done); b.listen(out) }()
	t.Cleanup(func() {
		fmt.Fprint(in, `{"id":0,"method":"Browser.close"}`+"\x00")
		in.Close()
		cmd.Wait()
		<-done
		out.Close()
		// Its helpers may write for a moment after it has ended.
		for end := time.Now().Add(10 * time.Second); os.RemoveAll(profile) != nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		}
	})
	var pages struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	b.send("Target.getTargets", nil, &pages)
	for _, p := range pages.TargetInfos {
		if p.Type == "page" {
			var to struct{ SessionID string }
			b.send("Target.attachToTarget", map[string]any{"targetId": p.TargetID, "flatten": true}, &to)
			b.session = to.SessionID
		}
	}
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.send(domain+".enable", nil, nil)
	}
	b.send("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil) // as the window in front has it
	return b
}

// listen hands out answers and keeps what the test asks for of the events.
func (b *browser) listen(out io.Reader) {
	r := bufio.NewReader(out)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, c := range b.answers {
				close(c)
			}
			b.answers = nil
			return
		}
		var m struct {
			ID     int
			Method string
			Params struct{ Request struct{ URL string } }
		}
		text = text[:len(text)-1]
		json.Unmarshal(text, &m)
		b.mu.Lock()
		switch {
		case b.answers[m.ID] != nil:
			b.answers[m.ID] <- text
			delete(b.answers, m.ID)
		case m.Method == "Network.requestWillBeSent":
			b.asked = append(b.asked, m.Params.Request.URL)
		case m.Method == "Runtime.exceptionThrown", m.Method == "Runtime.consoleAPICalled", m.Method == "Log.entryAdded":
			b.faults = append(b.faults, string(text))
		}
		b.mu.Unlock()
	}
}

// send calls a method of the protocol.
func (b *browser) send(method string, params map[string]any, into any) {
	b.t.Helper()
	if params == nil {
		params = map[string]any{}
	}
	b.mu.Lock()
	b.id++
	id, answer := b.id, make(chan json.RawMessage, 1)
	if b.answers == nil {
		b.mu.Unlock()
		b.t.Fatalf("%s: the browser has ended", method)
	}
	b.answers[id] = answer
	b.mu.Unlock()
	m := map[string]any{"id": id, "method": method, "params": params}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	select {
	case text, ok := <-answer:
		var a struct {
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if !ok || json.Unmarshal(text, &a) != nil || a.Error != nil {
			b.t.Fatalf("%s: %s", method, text)
		}
		if into != nil {
			if err := json.Unmarshal(a.Result, into); err != nil {
				b.t.Fatalf("%s: %v in %s", method, err, a.Result)
			}
		}
	case <-time.After(time.Minute):
		b.t.Fatalf("%s: no answer within a minute", method)
	}
}

// eval gives the value of JavaScript as text: strings as they are, others as JSON.
func (b *browser) eval(script string, args ...any) string {
	b.t.Helper()
	for i := range args {
		text, err := json.Marshal(args[i])
		if err != nil {
			b.t.Fatal(err)
		}
		args[i] = string(text)
	}
	var a struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	if len(args) > 0 {
		script = fmt.Sprintf(script, args...)
	}
	b.send("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &a)
	if a.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", script, a.ExceptionDetails)
	}
	var s string
	if json.Unmarshal(a.Result.Value, &s) == nil {
		return s
	}
	return string(a.Result.Value)
}

// until waits for JavaScript to be true.
func (b *browser) until(script string) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); b.eval("!!("+script+")") != "true"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("after a minute it is not so: %s\nthe page: %s", script, b.eval("document.body.innerText"))
		}
	}
}

// open loads a page and waits until its script has run.
func (b *browser) open(url string) {
	b.t.Helper()
	b.eval("window.old = true")
	b.send("Page.navigate", map[string]any{"url": url}, nil)
	b.until(`!window.old && document.readyState === "complete"`)
}

// view sets the size in CSS pixels and the colour scheme.
func (b *browser) view(width, height int, scheme string) {
	b.t.Helper()
	b.send("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.send("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}, map[string]any{"name": "prefers-reduced-motion", "value": "reduce"}}}, nil)
}

// press presses keys by name, one after the other, and types texts in quotation marks.
func (b *browser) press(keys ...string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38}
	for _, k := range keys {
		if text, is := strings.CutPrefix(k, `"`); is {
			b.send("Input.insertText", map[string]any{"text": strings.TrimSuffix(text, `"`)}, nil)
			continue
		}
		down := map[string]any{"type": "rawKeyDown", "key": k, "code": k, "windowsVirtualKeyCode": codes[k]}
		if k == "Enter" {
			down["type"], down["text"] = "keyDown", "\r"
		}
		b.send("Input.dispatchKeyEvent", down, nil)
		b.send("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": k, "code": k, "windowsVirtualKeyCode": codes[k]}, nil)
	}
}

// focus names what has the focus.
func (b *browser) focus() string {
	b.t.Helper()
	return b.eval(`(e => e.localName + (e.id && "#" + e.id) + " " + (e.getAttribute("aria-label") || (e === document.body ? "" : e.textContent)).trim())(document.activeElement)`)
}
