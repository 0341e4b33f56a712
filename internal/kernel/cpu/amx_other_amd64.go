//go:build amd64 && !linux

package cpu

// permitAMX: only on Linux is it known how to ask for the registers of AMX.
func permitAMX() bool { return false }
