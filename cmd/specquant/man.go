package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/plural"
)

// manCmd writes manual pages from the same definitions as --help.
type manCmd struct {
	Command []string `arg:"" optional:"" help:"Command whose page to print, such as quantize, or eval ppl. Default: the page of specquant itself." placeholder:"COMMAND"`
	Out     string   `short:"o" help:"Write all pages to this folder, such as ~/.local/share/man/man1; it is created if it is missing." placeholder:"DIR"`
}

// Validate returns an error for contradictory arguments.
func (c *manCmd) Validate(k *kong.Context) error {
	if c.Out != "" && len(c.Command) > 0 {
		return fmt.Errorf("--out writes the pages of all commands; leave %q out", strings.Join(c.Command, " "))
	}
	_, err := findCommand(k.Model.Node, c.Command)
	return err
}

func (c *manCmd) Run(e *env, k *kong.Kong) error {
	if c.Out == "" {
		n, err := findCommand(k.Model.Node, c.Command)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(e.out, manPage(n))
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	pages := manNodes(k.Model.Node)
	for _, n := range pages {
		if err := checkpoint.WriteFileAtomic(filepath.Join(c.Out, manName(n)+".1"), []byte(manPage(n))); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(e.out, "%s: %s; read one with: man %s\n", c.Out, plural.Of(len(pages), "page"), filepath.Join(c.Out, "specquant.1"))
	return err
}

// manNodes returns the program and all commands that help lists, each before its subcommands.
func manNodes(n *kong.Node) []*kong.Node {
	all := []*kong.Node{n}
	for _, c := range n.Children {
		if !c.Hidden {
			all = append(all, manNodes(c)...)
		}
	}
	return all
}

// manName is the name of a command's page, such as specquant-eval-ppl.
func manName(n *kong.Node) string { return strings.ReplaceAll(n.FullPath(), " ", "-") }

// manPage returns the page of a command in the roff format of man(7).
func manPage(n *kong.Node) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	name := manName(n)
	line(".TH %s 1 \"\" \"specquant %s\" \"SpecQuant\"", strings.ToUpper(name), specquant.Version)
	line(".SH NAME")
	short, _, _ := strings.Cut(n.Help, ". ")
	line("%s \\- %s", roff(name), roff(strings.TrimSuffix(short, ".")))
	line(".SH SYNOPSIS")
	line(".B %s", roff(n.FullPath()))
	line("%s", roff(strings.TrimSpace(strings.TrimPrefix(n.Summary(), n.Path()))))
	line(".SH DESCRIPTION")
	line("%s", roff(n.Help))
	if n.Detail != "" {
		line(".PP\n%s", roff(n.Detail))
	}
	if len(n.Positional) > 0 {
		line(".SH ARGUMENTS")
		for _, p := range n.Positional {
			line(".TP\n.I %s\n%s", roff(strings.Trim(p.Summary(), "[]")), roff(p.Help))
		}
	}
	line(".SH OPTIONS")
	for _, f := range flagsOf(n) {
		line(".TP\n%s\n%s", manFlag(f), roff(f.Help))
	}
	if n.Parent != nil && len(n.Children) == 0 {
		manTail(line, manName(n.Parent))
		return b.String()
	}
	line(".SH COMMANDS")
	for _, c := range n.Children {
		if !c.Hidden {
			line(".TP\n.BR %s (1)\n%s", roff(manName(c)), roff(c.Help))
		}
	}
	if n.Parent != nil {
		manTail(line, manName(n.Parent))
		return b.String()
	}
	line(".SH EXIT STATUS")
	for _, s := range exitCodes {
		line(".TP\n.B %d\n%s", s.code, roff(s.what))
	}
	line(".SH ENVIRONMENT")
	for _, v := range environment {
		line(".TP\n.B %s\n%s", roff(v.name), roff(v.what))
	}
	return b.String()
}

func manTail(line func(string, ...any), parent string) {
	line(".SH SEE ALSO")
	line(".BR %s (1)", roff(parent))
}

// manFlag is the first line of a flag: -o, --out=OUT.
func manFlag(f *kong.Flag) string {
	head := "\\fB\\-\\-" + roff(f.Name) + "\\fR"
	if f.Short != 0 {
		head = "\\fB\\-" + string(f.Short) + "\\fR, " + head
	}
	if !f.IsBool() {
		head += "=\\fI" + roff(f.FormatPlaceHolder()) + "\\fR"
	}
	return head
}

// environment are the variables that the program reads.
var environment = []struct{ name, what string }{
	{cpu.EnvTier, "Lowers the instruction set that the kernels use: portable, avx2, avxvnni or avx512; on arm64 portable or neon."},
	{"HF_HOME, HF_HUB_CACHE", "Where Hugging Face's cache lies, in which models are looked up by name and into which pull fetches them."},
	{"HF_TOKEN, HF_TOKEN_PATH", "The token for private and gated repositories, or the file that holds it."},
	{"HF_ENDPOINT", "Address of the hub. Default: https://huggingface.co."},
	{"HF_HUB_OFFLINE", "1: fetch nothing."},
	{"SPECQUANT_HOME", "Where models lie that chat --quantize has made. Default: specquant beside HF_HOME."},
	{"SPECQUANT_HISTORY", "File of the lines typed in chat; none: keep none."},
}

// exitCodes are the program's exit codes with their meaning.
var exitCodes = []struct {
	code int
	what string
}{
	{0, "Done."},
	{1, "The work failed; standard error says why."},
	{2, "The command line is wrong."},
	{130, "Interrupted."},
}

// roff escapes plain text for the formatter: backslashes, hyphens that are minus signs, and a
// dot or quote at the beginning of a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", "\n", "^", `\(ha`, "~", `\(ti`, "`", `\(ga`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if l != "" && slices.Contains([]byte(".'"), l[0]) {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
