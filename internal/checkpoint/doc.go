// Package checkpoint reads and writes what lies on disk: Hugging Face folders
// (config.json with safetensors, whole or sharded), single safetensors files,
// and GGUF files as an import source.
//
// # Trust
//
// Every file is taken as hostile. Lengths and counts found in a file are
// checked against the file's size, or against a limit stated beside the code,
// before they decide an allocation; a header is validated in full before the
// first tensor is handed out, so a [Tensor] that exists is in bounds.
//
// # Memory
//
// Files are memory-mapped where the system can: [Tensor].Data points into the
// map, costs no heap, and must not be used after Close. [Tensor.Release] gives
// a tensor's pages back to the kernel, so that a pass over a model larger than
// memory stays bounded. A mapped file must not be truncated by another program
// while it is open: touching a lost page ends the process (SIGBUS).
//
// # Errors
//
// Errors name the file, the tensor or field, what was found, what was expected
// and what to do. They can be told apart with errors.Is against
// [ErrMalformed], [ErrUnsupported], [ErrNotFinite] and [ErrNotFound].
package checkpoint
