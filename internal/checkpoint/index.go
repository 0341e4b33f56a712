package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// maxIndex is the largest model.safetensors.index.json that is read, maxConfig the largest
// config.json or generation_config.json, in bytes.
//
// maxIndexed is the largest number of tensors that an index may list: mixtures of experts
// have a hundred thousand.
const (
	maxIndexed = 1 << 19
	maxIndex   = maxHeader
	maxConfig  = 16 << 20
)

// parseIndex reads a model.safetensors.index.json: which shard, a file in the same folder,
// holds which tensor. A shard's name must be a plain file name, so that an index cannot
// refer to files outside its folder (the file itself may be a symbolic link, as in the
// Hugging Face cache).
func parseIndex(data []byte, file string) (map[string]string, error) {
	if err := checkStart(data, file); err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, malformed("%s: not valid UTF-8", file)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var weights map[string]string
	err := decodeObject(dec, file, func(key string) error {
		if key != "weight_map" {
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return malformed("%s: %q: %v", file, key, err)
			}
			return nil
		}
		weights = map[string]string{}
		return decodeObject(dec, file+": weight_map", func(name string) error {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return malformed("%s: weight_map: %q: %v", file, name, err)
			}
			shard, ok := jsonString(raw)
			if !ok {
				return malformed("%s: weight_map: tensor %q: found %s, expected a file name", file, name, brief(raw))
			}
			if err := checkShardName(shard); err != nil {
				return malformed("%s: weight_map: tensor %q: shard name %q %v", file, name, shard, err)
			}
			if len(weights) == maxIndexed {
				return malformed("%s: weight_map lists more than %s, the limit", file, plural.Of(maxIndexed, "tensor"))
			}
			weights[name] = shard
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, malformed("%s: %s after the end of the JSON object", file, plural.Of(len(rest), "byte"))
	}
	if len(weights) == 0 {
		return nil, malformed("%s: weight_map is missing or empty", file)
	}
	return weights, nil
}

// checkShardName accepts only plain safetensors file names.
func checkShardName(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("is empty, expected a plain file name")
	case strings.ContainsAny(s, "/\\:\x00") || !filepath.IsLocal(s) || filepath.Base(s) != s:
		return fmt.Errorf("leaves the folder, expected a plain file name")
	case !strings.HasSuffix(s, ".safetensors"):
		return fmt.Errorf("is not a .safetensors file")
	case len(s) > 255:
		return fmt.Errorf("is longer than 255 bytes")
	}
	return nil
}

// readSmall reads a whole file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	data, err := input.ReadFile(path, limit)
	return data, asMalformed(err)
}

// openRegular opens a file on disk for reading; see [input.Open].
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, st, err := input.Open(path)
	return f, st, asMalformed(err)
}

// asMalformed converts to ErrMalformed the error for a path that is no regular file, or too
// large.
func asMalformed(err error) error {
	var special *input.NotRegularError
	var large *input.LargeError
	if errors.As(err, &special) || errors.As(err, &large) {
		return malformed("%s", err.Error())
	}
	return err
}
