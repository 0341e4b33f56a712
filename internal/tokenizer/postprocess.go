package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/specquant/specquant/internal/plural"
)

// template is what a TemplateProcessing puts before and after one text.
type template struct {
	prefix, suffix []int
}

// parsePostProcessor reads the post_processor of a tokenizer.json; nil means that it has no
// template. Only the template for a single text is used.
func parsePostProcessor(raw json.RawMessage, t *Tokenizer, depth int) (*template, error) {
	if isNull(raw) {
		return nil, nil
	}
	kind, err := componentType(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "ByteLevel":
		// It trims offsets, which are not computed here.
		return nil, decodeStrict(raw, &byteLevelConfig{})
	case "Sequence":
		var c struct {
			Type string            `json:"type"`
			List []json.RawMessage `json:"processors"`
		}
		if err := decodeStrict(raw, &c); err != nil {
			return nil, err
		}
		if depth >= maxNesting {
			return nil, fmt.Errorf("sequences nested deeper than %d", maxNesting)
		}
		var found *template
		for i, r := range c.List {
			tm, err := parsePostProcessor(r, t, depth+1)
			if err != nil {
				return nil, fmt.Errorf("step %d: %w", i, err)
			}
			if tm != nil && found != nil {
				return nil, fmt.Errorf("step %d: a second TemplateProcessing is not supported", i)
			}
			if tm != nil {
				found = tm
			}
		}
		return found, nil
	case "TemplateProcessing":
		return parseTemplate(raw, t)
	}
	return nil, unsupported(kind, "TemplateProcessing, ByteLevel, Sequence")
}

func parseTemplate(raw json.RawMessage, t *Tokenizer) (*template, error) {
	type part struct {
		ID     string `json:"id"`
		TypeID int    `json:"type_id"`
	}
	var c struct {
		Type   string `json:"type"`
		Single []struct {
			SpecialToken *part `json:"SpecialToken"`
			Sequence     *part `json:"Sequence"`
		} `json:"single"`
		Pair    json.RawMessage `json:"pair"`
		Special map[string]struct {
			ID     string   `json:"id"`
			IDs    []int    `json:"ids"`
			Tokens []string `json:"tokens"`
		} `json:"special_tokens"`
	}
	if err := decodeStrict(raw, &c); err != nil {
		return nil, err
	}
	tm, texts := &template{}, 0
	for i, p := range c.Single {
		switch {
		case p.Sequence != nil && p.SpecialToken == nil:
			if p.Sequence.ID != "A" {
				return nil, fmt.Errorf("template piece %d: sequence %q in the template for one text; expected A", i, clip(p.Sequence.ID))
			}
			texts++
		case p.SpecialToken != nil && p.Sequence == nil:
			sp, ok := c.Special[p.SpecialToken.ID]
			if !ok {
				return nil, fmt.Errorf("template piece %d: token %q is not in special_tokens", i, clip(p.SpecialToken.ID))
			}
			for _, id := range sp.IDs {
				if t.Token(id) == "" {
					return nil, fmt.Errorf("template piece %d: token %q has id %d, which is not in the vocabulary", i, clip(p.SpecialToken.ID), id)
				}
			}
			if texts == 0 {
				tm.prefix = append(tm.prefix, sp.IDs...)
			} else {
				tm.suffix = append(tm.suffix, sp.IDs...)
			}
		default:
			return nil, fmt.Errorf("template piece %d is neither Sequence nor SpecialToken", i)
		}
	}
	if texts != 1 {
		return nil, fmt.Errorf("the template for one text contains the text %s, expected once", plural.Of(texts, "time"))
	}
	return tm, nil
}
