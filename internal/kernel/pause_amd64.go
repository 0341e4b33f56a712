package kernel

//go:noescape
func pause()
