package cpu

import "syscall"

// permitAMX asks the operating system for the matrix registers of AMX, which it saves for
// a process only if the process asks once, because they are large. It reports whether they
// may be used from now on, by all threads.
func permitAMX() bool {
	const (
		requestPermission = 0x1023 // ARCH_REQ_XCOMP_PERM
		tileData          = 18     // XFEATURE_XTILEDATA
	)
	_, _, e := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return e == 0
}
