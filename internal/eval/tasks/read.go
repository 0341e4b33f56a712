package tasks

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// Limits on what is read. The largest published split has 10,042 questions in 12 MB.
const (
	maxFile      = 2 << 30  // bytes of a file, also after decompression
	maxLine      = 16 << 20 // bytes of a line
	maxQuestions = 10 << 20
)

// Read reads the questions of a task from files of its split, in order: JSON lines or
// Parquet, and for HellaSwag also text with six lines for each question (context, label,
// four endings). Text may be compressed with bzip2 or gzip. A row that is no question of the task
// is an error.
func (t *Task) Read(paths ...string) ([]Question, error) {
	var out []Question
	for _, p := range paths {
		if err := t.readFile(p, &out); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: %s has no questions", strings.Join(paths, ", "), t.Name)
	}
	return out, nil
}

// ReadAll is [Task.Read] with rows that are no questions of the task among the questions, without
// choices; faults has what is wrong with them, by Index. A damaged file is an error.
func (t *Task) ReadAll(paths ...string) (questions []Question, faults map[int]error, err error) {
	lenient := *t
	lenient.faults = map[int]error{}
	questions, err = lenient.Read(paths...)
	return questions, lenient.faults, err
}

func (t *Task) readFile(path string, out *[]Question) error {
	f, info, err := input.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info.Size() > maxFile {
		return &input.LargeError{Path: path, Limit: maxFile}
	}
	if filepath.Ext(path) == ".parquet" {
		return t.readParquet(f, info.Size(), path, out)
	}
	var src io.Reader = f
	name := path
	switch filepath.Ext(path) {
	case ".bz2":
		src, name = bzip2.NewReader(bufio.NewReader(f)), strings.TrimSuffix(path, ".bz2")
	case ".gz":
		if src, err = gzip.NewReader(bufio.NewReader(f)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name = strings.TrimSuffix(path, ".gz")
	}
	src = &limited{src, maxFile}
	if filepath.Ext(name) == ".txt" {
		return t.readText(src, path, out)
	}
	return t.readJSONL(src, path, out)
}

// limited returns an error if a compressed file decompresses to more than the limit.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("decompresses to more than %s, the limit", plural.Of(int64(maxFile), "byte"))
	}
	return n, err
}

// lines calls each with the lines of a text, which must be UTF-8.
func lines(src io.Reader, path string, each func(number int, line []byte) error) error {
	s := bufio.NewScanner(src)
	s.Buffer(nil, maxLine)
	n := 0
	for s.Scan() {
		n++
		line := s.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if !utf8.Valid(line) {
			return fmt.Errorf("%s: line %d: is not UTF-8; convert the file first", path, n)
		}
		if err := each(n, line); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("%s: line %d: is longer than %s", path, n+1, plural.Of(maxLine, "byte"))
		}
		return fmt.Errorf("%s: line %d: %w", path, n+1, err)
	}
	return nil
}

// readJSONL reads one question from each line; empty lines are skipped.
func (t *Task) readJSONL(src io.Reader, path string, out *[]Question) error {
	return lines(src, path, func(n int, line []byte) error {
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		r := &row{file: path, unit: "line", number: n}
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&r.fields); err != nil {
			return r.errorf("", "is not a JSON object: %v", input.JSONError(line, err))
		}
		if r.fields == nil {
			return r.errorf("", "is null, expected a JSON object")
		}
		if _, err := d.Token(); err != io.EOF {
			return r.errorf("", "has more than one JSON object")
		}
		return t.add(r, out)
	})
}

// add converts a row to a question.
func (t *Task) add(r *row, out *[]Question) error {
	if len(*out) == maxQuestions {
		return r.errorf("", "more than %s", plural.Of(maxQuestions, "question"))
	}
	q := t.read(r)
	if err := t.check(&q, r); err != nil {
		if t.faults == nil {
			return err
		}
		q, t.faults[len(*out)] = Question{}, err
	}
	q.Index = len(*out)
	*out = append(*out, q)
	return nil
}

// textLines is the number of lines of a question in HellaSwag's text form.
const textLines = 6

// readText reads HellaSwag's text form.
func (t *Task) readText(src io.Reader, path string, out *[]Question) error {
	if t.Name != "hellaswag" {
		return fmt.Errorf("%s: is plain text, expected JSON lines or Parquet for %s", path, t.Name)
	}
	var item []string
	last := 0
	err := lines(src, path, func(n int, line []byte) error {
		last = n
		item = append(item, strings.TrimSuffix(string(line), "\r"))
		if len(item) < textLines {
			return nil
		}
		endings := make([]any, 0, textLines-2)
		for _, e := range item[2:] {
			endings = append(endings, e)
		}
		r := &row{file: path, unit: "line", number: n - textLines + 1, fields: map[string]any{"query": item[0], "gold": strings.TrimSpace(item[1]), "choices": endings}}
		item = item[:0]
		return t.add(r, out)
	})
	if err == nil && len(item) > 0 {
		err = fmt.Errorf("%s: line %d: the last question has %s, expected %d: context, label, four endings", path, last, plural.Of(len(item), "line"), textLines)
	}
	return err
}
