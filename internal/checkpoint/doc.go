// Package checkpoint reads and writes model files: Hugging Face folders (config.json with
// safetensors, one file or sharded), single safetensors files, and GGUF files.
//
// Files by subject: safetensors_*, gguf_*; config, families, fields, rope and parts parse
// config.json; folder, index, layers, fused and check open a folder and check it; seal,
// sums and hash detect damage; region and mmap_* map files; atomic writes them.
//
// # Trust
//
// Every file is treated as hostile. Lengths and counts in a file are checked against the
// file's size, or against a limit stated beside the code, before they decide an allocation.
// A header is validated completely before the first tensor is returned, so a [Tensor] that
// exists is within bounds.
//
// # Memory
//
// Files are memory-mapped if the system supports it: [Tensor].Data points into the map,
// takes no heap memory, and must not be used after Close. [Tensor.Release] returns a
// tensor's pages to the kernel, so that a pass over a model larger than memory needs little
// of it. A mapped file must not be truncated by another program while it is open: accessing
// a lost page ends the process (SIGBUS).
//
// # Errors
//
// Errors name the file, the tensor or field, what was found, what was expected and what to
// do. They can be distinguished by errors.Is with [ErrMalformed], [ErrUnsupported],
// [ErrNotFinite] and [ErrNotFound].
package checkpoint
