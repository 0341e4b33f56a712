package main

import (
	"bytes"
	"strings"
	"testing"
)

// What is wrong with a command line is told in words, with exit code 2.
func TestCommandLineErrors(t *testing.T) {
	for line, want := range map[string]string{
		"frobnicate":                         `there is no command "frobnicate"; the commands are demo, inspect`,
		"quantzie DIR":                       `did you mean "quantize"?`,
		"eval frobnicate DIR":                `eval has no "frobnicate"; it has ppl, tasks, divergence`,
		"inspect DIR more":                   `inspect: found "more", expected no further argument`,
		"run":                                "the argument <dir> is missing",
		"run DIR -n x":                       `--n: found "x", expected a whole number`,
		"run DIR -n 1.5":                     `--n: found "1.5", expected a whole number`,
		"run DIR --seed -1":                  `--seed`,
		"run DIR --temp warm":                `--temp: found "warm", expected a number`,
		"run DIR --logit-bias 5":             `--logit-bias: found "5", expected ID=NUMBER, such as 65=-5`,
		"run DIR --logit-bias a=1":           `--logit-bias: found "a", expected ID=NUMBER`,
		"run DIR --logit-bias 5=b":           `--logit-bias: found "b", expected ID=NUMBER`,
		"run DIR --logit-bias 1.5=2":         `--logit-bias: found "1.5", expected ID=NUMBER`,
		"run DIR --threads 1000000":          "--threads: found 1000000, expected at most 1024, the limit",
		"run DIR --threads=-1":               "--threads: found -1",
		"bench DIR --threads 1025":           "expected at most 1024",
		"bench DIR --batch 1,2000000":        "--batch: found 2000000, expected at most 4096",
		"bench DIR --rounds 100000":          "--rounds: found 100000, expected at most 1000",
		"bench DIR --prefill 999999999":      "--prefill: found 999999999",
		"inspect DIR --seeds 1000000":        "--seeds: found 1000000",
		"run DIR --ctx 999999999999":         "--ctx: found 999999999999",
		"run DIR --top-k=-1":                 "--top-k: found -1, expected a number from 0",
		"inspect DIR --seeds=-1":             "--seeds: found -1, expected 1 or more",
		"inspect DIR --seeds=0":              "--seeds: found 0, expected 1 or more",
		"inspect DIR --brief --seeds 2":      "--seeds: is for the spectral energy, which --brief leaves out",
		"inspect DIR --brief --alpha 0":      "--alpha: is for the spectral energy",
		"inspect DIR --brief --calib F":      "--calib: is for the spectral energy",
		"inspect DIR --alpha NaN":            "--alpha NaN: expected off, or a number from 0 to 1",
		"bench DIR --decode=-1":              "--decode: found -1",
		"bench DIR --batch=1,-8":             "--batch: found -8",
		"diff A B --max-windows=-2 --text T": "--max-windows: found -2",
		"serve DIR --drain=-1s":              "--drain: found -1s",
		"completion ksh":                     `the argument <shell>: found "ksh", expected one of "bash","zsh","fish"`,
		"eval ppl DIR --text T --protocol x": `--protocol: found "x", expected one of `,
		"serve DIR --timeout 5":              `--timeout: found "5", expected a time with its unit, such as 90s, 10m or 1h30m`,
		"serve DIR --keep-alive=1e308":       `--keep-alive: found "1e308", expected a time with its unit`,
		"serve DIR --drain=":                 `--drain: found "", expected a time with its unit`,
		"quantize DIR -o O --time 5":         `--time: found "5", expected a time with its unit`,
		"serve DIR --host=":                  "--host: its value is empty; leave the flag out, or give it a value",
		"serve DIR --socket=":                "--socket: its value is empty",
		"serve DIR --name=":                  "--name: its value is empty",
		"serve DIR --allow-host=":            "--allow-host: its value is empty",
		"serve DIR --cors-origin=":           "--cors-origin: its value is empty",
		"serve DIR --tls-cert=":              "--tls-cert: its value is empty",
		"serve DIR --slots=257":              "--slots: found 257, expected at most 256, the limit",
		"serve DIR --port=65536":             "--port: found 65536, expected at most 65535",
		"serve DIR --queue=99999999999":      "--queue: found 99999999999, expected at most 65536",
		"serve DIR --connections 100000":     "--connections: found 100000, expected at most 65536",
		"serve DIR --keep 1025":              "--keep: found 1025, expected at most 1024",
		"doctor DIR --against=":              "--against: its value is empty",
		"quantize DIR -o O --recipe=":        "--recipe: its value is empty",
		"eval ppl DIR":                       "missing flags: --text=FILE",
	} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(line), &out, &errs); code != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: code %d, %s\nwant %s", line, code, errs.String(), want)
		}
		for _, word := range []string{"unexpected argument", "bit int", "strconv", "EOL", "*kong", "map "} {
			if strings.Contains(errs.String(), word) {
				t.Errorf("%s: %s", line, errs.String())
			}
		}
	}
}
