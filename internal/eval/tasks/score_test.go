package tasks

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/eval"
)

// letters is an encoder of one token a letter, but "ab" and " c" are one token
// each wherever they stand: texts do not fall apart where contexts end.
type letters struct{ noBOS, noEOS bool }

const (
	abToken = 1000
	scToken = 1001
	bosID   = 2000
	eosID   = 2001
)

func (letters) Encode(text string, special bool) ([]int, error) {
	var ids []int
	if special {
		ids = append(ids, bosID)
	}
	for text != "" {
		switch {
		case strings.HasPrefix(text, "ab"):
			ids, text = append(ids, abToken), text[2:]
		case strings.HasPrefix(text, " c"):
			ids, text = append(ids, scToken), text[2:]
		default:
			r := []rune(text)[0]
			ids, text = append(ids, int(r)), text[len(string(r)):]
		}
	}
	return ids, nil
}
func (l letters) BOS() (int, bool) { return bosID, !l.noBOS }
func (l letters) EOS() []int {
	if l.noEOS {
		return nil
	}
	return []int{eosID}
}

func TestEncodePair(t *testing.T) {
	for _, c := range []struct {
		name, context, rest string
		bos                 bool
		enc                 letters
		wantC, wantR        []int
	}{
		{"plain", "x", " y", false, letters{}, []int{'x'}, []int{' ', 'y'}},
		{"a token across the space", "x", " c", false, letters{}, []int{'x'}, []int{scToken}},
		// The context's spaces move: "x" and "  c", not "x  " and "c".
		{"trailing spaces", "x ", "c", false, letters{}, []int{'x'}, []int{scToken}},
		{"trailing spaces and a space", "x \n", " c", false, letters{}, []int{'x'}, []int{' ', '\n', scToken}},
		// "xa"+"b" is x, ab: two tokens, as many as the context has. Its own are
		// kept, and the continuation is what lies past two: nothing of "b".
		{"merged over the border", "xa", "by", false, letters{}, []int{'x', 'a'}, []int{'y'}},
		{"BOS", "x", " y", true, letters{}, []int{bosID, 'x'}, []int{' ', 'y'}},
		{"empty context", "", " y", false, letters{}, []int{bosID}, []int{' ', 'y'}},
		{"empty context, EOS", "", " y", false, letters{noBOS: true}, []int{eosID}, []int{' ', 'y'}},
		{"special text is text as lm-eval has it", "<s>", "y", false, letters{}, []int{'<', 's', '>'}, []int{'y'}},
	} {
		p, err := newPrompt(c.enc, c.bos, 100)
		if err != nil {
			t.Fatal(err)
		}
		gotC, gotR, err := p.encodePair(c.context, c.rest)
		if err != nil || !reflect.DeepEqual(gotC, c.wantC) || !reflect.DeepEqual(gotR, c.wantR) {
			t.Errorf("%s: %v %v %v, want %v %v", c.name, gotC, gotR, err, c.wantC, c.wantR)
		}
	}
	if _, err := newPrompt(letters{noBOS: true}, true, 100); err == nil {
		t.Error("BOS without a BOS token is accepted")
	}
	p, _ := newPrompt(letters{noBOS: true, noEOS: true}, false, 100)
	if _, _, err := p.encodePair("", "y"); err == nil {
		t.Error("an empty context without BOS and EOS is accepted")
	}
	if _, _, err := p.encodePair("  ", "y"); err == nil {
		t.Error("a context of spaces is accepted")
	}
}

func TestTruncation(t *testing.T) {
	p, err := newPrompt(letters{}, false, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		context, rest string
		want          eval.Span
		cut           bool
	}{
		{"xyz", "uv", eval.Span{IDs: []int{'x', 'y', 'z', 'u', 'v'}, From: 3}, false}, // context + 1: the last token is not fed
		{"wxyz", "uv", eval.Span{IDs: []int{'x', 'y', 'z', 'u', 'v'}, From: 3}, true},
		{"wxyz", "stuv", eval.Span{IDs: []int{'z', 's', 't', 'u', 'v'}, From: 1}, true},
	} {
		s, cut, err := p.span(Choice{Context: c.context, Continuation: c.rest})
		if err != nil || !reflect.DeepEqual(s, c.want) || cut != c.cut {
			t.Errorf("%s+%s: %v %v %v, want %v %v", c.context, c.rest, s, cut, err, c.want, c.cut)
		}
	}
	if _, _, err := p.span(Choice{Context: "x", Continuation: "stuvw"}); err == nil || !strings.Contains(err.Error(), "5 tokens, more than the model's context of 4") {
		t.Errorf("a choice longer than the model: %v", err)
	}
	if _, _, err := p.span(Choice{Context: "xa", Continuation: "b"}); err == nil || !strings.Contains(err.Error(), "adds no token") {
		t.Errorf("a choice without a token: %v", err)
	}
}

func nll(v ...float64) []eval.Prediction {
	out := make([]eval.Prediction, len(v))
	for i := range v {
		out[i] = eval.Prediction{NLL: v[i], Top: v[i] < math.Ln2}
	}
	return out
}

// TestSample: scores worked out by hand.
func TestSample(t *testing.T) {
	q := &Question{Index: 7, Gold: 1, Choices: choices("x", []string{"ab", "abcdefgé"})}
	p := &prepared{question: q, hash: "h", truncated: true}
	got := find(t, "piqa").sample(p, [][]eval.Prediction{nll(1, 2), nll(.5, 3.5)})
	want := Sample{Task: "piqa", Index: 7, Context: "h", Gold: 1, Truncated: true,
		Choices: []Scored{{-3, 2, 2, 2, false}, {-4, 2, 8, 9, false}}, // é: one character, two bytes
		Pred:    0, PredNorm: 1, Correct: false, CorrectN: true}       // −3 > −4, but −3/2 < −4/8
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	// Of equals the first.
	if got := find(t, "piqa").sample(&prepared{question: &Question{Choices: choices("x", []string{"a", "b"})}}, [][]eval.Prediction{nll(1), nll(1)}); got.Pred != 0 || !got.Correct {
		t.Errorf("equal choices: %+v", got)
	}
	// LAMBADA: right if every token was the most likely.
	word := &prepared{question: &Question{Choices: choices("x", []string{"ab"})}}
	if got := find(t, "lambada").sample(word, [][]eval.Prediction{nll(.1, .2)}); !got.Correct || !got.Choices[0].Greedy {
		t.Errorf("greedy: %+v", got)
	}
	if got := find(t, "lambada").sample(word, [][]eval.Prediction{nll(.1, 2)}); got.Correct {
		t.Errorf("one token wrong: %+v", got)
	}
}

func TestHash(t *testing.T) {
	a := Question{Choices: []Choice{{"ab", "c", "c"}}}
	b := Question{Choices: []Choice{{"a", "bc", "bc"}}}
	if a.hash() == b.hash() || len(a.hash()) != 16 {
		t.Errorf("%s %s", a.hash(), b.hash())
	}
}
