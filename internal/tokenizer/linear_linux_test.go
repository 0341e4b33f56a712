package tokenizer

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the CPU time of this thread, on which a busy machine has no part.
func threadTime(t *testing.T) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Skip(err)
	}
	return time.Duration(ts.Nano())
}

// TestLinear: encoding takes time in proportion to the text, whatever the text. 16
// times the text may take 64 times the CPU time (a logarithm, and what leaves the
// caches); what is quadratic takes 256 times.
func TestLinear(t *testing.T) {
	added := `{"added_tokens":[{"id":3,"content":" ","lstrip":true,"rstrip":true},{"id":4,"content":"<w>","single_word":true},{"id":5,"content":"` + strings.Repeat("a", 900) +
		`b"},{"id":6,"content":"\n","lstrip":true},{"id":7,"content":"\t","rstrip":true}],"model":{"type":"BPE","unk_token":"?","vocab":{"?":0,"a":1,"aa":2},"merges":["a a"]},"decoder":{"type":"ByteLevel"}}`
	toks := map[string]*Tokenizer{
		"llama-2":  load(t, "tokenizers", "llama2"),
		"qwen":     nil,
		"stories":  nil,
		"added":    nil,
		"repeated": nil,
	}
	v := readHFVectors(t)
	for name, doc := range map[string]string{"added": added, "qwen": string(v.variant(t, "qwen2 NFC")), "repeated": string(v.variant(t, "llama-3 with two digits (regexp)"))} {
		tok, err := Load(folder(t, map[string]string{"tokenizer.json": doc}))
		if err != nil {
			t.Fatal(name, err)
		}
		toks[name] = tok
	}
	spm, err := NewSentencePiece(storiesPieces(t), SentencePieceOptions{ByteFallback: true, AddDummyPrefix: true, RemoveExtraWhitespaces: true, BOS: 1, EOS: 2, AddBOS: true})
	if err != nil {
		t.Fatal(err)
	}
	toks["stories"] = spm
	const n, times = 4000, 16
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for name, tok := range toks {
		for _, unit := range []string{"a", "A", " ", "\n", " \n", "\t ", "▁", "0", ".", "'", "'s", "a ", "<w>", "<s>", "<", "é", "e\u0301", "\u0301", "漢", "🦙", "ab", "aab", "\r", "  a", "=", "_", "<0x0A>", "\u00a0"} {
			var took [2]time.Duration
			slow := true
			for try := 0; try < 3 && slow; try++ {
				for i, size := range []int{n, times * n} {
					text := strings.Repeat(unit, size/len(unit))
					start := threadTime(t)
					if _, err := tok.Encode(text, true); err != nil && !strings.Contains(err.Error(), "no token") {
						t.Fatalf("%s on %q: %v", name, unit, err)
					}
					took[i] = threadTime(t) - start
				}
				slow = took[1] > 64*max(took[0], 20*time.Microsecond)
			}
			if slow {
				t.Errorf("%s: %d bytes of %q took %v, %d bytes %v", name, n, unit, took[0], times*n, took[1])
			}
		}
	}
}
