package main

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/hub"
)

// Completions are computed by the program itself: each shell's script passes the words so far
// and shows the answer, so that it always knows the present commands, flags and recipes.

//go:embed completion
var completionScripts embed.FS

type completionCmd struct {
	Shell string `arg:"" help:"Shell to print the script for: bash, zsh or fish." enum:"bash,zsh,fish" placeholder:"SHELL"`
}

func (*completionCmd) Help() string {
	return `bash: source <(specquant completion bash), in ~/.bashrc to keep it.

zsh: source <(specquant completion zsh), in ~/.zshrc after compinit.

fish: specquant completion fish > ~/.config/fish/completions/specquant.fish`
}

func (c *completionCmd) Run(e *env) error {
	script, err := completionScripts.ReadFile("completion/specquant." + c.Shell)
	if err != nil {
		return err
	}
	_, err = e.out.Write(script)
	return err
}

// completeWord is the first argument when a shell asks for completions. The other arguments are
// the words after the program's name, up to the one to complete, which may be "".
const completeWord = "__complete"

// candidates are the possible completions of a word.
type candidates struct {
	words []candidate
	paths string // which paths the shell adds: pathNone, pathFiles or pathFolders
}

type candidate struct{ word, help string }

const (
	pathNone    = "none"
	pathFiles   = "files"
	pathFolders = "folders"
)

// printCandidates writes candidates as the shells' scripts read them: a line for each, with a
// tab before its help, and a last line that begins with a colon and tells whether files or
// folders fit too.
func printCandidates(w io.Writer, c candidates) {
	for _, k := range c.words {
		fmt.Fprintf(w, "%s\t%s\n", k.word, k.help)
	}
	fmt.Fprintf(w, ":%s\n", c.paths)
}

// complete returns the possible completions of the last word.
func complete(n *kong.Node, words []string) candidates {
	if len(words) == 0 {
		words = []string{""}
	}
	words, before, last := joinBashWords(words)
	if before != "" {
		return complete(n, append(slices.Clone(words), before+last)).without(before)
	}
	n, waiting, position, ended := follow(n, words)
	if waiting != nil {
		return values(n, waiting.Value, "", last)
	}
	if name, value, has := strings.Cut(last, "="); has && !ended {
		if f := findFlag(n, name); f != nil {
			return values(n, f.Value, name+"=", value)
		}
	}
	if strings.HasPrefix(last, "-") && !ended {
		c := candidates{paths: pathNone}
		for _, f := range flagsOf(n) {
			c.add("--"+f.Name, f.Help, last)
		}
		return c
	}
	if len(n.Children) > 0 {
		c := candidates{paths: pathNone}
		for _, sub := range n.Children {
			if !sub.Hidden {
				c.add(sub.Name, sub.Help, last)
			}
		}
		return c
	}
	if len(n.Positional) == 0 {
		return candidates{paths: pathNone}
	}
	p := n.Positional[min(position, len(n.Positional)-1)]
	if position >= len(n.Positional) && !p.IsCumulative() {
		return candidates{paths: pathNone}
	}
	return values(n, p, "", last)
}

// joinBashWords takes the words before the last one and the last one, which is to be completed. bash passes --flag=value as three
// words, and so the name of a model with a colon; of the latter, before is the part up to the colon.
func joinBashWords(all []string) (words []string, before, last string) {
	words, last = all[:len(all)-1], all[len(all)-1]
	if k := len(words); last == "=" && k > 0 {
		last = ""
	} else if k > 1 && words[k-1] == "=" {
		words = words[:k-1]
	} else if last == ":" && k > 0 {
		words, before, last = words[:k-1], words[k-1]+":", ""
	} else if k > 1 && words[k-1] == ":" {
		words, before = words[:k-2], words[k-2]+":"
	}
	return words, before, last
}

// follow returns the command that words lead to from n, the flag whose value comes next (nil: none), how many
// arguments there are already, and whether "--" has ended the flags.
func follow(n *kong.Node, words []string) (command *kong.Node, waiting *kong.Flag, position int, ended bool) {
	for _, word := range words {
		switch {
		case waiting != nil:
			waiting = nil
		case ended:
			position++
		case word == "--":
			ended = true
		case strings.HasPrefix(word, "-") && word != "-":
			name, _, has := strings.Cut(word, "=")
			if f := findFlag(n, name); f != nil && !has && !f.IsBool() {
				waiting = f
			}
		case child(n, word) != nil && position == 0:
			n = child(n, word)
		default:
			position++
		}
	}
	return n, waiting, position, ended
}

// without leaves out of each word what bash has already.
func (c candidates) without(before string) candidates {
	var words []candidate
	for _, k := range c.words {
		if rest, ok := strings.CutPrefix(k.word, before); ok {
			words = append(words, candidate{rest, k.help})
		}
	}
	return candidates{words: words, paths: pathNone}
}

// add adds a word if it begins with the text typed so far, with the first sentence of its help.
func (c *candidates) add(word, help, typed string) {
	if !strings.HasPrefix(word, typed) {
		return
	}
	help, _, _ = strings.Cut(help, ". ")
	c.words = append(c.words, candidate{word, strings.TrimSuffix(strings.Join(strings.Fields(help), " "), ".")})
}

// findFlag returns the flag that a word such as --bits or -o names; nil if there is none.
func findFlag(n *kong.Node, word string) *kong.Flag {
	for _, f := range flagsOf(n) {
		if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

// values returns the possible values of a flag or argument. In a list, such as --bits
// 4-4-4,4-8-8, the last item is completed.
func values(n *kong.Node, v *kong.Value, before, typed string) candidates {
	c := candidates{paths: pathNone}
	whole := typed
	if v.IsCumulative() && v.Flag != nil && v.Tag.Sep > 0 {
		if i := strings.LastIndexByte(typed, byte(v.Tag.Sep)); i >= 0 {
			before, typed = before+typed[:i+1], typed[i+1:]
		}
	}
	add := func(word, help string) {
		if strings.HasPrefix(word, typed) {
			c.add(before+word, help, "")
		}
	}
	switch {
	case v.Enum != "":
		for _, s := range v.EnumSlice() {
			if s != "" {
				add(s, "")
			}
		}
	case v.Name == "recipe" || v.Name == "recipes" || n.Name == "recipes":
		recipes, err := specquant.Recipes()
		if err == nil {
			for _, r := range recipes {
				add(r.Name, r.About)
			}
		}
		if n.Name != "recipes" {
			c.paths = pathFiles
		}
	case v.Name == "bits":
		for _, s := range []string{"4-8-8", "4-16-16", "4-4-16", "4-4-4", "8-8-8", "3-8-8"} {
			add(s, "")
		}
	case v.Name == "shape" && n.Name == "bench":
		for _, s := range engine.ShapeNames() {
			add(s, "")
		}
	case v.Name == "tasks":
		for _, s := range specquant.TaskNames() {
			add(s, "")
		}
	case v.Name == "command":
		for _, s := range topCommands(n) {
			add(s.Name, s.Help)
		}
	case isModel(v):
		c.addModels(n, v, before, typed)
	case before == "" && whole == typed && isFolder(v):
		c.paths = pathFolders
	case isFile(v):
		c.paths = pathFiles
	}
	return c
}

// topCommands returns the program's commands, given any node below it.
func topCommands(n *kong.Node) []*kong.Node {
	for n.Parent != nil {
		n = n.Parent
	}
	return slices.DeleteFunc(slices.Clone(n.Children), func(c *kong.Node) bool { return c.Hidden })
}

// isModel reports whether a flag or argument names a model to read, which may be in the
// store.
func isModel(v *kong.Value) bool {
	if v.Flag != nil {
		return v.Flag.Name == "against"
	}
	return isFolder(v) || v.Tag.PlaceHolder == "NAME" && v.Name == "model"
}

// modelNames are the models in the store, with what each is.
func modelNames() (names []candidate) {
	config, err := hub.FromEnv()
	if err != nil {
		return nil
	}
	all, err := config.List()
	if err != nil {
		return nil
	}
	for _, m := range all {
		what := kindOf(m) + ", " + bytesText(m.Bytes)
		if m.Path == "" && len(m.GGUF) > 1 {
			for _, f := range m.GGUF {
				names = append(names, candidate{m.Name + ":" + f, "GGUF file"})
			}
			continue
		}
		names = append(names, candidate{m.Name, what})
	}
	return names
}

// addModels adds the models in the store, and says which paths can name a model.
func (c *candidates) addModels(n *kong.Node, v *kong.Value, before, typed string) {
	if name, model, ok := strings.Cut(typed, "="); ok && n.Name == "serve" { // NAME=MODEL
		before, typed = before+name+"=", model
	}
	for _, m := range modelNames() {
		c.addName(before, m, typed)
	}
	if v.Tag.PlaceHolder == "NAME" {
		return
	}
	c.paths = pathFolders
	if v.Tag.PlaceHolder == "MODEL" || strings.Contains(v.Help, "GGUF") {
		c.paths = pathFiles // a GGUF file, too
	}
}

// addName takes a model whose name, with or without its owner, begins as what is typed,
// in letters of any case.
func (c *candidates) addName(before string, m candidate, typed string) {
	short := m.word[strings.Index(m.word, "/")+1:]
	switch {
	case hasPrefixFold(m.word, typed):
		c.add(before+m.word, m.help, "")
	case hasPrefixFold(short, typed):
		c.add(before+short, m.help, "")
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// The placeholder of a flag or argument says what it is: DIR, OUT, A, B and MODEL are
// folders, and what has FILE in its name is a file.
func isFolder(v *kong.Value) bool {
	return slices.Contains([]string{"DIR", "OUT", "OUT|DIR", "A", "B", "MODEL"}, v.Tag.PlaceHolder)
}

func isFile(v *kong.Value) bool { return isFolder(v) || strings.Contains(v.Tag.PlaceHolder, "FILE") }
