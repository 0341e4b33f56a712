package meter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Profile is where the time of a job went.
type Profile struct {
	Threads int     `json:"threads"`
	Seconds float64 `json:"seconds"`                 // of the clock
	CPU     float64 `json:"cpu_seconds,omitempty"`   // of all threads; 0: not known on this system
	Rate    float64 `json:"flops_per_cpu_second"`    // see [Rate]: the best seen before and after; 0: not known
	Planned float64 `json:"planned_flops,omitempty"` // the plan's count for the whole job
	Parts   []Part  `json:"parts"`
}

// ProfileFile is the file of an artefact's folder that holds its profile. It belongs to
// no sum: no two runs take the same time.
const ProfileFile = "profile.json"

const rateRounds = 4 // of some 5 ms each

// Begin makes the meter of a job that somebody wants the profile of; nil where p is.
// wide are the parts that work in float64.
func (p *Profile) Begin(pool *parallel.Pool, wide ...string) *Meter {
	if p == nil {
		return nil
	}
	p.Rate = Rate(pool, rateRounds)
	return New(wide...)
}

// End fills the profile in and writes it into a folder. since is when the job began,
// planned its plan's count of floating-point operations.
func (p *Profile) End(m *Meter, pool *parallel.Pool, since time.Time, planned float64, dir string) error {
	if p == nil {
		return nil
	}
	m.Stop()
	p.Threads, p.Seconds, p.Planned, p.Parts = pool.Threads(), time.Since(since).Seconds(), planned, m.Parts()
	for _, part := range p.Parts {
		p.CPU += part.CPU
	}
	p.Rate = max(p.Rate, Rate(pool, rateRounds))
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return checkpoint.WriteFileAtomic(filepath.Join(dir, ProfileFile), append(data, '\n'))
}

// Busy is the mean share of the threads that worked: 1 is all of them, all the time.
func (p *Profile) Busy() float64 { return p.CPU / max(p.Seconds*float64(p.Threads), 1e-9) }

// ReadProfile reads the profile of an artefact's folder; nil where there is none.
func ReadProfile(dir string) (*Profile, error) {
	path := filepath.Join(dir, ProfileFile)
	data, err := input.ReadFile(path, input.MaxSmall)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &Profile{}
	if err := input.JSON(data, p); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it: it only says where the time of the job went", path, err)
	}
	return p, nil
}
