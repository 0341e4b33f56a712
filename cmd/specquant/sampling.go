package main

import (
	"github.com/specquant/specquant"
)

// samplingFlags say how tokens are drawn, for every command that generates.
type samplingFlags struct {
	Temp    float64 `help:"Temperature; 0 always takes the most likely token.${temp_auto}" default:"${temp}"`
	TopK    int     `help:"Draw from the k most likely tokens. 0: all." default:"40"`
	TopP    float64 `help:"Draw from the most likely tokens that together have this probability." default:"0.95"`
	MinP    float64 `help:"Never draw a token less likely than this share of the most likely one." default:"0.05"`
	Typical float64 `help:"Draw from the tokens of most typical information that together have this probability. 1: off." default:"1"`
	Seed    uint64  `help:"Seed of the draw; the same seed gives the same text." default:"1"`

	RepeatPenalty    float64  `help:"Make tokens of the text so far less likely: their logits are divided by this, if positive. 1: off." default:"1"`
	PresencePenalty  float64  `help:"Taken from the logits of tokens that have been generated." default:"0"`
	FrequencyPenalty float64  `help:"Likewise, times how often they have been." default:"0"`
	RepeatLastN      int      `help:"Tokens back that these three look. 0: all." default:"0"`
	DryMultiplier    float64  `help:"Make tokens less likely that would go on with a repetition of several tokens (DRY). 0: off; usual: 0.8." default:"${dry}"`
	DryBase          float64  `help:"DRY: how fast that grows with the length of the repetition." default:"1.75"`
	DryAllowedLength int      `help:"DRY: tokens that may be repeated." default:"${dry_allowed}"`
	DryLastN         int      `help:"DRY: tokens back that are looked at. 0: all." default:"0"`
	DryBreaker       []string `help:"DRY: a text that no repetition goes across; may be given several times. Default: newline, colon, quote, asterisk." sep:"none" placeholder:"TEXT"`

	LogitBias map[int]float64 `help:"Add to the logit of a token id; may be given several times. -1000 bans it." placeholder:"ID=NUMBER"`
	Stop      []string        `help:"End the text where this is generated; may be given several times." sep:"none" placeholder:"TEXT"`
}

// options are the library's.
func (f *samplingFlags) options() specquant.GenerateOptions {
	return specquant.GenerateOptions{Temperature: f.Temp, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP, Typical: f.Typical,
		RepetitionPenalty: f.RepeatPenalty, PresencePenalty: f.PresencePenalty, FrequencyPenalty: f.FrequencyPenalty, PenaltyWindow: f.RepeatLastN,
		DRY:       specquant.DRY{Multiplier: f.DryMultiplier, Base: f.DryBase, AllowedLength: f.DryAllowedLength, Window: f.DryLastN, Breakers: f.DryBreaker},
		LogitBias: f.LogitBias, Seed: f.Seed, Stop: f.Stop}
}
