//go:build !unix

package pipeline

// lock does nothing where folders can't be locked.
func lock(string) (unlock func(), err error) { return func() {}, nil }
