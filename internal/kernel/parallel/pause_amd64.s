#include "textflag.h"

// func pause()
// Lets the other thread of the core run for a moment.
TEXT ·pause(SB), NOSPLIT, $0-0
	PAUSE
	RET
