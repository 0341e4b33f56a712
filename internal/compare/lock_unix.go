//go:build unix

package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockEvery is the interval between attempts to lock a folder that another process has locked.
const lockEvery = 100 * time.Millisecond

// lockFolder waits until no other process and no other comparison in this process has locked
// the folder, and locks it until unlock is called or the process ends in any way.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK): // a file system without locks
			return func() { f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%s: waiting for another comparison that works there: %w", dir, ctx.Err())
		case <-time.After(lockEvery):
		}
	}
}
