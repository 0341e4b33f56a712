package main

import (
	"fmt"
	"os"
	"strings"
)

// memory is what a process has in memory, now and at most so far, where the system says
// so in /proc (Linux); 0 is no process.
func memory(process int) (now, most string) {
	if process == 0 {
		return "?", "?"
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		return "?", "?"
	}
	return field(string(data), "VmRSS:"), field(string(data), "VmHWM:")
}

// field is an amount of memory in a status file, in megabytes.
func field(status, name string) string {
	for line := range strings.Lines(status) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		var kilobytes float64
		if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%f kB", &kilobytes); err == nil {
			return fmt.Sprintf("%.0f MB", kilobytes*1024/1e6)
		}
	}
	return "?"
}
