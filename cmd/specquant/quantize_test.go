package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/specquant/specquant"
)

// TestResumable: only of what may end otherwise is it said that the same command
// goes on.
func TestResumable(t *testing.T) {
	gone, stop := context.WithCancel(t.Context())
	stop()
	e := &env{ctx: t.Context()}
	for _, err := range []error{
		&specquant.RejectedError{}, fmt.Errorf("block 1: %w", specquant.ErrMalformed),
		errors.New("out.partial is the unfinished work of another job"), errors.New("another process is working on this job"), &specquant.StrictError{},
	} {
		if resumable(e, err) {
			t.Errorf("%v: said to go on", err)
		}
	}
	if !resumable(&env{ctx: gone}, context.Canceled) {
		t.Error("interrupted: not said to go on")
	}
	if !resumable(e, fmt.Errorf("block 3: write x: disk full: %w", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})) {
		t.Error("a full disk: not said to go on")
	}
}

// TestBitsHelp holds the bits that the help of --bits names against the recipes.
func TestBitsHelp(t *testing.T) {
	field, _ := reflect.TypeFor[jobFlags]().FieldByName("Bits")
	help := field.Tag.Get("help")
	all, err := specquant.Recipes()
	if err != nil {
		t.Fatal(err)
	}
	bits := map[string]string{}
	for _, r := range all {
		bits[r.Name] = r.Bits
		if strings.HasPrefix(r.Name, "specquant") && r.Bits != "4-8-8" {
			t.Errorf("%s has %s, the help says 4-8-8", r.Name, r.Bits)
		}
	}
	if !strings.Contains(help, "4-8-8 for this project") || bits["gptq"] != bits["awq"] {
		t.Errorf("the help says %q", help)
	}
	for _, want := range []string{"rtn " + bits["rtn"], "gptq and awq " + bits["gptq"], "smoothquant " + bits["smoothquant"]} {
		if !strings.Contains(help, want) {
			t.Errorf("the help lacks %q: %s", want, help)
		}
	}
}
