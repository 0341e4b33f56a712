// Package constrain keeps what a model writes within a JSON Schema or a regular
// expression, by saying before each token which tokens may be next.
//
// A schema or an expression is compiled to a program (program.go): an automaton over
// bytes that may call parts of itself, so that schemas may be recursive. While text is
// written, the automaton's states are made as they are met and kept (state.go), as a
// lazy DFA does. The tokens that a state allows are found by walking the vocabulary as a
// trie of bytes (vocabulary.go, mask.go), once a state.
//
// Everything is bounded: the constants in limits.go are named by the errors of what
// exceeds them. Where a schema asks for more than is done here, Compile says so in
// warnings, and the text is kept within the rest of the schema.
//
// # What is written of what a schema allows
//
// A constraint never allows a text that the schema does not, but for the keywords that
// the warnings name; it may allow fewer:
//
//   - properties come in the schema's order; the ones that it does not list, last, and only
//     where additionalProperties allows them or no property is listed;
//   - between the parts of arrays and objects there is nothing, one blank, or a line break
//     with indentation;
//   - numbers have at most 18 digits before the point, 16 behind it and 2 in the exponent,
//     which none has whose range is bounded;
//   - names and patterns are written with the fewest escapes;
//   - without a type, the keywords that are there say which one is meant.
package constrain
