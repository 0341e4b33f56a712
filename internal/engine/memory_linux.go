package engine

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/specquant/specquant/internal/input"
)

// machineMemory returns the memory in bytes that this process may use: the machine's, or the
// limit of its control group; 0 if it is not known. It is a variable for tests.
var machineMemory = func() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	have := int64(info.Totalram) * int64(info.Unit)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		data, err := input.ReadFile(path, 100)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && limit > 0 {
			have = min(have, limit)
		}
	}
	return have
}
