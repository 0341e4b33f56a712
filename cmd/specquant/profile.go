package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/plural"
)

// printProfile prints where the time of a job went.
func printProfile(w io.Writer, p *specquant.Profile) {
	fmt.Fprintf(w, "\n%.1f s elapsed, %.1f CPU seconds: %s busy %.0f %% of the time\n", p.Seconds, p.CPUSeconds, plural.Of(p.Threads, "thread"), 100*p.Busy())
	if p.Rate > 0 {
		fmt.Fprintf(w, "one processor can do %.1f GFLOP/s of float32 multiply-adds; \"of the rate\" is what the matrix products of each part reach of it per CPU second\n", p.Rate/1e9)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "seconds\tCPU seconds\tshare\tthreads busy\tGFLOP\tof the rate\t  part\t")
	var flops float64
	for _, part := range p.Parts {
		work, share := "", ""
		if part.Flops > 0 {
			work = fmt.Sprintf("%.1f", part.Flops/1e9)
			if part.Share > 0 {
				share = fmt.Sprintf("%.0f %%", 100*part.Share)
			}
		}
		flops += part.Flops
		busy := ""
		if part.Seconds > 0 {
			busy = fmt.Sprintf("%.0f %%", 100*part.CPUSeconds/(part.Seconds*float64(p.Threads)))
		}
		fmt.Fprintf(t, "%.2f\t%.2f\t%.1f %%\t%s\t%s\t%s\t  %s\t\n", part.Seconds, part.CPUSeconds, 100*part.CPUSeconds/max(p.CPUSeconds, 1e-9), busy, work, share, part.Name)
	}
	t.Flush()
	fmt.Fprintf(w, "counted %.4g GFLOP; the plan's count is %.4g GFLOP\n", flops/1e9, p.Planned/1e9)
}
