package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant"
)

// helpCmd prints what --help prints: "help COMMAND" is the same as "COMMAND --help".
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"Command to explain, such as quantize, or eval ppl. Default: all, in a line each." placeholder:"COMMAND"`
}

// Validate returns an error that lists the commands if there is no such command.
func (c *helpCmd) Validate(k *kong.Context) error {
	_, err := findCommand(k.Model.Node, c.Command)
	return err
}

func (c *helpCmd) Run(k *kong.Kong) error {
	ctx, err := kong.Trace(k, c.Command)
	if err != nil {
		return err
	}
	return ctx.PrintUsage(false)
}

// versionCmd prints what --version prints.
type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.out, versionLine)
	return err
}

const versionLine = "specquant " + specquant.Version

// findCommand follows the words of a command, such as eval ppl, through the command
// line's definition.
func findCommand(n *kong.Node, words []string) (*kong.Node, error) {
	for i, word := range words {
		next := child(n, word)
		if next == nil {
			return nil, fmt.Errorf("%q: there is no such command; expected one of %s", strings.Join(words[:i+1], " "), strings.Join(childNames(n), ", "))
		}
		n = next
	}
	return n, nil
}

// child is the command of that name; nil: there is none.
func child(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// childNames are the commands that help lists.
func childNames(n *kong.Node) []string {
	var names []string
	for _, c := range n.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return []string{"none: " + n.FullPath() + " has no commands of its own"}
	}
	return names
}

// flagsOf are the flags that a command takes, its parents' first; hidden ones are
// left out.
func flagsOf(n *kong.Node) []*kong.Flag {
	var all []*kong.Flag
	for _, group := range n.AllFlags(true) {
		all = append(all, group...)
	}
	return all
}
