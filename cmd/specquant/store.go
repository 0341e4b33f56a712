package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant/internal/hub"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

type listCmd struct{}

func (c *listCmd) Run(e *env) error {
	config, err := hub.FromEnv()
	if err != nil {
		return err
	}
	all, err := config.List()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintf(e.err, "no models in %s nor in %s; to download one: specquant pull OWNER/REPO\n", config.Cache, config.Store)
		return nil
	}
	t := newTable()
	t.SetOutputMirror(e.out)
	t.AppendHeader(table.Row{"name", "size", "what", "changed"})
	for _, m := range all {
		t.AppendRow(table.Row{m.Name, bytesText(m.Bytes), kindOf(m), m.Modified.Format("2006-01-02 15:04")})
	}
	t.Render()
	return nil
}

// kindOf describes the format of a model in the store in a word or two.
func kindOf(m hub.Cached) string {
	switch {
	case m.Quantized:
		return "quantized here"
	case m.Path != "":
		return "checkpoint"
	case len(m.GGUF) > 0:
		return plural.Of(len(m.GGUF), "GGUF file")
	}
	return "not complete, or nothing to run"
}

type showCmd struct {
	Model string `arg:"" help:"Name of a model in the store, as list shows it." placeholder:"NAME"`
}

func (c *showCmd) Run(e *env) error {
	config, err := hub.FromEnv()
	if err != nil {
		return err
	}
	m, err := config.Find(c.Model)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s: %s, %s\n", m.Name, kindOf(*m), bytesText(m.Bytes))
	if m.Commit != "" {
		fmt.Fprintf(e.out, "commit %s\n", m.Commit)
	}
	dir := m.Dir
	if m.Commit != "" {
		dir = filepath.Join(dir, "snapshots", m.Commit)
	}
	fmt.Fprintln(e.out, dir)
	t := newTable()
	t.SetOutputMirror(e.out)
	t.AppendHeader(table.Row{"file", "size"})
	var rows []table.Row
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := input.Stat(path) // follows links
		if err != nil {
			return nil // a broken link
		}
		rel, _ := filepath.Rel(dir, path)
		rows = append(rows, table.Row{filepath.ToSlash(rel), bytesText(info.Size())})
		return nil
	})
	if err != nil {
		return err
	}
	sort.Slice(rows, func(i, k int) bool { return rows[i][0].(string) < rows[k][0].(string) })
	t.AppendRows(rows)
	t.Render()
	return nil
}

type rmCmd struct {
	Model []string `arg:"" help:"Names of models in the store, as list shows them. A downloaded model is removed with all its revisions, also from Hugging Face's cache that other programs share." placeholder:"NAME"`
	Yes   bool     `short:"y" help:"Do not ask."`
}

func (c *rmCmd) Run(e *env) error {
	config, err := hub.FromEnv()
	if err != nil {
		return err
	}
	for _, name := range c.Model { // look up all names before removing anything
		if _, err := config.Find(name); err != nil {
			return err
		}
	}
	for _, name := range c.Model {
		m, err := config.Find(name)
		if err != nil {
			return err
		}
		if !c.Yes && !e.confirm(fmt.Sprintf("remove %s, %s in %s?", m.Name, bytesText(m.Bytes), m.Dir), false) {
			return fmt.Errorf("%s was not removed; give --yes to remove it without being asked", m.Name)
		}
		dir, bytes, err := config.Remove(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.err, "removed %s: %s freed in %s\n", m.Name, bytesText(bytes), filepath.Dir(dir))
	}
	return nil
}

// confirm asks the user a question. If there is no terminal, the answer is the value of
// otherwise.
func (e *env) confirm(question string, otherwise bool) bool {
	if !e.isTerm || e.in == nil || !isTerminalInput(e.in) {
		return otherwise
	}
	fmt.Fprintf(e.err, "%s [y/N] ", question)
	line, _ := bufio.NewReader(e.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}
