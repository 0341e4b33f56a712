package input

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
)

// repeatedKey returns an error if an object of a valid JSON document has a key twice:
// encoding/json uses the last of the values, other readers of the same file the first.
func repeatedKey(data []byte) error {
	seed := maphash.MakeSeed()
	// A set of hashes takes a fraction of the time and memory of one of strings, and a
	// vocabulary has hundreds of thousands of keys. Two keys with one hash are compared.
	return eachKey(data, func(seen map[uint64]int, key []byte, at int) error {
		h := maphash.Bytes(seed, key)
		if first, ok := seen[h]; ok && bytes.Equal(keyAt(data, first), key) {
			return fmt.Errorf("key %.60q appears twice in one object, the second time in line %d; delete the one that does not belong there", key, 1+bytes.Count(data[:at], []byte("\n")))
		}
		seen[h] = at
		return nil
	})
}

// eachKey calls fn with each key of a valid JSON document, the position of its first quote,
// and a map that is the same for all keys of one object.
func eachKey(data []byte, fn func(object map[uint64]int, key []byte, at int) error) error {
	var open []map[uint64]int // of the objects and lists around; nil: a list
	key := false              // the next string is a key
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			open, key = append(open, map[uint64]int{}), true
		case '[':
			open, key = append(open, nil), false
		case '}', ']':
			open, key = open[:len(open)-1], false
		case ',':
			key = len(open) > 0 && open[len(open)-1] != nil
		case '"':
			if key {
				if err := fn(open[len(open)-1], keyAt(data, i), i); err != nil {
					return err
				}
				key = false
			}
			i = stringEnd(data, i) - 1
		}
	}
	return nil
}

// stringEnd is the position behind the string that begins at position i.
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// keyAt is the text of the key that begins at position i.
func keyAt(data []byte, i int) []byte {
	quoted := data[i:stringEnd(data, i)]
	var s string
	if bytes.IndexByte(quoted, '\\') >= 0 && json.Unmarshal(quoted, &s) == nil {
		return []byte(s)
	}
	return quoted[1 : len(quoted)-1]
}
