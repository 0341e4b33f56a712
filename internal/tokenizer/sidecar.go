package tokenizer

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// sidecar holds the settings in the files beside the vocabulary; absent ones are nil.
type sidecar struct {
	class          string      // tokenizer_class
	bosToken       *string     // tokenizer_config.json, otherwise special_tokens_map.json
	eosToken       *string     // likewise
	bosID          *int        // generation_config.json, otherwise config.json
	eosIDs         []int       // likewise
	idsFrom        string      // the file that bosID and eosIDs come from
	addBOS, addEOS *bool       // tokenizer_config.json
	added          []sideToken // added_tokens_decoder, otherwise added_tokens.json; by id
	addedFrom      string
}

// sideToken is an added token of tokenizer_config.json, with flags, or of
// added_tokens.json, without flags.
type sideToken struct {
	addedToken
	flags bool
}

// tokenText is a token written as "<s>" or as {"content": "<s>", …}.
type tokenText string

func (t *tokenText) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var c struct {
			Content string `json:"content"`
		}
		err := json.Unmarshal(b, &c)
		*t = tokenText(c.Content)
		return err
	}
	if err := json.Unmarshal(b, (*string)(t)); err != nil {
		return fmt.Errorf("found %s, expected a token: a string, or an object with its content", clip(string(b)))
	}
	return nil
}

// idList is an id, a list of ids, or null.
type idList []int

func (l *idList) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]int)(l))
	}
	var id *int
	err := json.Unmarshal(b, &id)
	if err != nil {
		return fmt.Errorf("found %s, expected a token id or a list of them", clip(string(b)))
	}
	if id != nil {
		*l = idList{*id}
	}
	return err
}

// readSidecar reads the files beside the vocabulary; read returns nil for a file that does
// not exist.
func readSidecar(read func(name string) ([]byte, error)) (*sidecar, error) {
	s := &sidecar{}
	load := func(name string, into any) error {
		data, err := read(name)
		if err != nil || data == nil {
			return err
		}
		if err := input.JSON(data, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	var tc struct {
		Class  string                     `json:"tokenizer_class"`
		BOS    *tokenText                 `json:"bos_token"`
		EOS    *tokenText                 `json:"eos_token"`
		AddBOS *bool                      `json:"add_bos_token"`
		AddEOS *bool                      `json:"add_eos_token"`
		Added  map[string]json.RawMessage `json:"added_tokens_decoder"`
	}
	if err := load("tokenizer_config.json", &tc); err != nil {
		return nil, err
	}
	s.class, s.addBOS, s.addEOS = tc.Class, tc.AddBOS, tc.AddEOS
	if err := s.readAdded(tc.Added, load); err != nil {
		return nil, err
	}
	var sm struct {
		BOS *tokenText `json:"bos_token"`
		EOS *tokenText `json:"eos_token"`
	}
	if err := load("special_tokens_map.json", &sm); err != nil {
		return nil, err
	}
	s.bosToken = firstText(tc.BOS, sm.BOS)
	s.eosToken = firstText(tc.EOS, sm.EOS)
	for _, name := range []string{"generation_config.json", "config.json"} {
		var c struct {
			BOS idList `json:"bos_token_id"`
			EOS idList `json:"eos_token_id"`
		}
		if err := load(name, &c); err != nil {
			return nil, err
		}
		if s.bosID == nil && len(c.BOS) > 0 {
			s.bosID, s.idsFrom = &c.BOS[0], name
		}
		if s.eosIDs == nil && len(c.EOS) > 0 {
			s.eosIDs, s.idsFrom = c.EOS, name
		}
	}
	return s, nil
}

// readAdded reads the added tokens: those of tokenizer_config.json, or of added_tokens.json if
// it has none.
func (s *sidecar) readAdded(decoder map[string]json.RawMessage, load func(name string, into any) error) error {
	for key, raw := range decoder {
		id, err := strconv.Atoi(key)
		if err != nil {
			return fmt.Errorf("tokenizer_config.json: added_tokens_decoder: %q is not an id", clip(key))
		}
		a := sideToken{flags: true}
		if err := input.PartJSON(raw, &a.addedToken); err != nil {
			return fmt.Errorf("tokenizer_config.json: added_tokens_decoder: id %d: %w", id, err)
		}
		a.ID = id
		s.added = append(s.added, a)
		s.addedFrom = "tokenizer_config.json: added_tokens_decoder"
	}
	if s.added == nil {
		var plain map[string]int
		if err := load("added_tokens.json", &plain); err != nil {
			return err
		}
		for content, id := range plain {
			s.added = append(s.added, sideToken{addedToken: addedToken{ID: id, Content: content}})
			s.addedFrom = "added_tokens.json"
		}
	}
	sort.Slice(s.added, func(i, j int) bool {
		if s.added[i].ID != s.added[j].ID {
			return s.added[i].ID < s.added[j].ID
		}
		return s.added[i].Content < s.added[j].Content
	})
	return nil
}

func firstText(list ...*tokenText) *string {
	for _, t := range list {
		if t != nil && *t != "" {
			s := string(*t)
			return &s
		}
	}
	return nil
}

// mergeAdded combines the added tokens of the vocabulary's own file with those of
// tokenizer_config.json, whose flags take precedence, as in Hugging Face's transformers.
func (s *sidecar) mergeAdded(t *Tokenizer, own []addedToken) ([]addedToken, error) {
	at := make(map[string]int, len(own))
	out := append([]addedToken(nil), own...)
	for i, a := range own {
		at[a.Content] = i
	}
	for _, a := range s.added {
		i, ok := at[a.Content]
		switch {
		case !ok:
			at[a.Content] = len(out)
			out = append(out, a.addedToken)
		case out[i].ID != a.ID:
			return nil, fmt.Errorf("%s: token %q has id %d here and id %d in the vocabulary file", s.addedFrom, clip(a.Content), a.ID, out[i].ID)
		case a.flags && out[i] != a.addedToken:
			t.warnings = append(t.warnings, fmt.Sprintf("the flags of token %q in tokenizer_config.json differ from those in the vocabulary file; those in tokenizer_config.json are used", a.Content))
			out[i] = a.addedToken
		}
	}
	return out, nil
}

// apply sets BOS, EOS and what Encode adds. tmpl is the template of tokenizer.json, which
// decides if there is one; otherwise add_bos_token and add_eos_token do.
func (s *sidecar) apply(t *Tokenizer, tmpl *template) error {
	if s.bosToken != nil {
		if id, ok := t.ids[*s.bosToken]; ok {
			t.bos = id
		} else {
			t.warn("bos_token %q is not in the vocabulary and is left out", *s.bosToken)
		}
	}
	if t.bos < 0 && s.bosID != nil {
		if t.Token(*s.bosID) == "" {
			t.warn("%s: bos_token_id %d is not in the vocabulary and is left out", s.idsFrom, *s.bosID)
		} else {
			t.bos = *s.bosID
		}
	}
	own := -1
	if s.eosToken != nil {
		if id, ok := t.ids[*s.eosToken]; ok {
			own = id
			t.addEOS(id)
		} else {
			t.warn("eos_token %q is not in the vocabulary and is left out", *s.eosToken)
		}
	}
	for _, id := range s.eosIDs {
		if t.Token(id) == "" {
			t.warn("%s: eos_token_id %d is not in the vocabulary and is left out", s.idsFrom, id)
			continue
		}
		t.addEOS(id)
	}
	if own < 0 && len(t.eos) > 0 {
		own = t.eos[0]
	}
	if tmpl != nil {
		t.prefix, t.suffix = tmpl.prefix, tmpl.suffix
		if t.bos < 0 && len(t.prefix) == 1 {
			t.bos = t.prefix[0]
		}
		if s.addBOS != nil && *s.addBOS != (len(t.prefix) > 0) {
			t.warn("add_bos_token is %v in tokenizer_config.json, but the template of tokenizer.json puts %s before a text; the template is followed",
				*s.addBOS, plural.Of(len(t.prefix), "token"))
		}
		return nil
	}
	if s.addBOS != nil && *s.addBOS {
		if t.bos < 0 {
			return fmt.Errorf("tokenizer_config.json: add_bos_token is true, but no bos_token is named")
		}
		t.prefix = []int{t.bos}
	}
	if s.addEOS != nil && *s.addEOS {
		if own < 0 {
			return fmt.Errorf("tokenizer_config.json: add_eos_token is true, but no eos_token is named")
		}
		t.suffix = []int{own}
	}
	return nil
}

// addEOS adds an id that ends a text.
func (t *Tokenizer) addEOS(id int) {
	for _, e := range t.eos {
		if e == id {
			return
		}
	}
	t.eos = append(t.eos, id)
}

func (t *Tokenizer) warn(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}
