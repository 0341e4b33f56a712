package scheduler

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/specquant/specquant/internal/engine"
)

// TestTree: what is found of a text is the longest beginning that any kept text shares,
// its pages hold that beginning, and all pages are free when everything has been evicted.
func TestTree(t *testing.T) {
	m := open(t, "")
	rng := rand.New(rand.NewPCG(1, 2))
	some := func() []int { // texts that often begin alike, also for whole pages
		var text []int
		for len(text) < 200 {
			for range 1 + rng.IntN(70) {
				text = append(text, 40+len(text)%7)
			}
			text = append(text, 60+rng.IntN(2))
		}
		return text[:1+rng.IntN(200)]
	}
	memory := m.NewPages(200)
	tr := tree{memory: memory, most: 30}
	memory.Evict = tr.evict
	holds := map[*engine.Page][]int{} // the tokens that a page was last computed for
	var kept [][]int
	for now := range uint64(30) {
		text := some()
		want := 0
		for _, k := range kept {
			want = max(want, common(k, text))
		}
		pages, length := tr.find(text, now)
		if length != want {
			t.Fatalf("text %d: %d tokens found, expected %d", now, length, want)
		}
		for i, p := range pages {
			part := text[i*engine.PageTokens : min(length, (i+1)*engine.PageTokens)]
			if common(holds[p], part) < len(part) {
				t.Fatalf("text %d: page %d is of another text", now, i)
			}
		}
		s := memory.NewSequence()
		s.Share(pages, length)
		if err := m.Forward(t.Context(), []engine.Step{{Seq: s, IDs: text[length:]}}, nil); err != nil {
			t.Fatal(err)
		}
		for i := 0; i*engine.PageTokens < len(text); i++ {
			if tokens := text[i*engine.PageTokens : min(len(text), (i+1)*engine.PageTokens)]; len(holds[s.Page(i)]) < len(tokens) || (i+1)*engine.PageTokens > length {
				holds[s.Page(i)] = tokens
			}
		}
		tr.add(text, s.Page, now)
		s.Release()
		kept = append(kept, text)
	}
	made := memory.Bytes()
	for tr.evict() {
	}
	all := memory.NewSequence()
	if err := m.Forward(t.Context(), []engine.Step{{Seq: all, IDs: make([]int, 200)}}, nil); err != nil || memory.Bytes() != made {
		t.Errorf("after everything was evicted: error %v, %d bytes, expected %d", err, memory.Bytes(), made)
	}
}

// TestOldestGivesWay: of too many texts the one goes that has been used longest ago, with
// the pages that are its own and no others.
func TestOldestGivesWay(t *testing.T) {
	m := open(t, "")
	memory := m.NewPages(50)
	tr := tree{memory: memory, most: 2}
	text := func(second int) []int { return slices.Concat(make([]int, 64), slices.Repeat([]int{second}, 100)) }
	add := func(second int, now uint64) {
		s := memory.NewSequence()
		if err := m.Forward(t.Context(), []engine.Step{{Seq: s, IDs: text(second)}}, nil); err != nil {
			t.Fatal(err)
		}
		tr.add(text(second), s.Page, now)
		s.Release()
	}
	found := func(second int, now uint64) int { _, n := tr.find(text(second), now); return n }
	add(1, 1)
	add(2, 2)
	found(1, 3)
	add(3, 4) // 2 gives way
	if a, b, c := found(1, 5), found(2, 6), found(3, 7); a != 164 || b != 64 || c != 164 {
		t.Errorf("found %d, %d and %d tokens, expected 164, 64 and 164", a, b, c)
	}
	if _, leaves := tr.oldest(); leaves != 2 {
		t.Errorf("%d texts, expected 2", leaves)
	}
}

// TestSharedPromptIsHeldOnce: of requests that begin alike, whenever they come, the
// beginning is computed once and is in memory once.
func TestSharedPromptIsHeldOnce(t *testing.T) {
	m := open(t, "4-8-8")
	const n, shared = 8, 130
	begin := make([]int, shared)
	for i := range begin {
		begin[i] = 32 + i%90
	}
	ask := func(i int) Request {
		r := request(i)
		r.Prompt, r.MaxTokens = slices.Concat(begin, []int{40 + i, 41, 42}), 4
		return r
	}
	want := make([]string, n)
	for i := range n {
		alone := New(m, Options{Slots: 1, Keep: -1})
		var err error
		if want[i], _, err = text(t.Context(), alone, ask(i)); err != nil {
			t.Fatal(err)
		}
		alone.Close()
	}
	s := start(t, m, Options{Slots: n, Piece: 50})
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			if got, _, err := text(t.Context(), s, ask(i)); err != nil || got != want[i] {
				t.Errorf("request %d: error %v\n%s\nexpected\n%s", i, err, got, want[i])
			}
		})
	}
	wait.Wait()
	if st := s.Stats(); st.Prompt != shared+3*n || st.Cached != shared*(n-1) {
		t.Errorf("%d tokens computed and %d shared, expected %d and %d", st.Prompt, st.Cached, shared+3*n, shared*(n-1))
	}
	// Two whole pages that all share, and for each the one in which it differs.
	if st := s.Stats(); st.CacheBytes > (2+n+1)*m.PageBytes() {
		t.Errorf("caches take %d pages, expected at most %d", st.CacheBytes/m.PageBytes(), 2+n+1)
	}
}

// TestMemoryIsBounded: texts that fill the context, again and again, take no more than the
// limit, with everything kept that can be.
func TestMemoryIsBounded(t *testing.T) {
	m := open(t, "")
	o := Options{Slots: 2, Keep: 1}
	s := start(t, m, o)
	var wait sync.WaitGroup
	for i := range 10 {
		wait.Go(func() {
			r := request(i)
			r.MaxTokens = 0
			if _, err := s.Do(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if st := s.Stats(); st.CacheBytes > CacheLimit(m, o) {
		t.Errorf("caches take %d bytes, the limit is %d", st.CacheBytes, CacheLimit(m, o))
	}
}
