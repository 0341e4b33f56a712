// Package jinja renders chat templates: the part of Jinja 3.1 that they use, with the settings
// with which Hugging Face's transformers renders them (trim_blocks, lstrip_blocks, loop
// controls, its own tojson, the immutable sandbox).
//
// # Why an interpreter of our own
//
// A chat template is a program that comes with a model, from a stranger, and it
// decides what a user's words are turned into. Two things are needed that the
// Go libraries do not give:
//
//   - Bounds. Every step, every byte of text made on the way, the depth of calls
//     and the time are counted against [Limits]; a template that does not end is
//     an error, not a hung server. gonja v2.9.1 evaluates "a" * 300000000 and
//     nested loops of any length, with no context and no place to count.
//   - Provenance. Each [Text] knows which of its bytes came from the
//     conversation and which from the template, through slicing, joining,
//     replacing and all else ([Text.User]). Only the template's own bytes may
//     become control tokens, so that what a user types can't forge a turn.
//
// Values are those of a template alone ([Value]): nothing of Go, of the file
// system or of other templates can be reached. include, import, extends and
// block are refused by name.
//
// Reference: https://jinja.palletsprojects.com/en/stable/templates/; what that leaves open
// follows the behaviour of jinja2 3.1.6.
package jinja
