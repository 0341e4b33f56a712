package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/specquant/specquant/internal/input"
)

// Unread looks at all files of a folder that [Tokenizer.Files] may list, also at those that [Load]
// does not need because another one takes their place. It returns why some can't be read and are
// not listed or copied, and what is wrong with the contents of others.
func Unread(dir string) (unreadable, damaged []error) {
	for _, name := range ownFiles {
		path := filepath.Join(dir, name)
		data, err := input.ReadFile(path, MaxFileBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		if err := contents(name, data); err != nil {
			damaged = append(damaged, fmt.Errorf("%s: %w", path, err))
		}
	}
	return unreadable, damaged
}

// contents returns what is wrong with a file's contents, as far as that shows without its meaning.
func contents(name string, data []byte) error {
	switch filepath.Ext(name) {
	case ".model": // binary, in several formats
		if len(data) == 0 {
			return errors.New("is empty")
		}
		return nil
	case ".json":
		var object map[string]json.RawMessage
		if err := input.JSON(data, &object); err != nil {
			return err
		}
	}
	if len(data) == 0 {
		return errors.New("is empty")
	}
	return input.PlainText(data)
}
