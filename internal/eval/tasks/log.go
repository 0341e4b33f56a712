package tasks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// LogHeader is the first line of a log: what must be equal for its samples to be reused,
// and for two logs to be compared.
type LogHeader struct {
	Semantics string `json:"semantics"`
	Model     string `json:"model_sha256"`
	Tokenizer string `json:"tokenizer_sha256"`
	Bits      string `json:"bits"`
	BOS       bool   `json:"bos"`
	MaxLength int    `json:"max_length"`
}

// Log is a file with a header line and one sample per line, as JSON objects. Its content
// does not depend on the machine, the number of threads or the batch.
type Log struct {
	path string
	file *os.File
	have map[sampleKey]Sample

	// Cut is a message if a damaged line was found when the log was opened: that line and
	// all later ones were removed and will be computed again. "" if there was none.
	Cut string
}

type sampleKey struct {
	task  string
	index int
}

// maxLog is the largest log that is read back, in bytes.
const maxLog = 4 << 30

// OpenLog opens a log to continue it, or creates it. An incomplete last line, left by a run
// that was killed, is removed.
func OpenLog(path string, h LogHeader) (*Log, error) {
	l := &Log{path: path, have: map[sampleKey]Sample{}}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l.file = f
	if err := l.load(h); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// load reads the file's answers, and removes what follows its last complete, undamaged line.
func (l *Log) load(h LogHeader) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxLog {
		return fmt.Errorf("%s: expected a regular file of at most %s", l.path, plural.Of(int64(maxLog), "byte"))
	}
	want, err := sealed(h)
	if err != nil {
		return err
	}
	whole, err := l.readLines(want)
	if err != nil {
		return err
	}
	if err := l.file.Truncate(whole); err != nil {
		return err
	}
	if _, err := l.file.Seek(whole, io.SeekStart); err != nil {
		return err
	}
	if whole == 0 {
		_, err = l.file.Write(append(want, '\n'))
	}
	return err
}

// readLines reads the header, which must be want, and the samples. It returns how many bytes of the file are complete,
// undamaged lines.
func (l *Log) readLines(want []byte) (whole int64, err error) {
	r := bufio.NewReaderSize(l.file, 1<<20)
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) { // the rest is an incomplete line
			if n == 1 && !bytes.HasPrefix(want, line) {
				return 0, fmt.Errorf("%s: is not a log of samples; choose another file", l.path)
			}
			return whole, nil
		}
		if err != nil {
			return 0, fmt.Errorf("%s: line %d: %w", l.path, n, err)
		}
		if n == 1 {
			if err := l.checkHeader(line, want); err != nil {
				return 0, err
			}
		} else {
			if err := checkpoint.CheckSeal(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				l.Cut = fmt.Sprintf("%s: line %d %v; it and the following lines are computed again", l.path, n, err)
				return whole, nil
			}
			if err := l.addSample(line, n); err != nil {
				return 0, err
			}
		}
		whole += int64(len(line))
	}
}

// checkHeader returns an error if the first line is not want.
func (l *Log) checkHeader(line, want []byte) error {
	if bytes.Equal(bytes.TrimSpace(line), want) {
		return nil
	}
	switch err := checkpoint.CheckSeal(bytes.TrimSuffix(line, []byte("\n"))); {
	case errors.Is(err, checkpoint.ErrNoSeal):
		return fmt.Errorf("%s: its lines have no checksums: it is damaged, or of an early version; remove it or choose another file", l.path)
	case err != nil:
		return fmt.Errorf("%s: its first line %w; remove it or choose another file", l.path, err)
	}
	return fmt.Errorf("%s: is the log of another run (%s), expected %s; remove it or choose another file", l.path, brief(line), want)
}

// addSample reads the sample of line n.
func (l *Log) addSample(line []byte, n int) error {
	var s Sample
	if err := input.JSON(line, &s); err != nil {
		return fmt.Errorf("%s: line %d: is not a sample: %w; remove the log or choose another file", l.path, n, err)
	}
	key := sampleKey{s.Task, s.Index}
	if _, twice := l.have[key]; twice || len(s.Choices) == 0 {
		return fmt.Errorf("%s: line %d: question %d of %s occurs twice or is empty; remove the log or choose another file", l.path, n, s.Index, s.Task)
	}
	l.have[key] = s
	return nil
}

// sealed returns v as a line of the log: JSON with a checksum of the line.
func sealed(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return checkpoint.Seal(line)
}

func brief(line []byte) string {
	line = bytes.TrimSpace(line)
	if len(line) > 300 {
		return string(line[:300]) + "…"
	}
	return string(line)
}

func (l *Log) get(task string, index int) (Sample, bool) {
	if l == nil {
		return Sample{}, false
	}
	s, ok := l.have[sampleKey{task, index}]
	return s, ok
}

// agrees returns an error if the log has a different question at this index.
func (l *Log) agrees(task string, p *prepared) error {
	q := p.question
	if old, ok := l.get(task, q.Index); ok && (old.Context != p.hash || old.Gold != q.Gold || len(old.Choices) != len(q.Choices)) {
		return fmt.Errorf("question %d differs from that in the log %s, so the data has changed; remove the log or choose another file", q.Index, l.path)
	}
	return nil
}

// append writes finished samples.
func (l *Log) append(samples []Sample) error {
	if l == nil {
		return nil
	}
	var out bytes.Buffer
	for _, s := range samples {
		line, err := sealed(s)
		if err != nil {
			return err
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	if _, err := l.file.Write(out.Bytes()); err != nil {
		return fmt.Errorf("writing the log %s: %w", l.path, err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// ReadLog reads a log's samples in the order of the file, to compare two runs.
func ReadLog(path string) (LogHeader, []Sample, error) {
	var h LogHeader
	var out []Sample
	f, _, err := input.Open(path)
	if err != nil {
		return h, nil, err
	}
	defer f.Close()
	err = lines(f, path, func(n int, line []byte) error {
		err := checkpoint.CheckSeal(bytes.TrimSuffix(line, []byte("\n")))
		if errors.Is(err, checkpoint.ErrDamaged) {
			return fmt.Errorf("%s: line %d %w", path, n, err)
		}
		if n == 1 {
			err = input.JSON(line, &h)
		} else {
			var s Sample
			err = input.JSON(line, &s)
			out = append(out, s)
		}
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		return nil
	})
	return h, out, err
}
