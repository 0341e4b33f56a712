package main

import (
	"github.com/specquant/specquant"
)

// samplingFlags are the sampling options of every command that generates text.
type samplingFlags struct {
	Temp    float64 `help:"Temperature; 0 always takes the most likely token.${temp_auto}" default:"${temp}"`
	TopK    int     `help:"Draw from the k most likely tokens. 0: all." default:"40"`
	TopP    float64 `help:"Draw from the most likely tokens that together have this probability." default:"0.95"`
	MinP    float64 `help:"Never draw a token less likely than this share of the most likely one." default:"0.05"`
	Typical float64 `help:"Draw from the tokens of most typical information that together have this probability. 1: off." default:"1"`
	Seed    uint64  `help:"Seed of the draw; the same seed gives the same text." default:"1"`

	RepeatPenalty    float64  `help:"Make tokens of the text so far less likely: their logits are divided by this, if positive. 1: off." default:"1"`
	PresencePenalty  float64  `help:"Subtracted from the logits of tokens that have been generated." default:"0"`
	FrequencyPenalty float64  `help:"Subtracted likewise, once for each time the token has been generated." default:"0"`
	RepeatLastN      int      `help:"How many of the last tokens these three penalties consider. 0: all." default:"0"`
	DryMultiplier    float64  `help:"Make tokens less likely that would continue a repetition of several tokens (DRY). 0: off; usual: 0.8." default:"${dry}"`
	DryBase          float64  `help:"DRY: factor by which the penalty grows with each token of the repetition." default:"1.75"`
	DryAllowedLength int      `help:"DRY: length of repetitions that are not penalized, in tokens." default:"${dry_allowed}"`
	DryLastN         int      `help:"DRY: how many of the last tokens are searched for repetitions. 0: all." default:"0"`
	DryBreaker       []string `help:"DRY: a token with this text ends a repetition; may be given several times. Default: newline, colon, quote, asterisk." sep:"none" placeholder:"TEXT"`

	LogitBias map[int]float64 `help:"Add to the logit of a token id; may be given several times. -1000 bans it." placeholder:"ID=NUMBER"`
	Stop      []string        `help:"End the text where this is generated; may be given several times." sep:"none" placeholder:"TEXT"`
}

// options converts the flags to the library's options.
func (f *samplingFlags) options() specquant.GenerateOptions {
	return specquant.GenerateOptions{Temperature: f.Temp, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP, Typical: f.Typical,
		RepetitionPenalty: f.RepeatPenalty, PresencePenalty: f.PresencePenalty, FrequencyPenalty: f.FrequencyPenalty, PenaltyWindow: f.RepeatLastN,
		DRY:       specquant.DRY{Multiplier: f.DryMultiplier, Base: f.DryBase, AllowedLength: f.DryAllowedLength, Window: f.DryLastN, Breakers: f.DryBreaker},
		LogitBias: f.LogitBias, Seed: f.Seed, Stop: f.Stop}
}
