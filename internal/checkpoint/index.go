package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxIndex is the longest model.safetensors.index.json that is read, maxConfig
// the longest config.json or generation_config.json, in bytes.
const (
	maxIndex  = maxHeader
	maxConfig = 16 << 20
)

// parseIndex reads a model.safetensors.index.json: which shard, a file beside
// the index, holds which tensor. A shard's name must be a plain file name, so
// that an index cannot reach outside its folder (the file itself may be a
// symbolic link, as in the Hugging Face cache).
func parseIndex(data []byte, file string) (map[string]string, error) {
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
			weights[name] = shard
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, malformed("%s: %d bytes after the end of the JSON object", file, len(rest))
	}
	if len(weights) == 0 {
		return nil, malformed("%s: weight_map is missing or empty", file)
	}
	return weights, nil
}

// checkShardName accepts plain safetensors file names only.
func checkShardName(s string) error {
	switch {
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
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, malformed("%s: not a regular file (%s)", path, st.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, malformed("%s: larger than %d bytes, the most that is read of such a file", path, limit)
	}
	return data, nil
}
