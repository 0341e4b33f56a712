package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naiveMerge is BPE as it is defined: the pair of lowest rank, leftmost first.
func naiveMerge(m *bpe, ids []int32) []int32 {
	ids = slices.Clone(ids)
	for {
		best, at := uint32(noRank), -1
		for i := 0; i+1 < len(ids); i++ {
			if r := m.merges.rank(ids[i], ids[i+1]); r < best {
				best, at = r, i
			}
		}
		if at < 0 {
			return ids
		}
		_, id := m.merges.get(ids[at], ids[at+1])
		ids[at] = id
		ids = slices.Delete(ids, at+1, at+2)
	}
}

// TestMergeWays compares the two ways of merging with the definition, and text
// cut at junctions with text left whole, on random words.
func TestMergeWays(t *testing.T) {
	v := readHFVectors(t)
	for _, name := range []string{"gpt2", "llama-2", "no byte tokens, fused unk"} {
		tok, err := parseHF(v.variant(t, name), &sidecar{})
		if err != nil {
			t.Fatal(err)
		}
		m := tok.model
		whole := *m
		whole.junctions = nil
		rng := rand.New(rand.NewPCG(3, 4))
		parts := []string{"the", "▁", "▁▁", "a", "e", "ing", "▁th", "on", "中", "é", "zz", "qx", "▁was▁", "\n", "."}
		for range 400 {
			var b strings.Builder
			for range rng.IntN(60) {
				b.WriteString(parts[rng.IntN(len(parts))])
			}
			word := b.String()
			st := newState()
			if err := m.symbols(st, word); err != nil {
				t.Fatal(err)
			}
			start, offs := slices.Clone(st.ids), slices.Clone(st.offs)
			want := naiveMerge(m, start)
			m.mergeShort(st)
			if !slices.Equal(st.ids, want) {
				t.Fatalf("%s: %q: short\n got %v\nwant %v", name, word, st.ids, want)
			}
			shortOffs := slices.Clone(st.offs)
			st.ids, st.offs = slices.Clone(start), offs
			m.mergeLong(st)
			if !slices.Equal(st.ids, want) || !slices.Equal(st.offs, shortOffs) {
				t.Fatalf("%s: %q: long\n got %v\nwant %v", name, word, st.ids, want)
			}
			a, b2 := newState(), newState()
			if err := m.encode(a, word); err != nil {
				t.Fatal(err)
			}
			if err := whole.encode(b2, word); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a.out, b2.out) {
				t.Fatalf("%s: %q: cut at junctions\n got %v\nwant %v", name, word, a.out, b2.out)
			}
		}
	}
}

// TestLongWord: a word without any place to cut must not take quadratic time.
func TestLongWord(t *testing.T) {
	v := readHFVectors(t)
	for _, name := range []string{"byte level without split", "llama-2"} {
		tok, err := parseHF(v.variant(t, name), &sidecar{})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("the", 200_000)
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Decode(ids); got != text {
			t.Errorf("%s: text of %d bytes came back with %d", name, len(text), len(got))
		}
	}
}

func TestPairTableGrows(t *testing.T) {
	p := newPairTable(1)
	for i := range int32(5000) {
		p.set(i, i*7, uint32(i), i+1)
	}
	p.set(3, 21, 9, 99) // later rank wins
	for i := range int32(5000) {
		rank, id := p.get(i, i*7)
		want, wantID := uint32(i), i+1
		if i == 3 {
			want, wantID = 9, 99
		}
		if rank != want || id != wantID {
			t.Fatalf("pair %d: got %d, %d", i, rank, id)
		}
	}
	if r, _ := p.get(1, 1); r != noRank {
		t.Errorf("a pair never set has rank %d", r)
	}
}

// TestConcurrentEncode: many goroutines on one Tokenizer give the same ids.
func TestConcurrentEncode(t *testing.T) {
	v := readHFVectors(t)
	for _, name := range []string{"llama-3 with two digits (regexp)", "llama-2"} {
		tok, err := parseHF(v.variant(t, name), &sidecar{})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(v.Texts, " ")
		want, err := tok.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan string, 8)
		for range cap(errs) {
			go func() {
				got, err := tok.Encode(text, true)
				if err != nil || !slices.Equal(got, want) {
					errs <- "different ids"
					return
				}
				errs <- ""
			}()
		}
		for range cap(errs) {
			if e := <-errs; e != "" {
				t.Errorf("%s: %s", name, e)
			}
		}
	}
}
