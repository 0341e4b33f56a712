package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/serve/scheduler"
)

var (
	soakTime  = flag.Duration("soak", 0, "how long TestSoak runs; 0: not at all")
	soakModel = flag.String("soak-model", "", "folder or file that TestSoak serves; default: a small random model")
)

const soakClients = 32

// soak is a server under 32 clients that behave badly.
type soak struct {
	url   string
	asks  []string          // bodies of completions, each of which has one answer
	wants map[string]string // that were given alone

	finished, cut, malformed, busy atomic.Int64
}

// TestSoak: under 32 clients that go away, read slowly, write slowly and send nonsense,
// memory stays flat, no slot is stuck, and every finished answer is the one given alone.
//
//	go test ./internal/serve -run Soak -soak 1h -timeout 0 -v [-soak-model DIR]
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("asked for by -soak DURATION")
	}
	dir := *soakModel
	if dir == "" {
		dir = modelDir(t)
	}
	log := &syncBuffer{} // of errors only: a line for each request would be memory that grows
	s, url, _ := serverOf(t, []Source{{Name: "test", Path: dir}}, Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})), Context: 512, WriteTime: 5 * time.Second, ReadTime: 5 * time.Second, Scheduler: scheduler.Options{Slots: 6, Keep: 4, Queue: 16}})
	k := &soak{url: url, wants: map[string]string{}}
	for i := range 40 {
		body := fmt.Sprintf(`{"prompt":%q,"max_tokens":%d,"seed":%d,"temperature":0.9,"stream":true}`, strings.Repeat("Once upon a time there was ", 1+i%9), 8+7*(i%8), i)
		k.asks = append(k.asks, body)
		text, whole, err := k.answer(t.Context(), body)
		if err != nil || !whole {
			t.Fatal(text, err)
		}
		k.wants[body] = text
	}
	ctx, end := context.WithTimeout(t.Context(), *soakTime)
	defer end()
	var all sync.WaitGroup
	for i := range soakClients {
		all.Go(func() { k.client(ctx, t, rand.New(rand.NewPCG(uint64(i), 7))) })
	}
	var memory []int64
	for tick := time.NewTicker(max(*soakTime/12, time.Second)); ctx.Err() == nil; {
		select {
		case <-tick.C:
			st := s.stats()
			memory = append(memory, resident())
			t.Logf("%d MB resident, %d goroutines, %d active, %d waiting; %d answers whole, %d broken off, %d nonsense refused, %d told to wait; %d tokens", memory[len(memory)-1]>>20, runtime.NumGoroutine(), st.Active, st.Waiting,
				k.finished.Load(), k.cut.Load(), k.malformed.Load(), k.busy.Load(), st.Generated)
		case <-ctx.Done():
		}
	}
	all.Wait()
	http.DefaultClient.CloseIdleConnections()
	for i := 0; s.stats().Active+s.stats().Waiting > 0; i++ {
		if i > 1000 {
			t.Fatalf("a slot is stuck: %+v", s.stats())
		}
		time.Sleep(10 * time.Millisecond)
	}
	for body, want := range k.wants { // and it still answers as before
		if got, whole, err := k.answer(t.Context(), body); err != nil || !whole || got != want {
			t.Errorf("after the soak: %s: %q, expected %q; error %v", body, got, want, err)
		}
	}
	if k.finished.Load() == 0 || k.cut.Load() == 0 || k.malformed.Load() == 0 {
		t.Errorf("%d answers whole, %d broken off, %d refused: the soak did not do what it says", k.finished.Load(), k.cut.Load(), k.malformed.Load())
	}
	if log.String() != "" {
		t.Error("there are errors in the log:", log)
	}
	// What grows grows from the first third on; the first ticks fill the caches.
	if n := len(memory); n >= 9 {
		if early, late := largest(memory[n/3:2*n/3]), largest(memory[2*n/3:]); float64(late) > 1.1*float64(early)+16<<20 {
			t.Errorf("memory grows: %d MB in the middle third, %d in the last", early>>20, late>>20)
		}
	}
}

func largest(list []int64) (n int64) {
	for _, v := range list {
		n = max(n, v)
	}
	return n
}

// resident is the memory that this process takes, in bytes, garbage given back.
func resident() int64 {
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	_, rest, _ := bytes.Cut(data, []byte("VmRSS:"))
	fields := strings.Fields(string(rest))
	n, _ := strconv.ParseInt(fields[0], 10, 64)
	return n << 10
}

// client does one thing after another until the time is over.
func (k *soak) client(ctx context.Context, t *testing.T, rng *rand.Rand) {
	for ctx.Err() == nil {
		body := k.asks[rng.IntN(len(k.asks))]
		switch rng.IntN(10) {
		case 0, 1: // goes away in the middle
			mine, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(200))*time.Millisecond)
			if _, whole, _ := k.answer(mine, body); !whole {
				k.cut.Add(1)
			}
			cancel()
		case 2:
			k.nonsense(ctx, t, rng)
		case 3:
			k.silent(ctx, rng, body)
		default:
			text, whole, err := k.answer(ctx, body)
			switch {
			case ctx.Err() != nil:
			case err == errBusy:
				k.busy.Add(1)
				time.Sleep(50 * time.Millisecond)
			case err != nil || !whole:
				t.Errorf("an answer broke off: %v, %q", err, text)
			case text != k.wants[body]:
				t.Errorf("%s: %q, alone %q", body, text, k.wants[body])
			default:
				k.finished.Add(1)
			}
		}
	}
}

var errBusy = errors.New("told to wait")

// answer asks for a streamed completion.
func (k *soak) answer(ctx context.Context, body string) (text string, whole bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		return "", false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests {
		return "", false, errBusy
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if data == "[DONE]" {
			return text, true, nil
		}
		var c struct {
			Choices []struct{ Text string }
			Error   *struct{ Message string }
		}
		if !ok || json.Unmarshal([]byte(data), &c) != nil {
			continue
		}
		if c.Error != nil {
			return text, false, fmt.Errorf("status %d: %s", resp.StatusCode, c.Error.Message)
		}
		for _, choice := range c.Choices {
			text += choice.Text
		}
	}
	return text, false, lines.Err()
}

// nonsense sends a damaged body to a random path; the answer must be an error of the
// client's, or none at all.
func (k *soak) nonsense(ctx context.Context, t *testing.T, rng *rand.Rand) {
	r := routes[rng.IntN(len(routes))]
	body := r.bad[rng.IntN(len(r.bad))]
	if rng.IntN(2) == 0 {
		body = r.ok[:1+rng.IntN(len(r.ok)-1)] // cut off
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, k.url+r.path, strings.NewReader(body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode < 400 || resp.StatusCode >= 500 {
		t.Errorf("%s %s: status %d", r.path, body, resp.StatusCode)
	}
	k.malformed.Add(1)
}

// silent opens a connection by hand and then hardly reads, hardly writes, or hangs up
// without a word.
func (k *soak) silent(ctx context.Context, rng *rand.Rand, body string) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(k.url, "http://"))
	if err != nil {
		return
	}
	defer c.Close()
	length := len(body)
	if rng.IntN(2) == 0 {
		length += 10 // never comes
	}
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", length, body)
	c.SetReadDeadline(time.Now().Add(time.Duration(rng.IntN(1000)) * time.Millisecond))
	one := make([]byte, 1)
	for range rng.IntN(40) {
		if _, err := c.Read(one); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	k.cut.Add(1)
}
