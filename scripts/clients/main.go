// Clients asks servers of OpenAI's API as many clients at once would, one server after the
// other, and prints what they get of each: tokens a second, the time to the first token,
// and the memory that the server takes. It compares specquant serve with any other server
// on the same machine.
//
//	go run ./scripts/clients -clients 1,4,8,32 -prompt 512 -answer 128 ours=http://127.0.0.1:8080 other=http://127.0.0.1:8081#4711
//
// A server is NAME=URL; behind # may stand the number of its process, whose memory is read
// from /proc. Servers take turns within each number of clients, and as often as -rounds says,
// so that a machine that is busy for a while disturbs all alike. Texts differ between clients,
// and between rounds, but for the words that -shared says all begin with. Tokens are those
// that the server's usage counts. In the end conversations of -prompt words have a second
// turn, as often as -rounds says, of which the median is printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// load is what is asked for.
type load struct {
	clients        []int
	prompt, shared int // words
	answer         int // tokens
	rounds         int
	spread         time.Duration // within which clients begin, at random
	model, key     string
	seed           uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	l, servers, err := parse(args, progress)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "clients\tserver\tanswer tokens/s\tall tokens/s\tfirst token p50\tp99\tprompt tokens\tanswer tokens\tmemory\tmost memory\t")
	for _, n := range l.clients {
		results := make([]result, len(servers))
		for round := range l.rounds {
			for i, s := range servers {
				fmt.Fprintf(progress, "%d clients, round %d of %d, %s\n", n, round+1, l.rounds, s.name)
				if err := results[i].ask(ctx, l, s, n, round); err != nil {
					return fmt.Errorf("%s, %d clients: %w", s.name, n, err)
				}
			}
		}
		for i, s := range servers {
			fmt.Fprintf(table, "%d\t%s\t%s\t\n", n, s.name, results[i].row(s))
		}
	}
	table.Flush()
	for _, s := range servers {
		fmt.Fprintf(progress, "second turn, %s\n", s.name)
		t, err := secondTurns(ctx, l, s)
		if err != nil {
			return fmt.Errorf("%s, second turn: %w", s.name, err)
		}
		fmt.Fprintf(out, "%s: a conversation of %d tokens goes on: first token after %s, which is %.2f × a token of the answer (%s) with %d new tokens of prompt; %d were cached\n",
			s.name, t.before, milliseconds(t.first), float64(t.first)/float64(t.each), milliseconds(t.each), t.fresh, t.cached)
	}
	return nil
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (*load, []server, error) {
	l := &load{}
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.Usage = func() {
		fmt.Fprintln(usage, "usage: clients [flags] NAME=URL[#PROCESS] …")
		flags.PrintDefaults()
	}
	counts := flags.String("clients", "1,4,8,32", "numbers of clients at once")
	flags.IntVar(&l.prompt, "prompt", 512, "words of a prompt, about as many tokens")
	flags.IntVar(&l.shared, "shared", 0, "of these, words that all prompts begin with")
	flags.IntVar(&l.answer, "answer", 128, "tokens of an answer, at most")
	flags.IntVar(&l.rounds, "rounds", 2, "how often each number of clients asks each server")
	flags.DurationVar(&l.spread, "spread", 0, "clients begin at random within so long")
	flags.StringVar(&l.model, "model", "", "name of the model, as the servers call it; empty: left out")
	flags.StringVar(&l.key, "key", "", "key to show the servers")
	flags.Uint64Var(&l.seed, "seed", 1, "of the prompts and the arrivals")
	if err := flags.Parse(args); err != nil {
		return nil, nil, err
	}
	for text := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 1024 {
			return nil, nil, fmt.Errorf("-clients: found %q, expected numbers from 1 to 1024 with commas between", text)
		}
		l.clients = append(l.clients, n)
	}
	if l.prompt < 1 || l.shared < 0 || l.shared > l.prompt || l.answer < 2 || l.rounds < 1 || l.spread < 0 {
		return nil, nil, errors.New("-prompt and -rounds: expected numbers from 1; -answer: from 2; -shared: from 0, at most -prompt; -spread: from 0")
	}
	var servers []server
	for _, arg := range flags.Args() {
		s, err := parseServer(arg)
		if err != nil {
			return nil, nil, err
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		return nil, nil, errors.New("no server: expected NAME=URL, such as ours=http://127.0.0.1:8080")
	}
	return l, servers, nil
}

// server is one that is asked.
type server struct {
	name, url string
	process   int // 0: not known
}

func parseServer(arg string) (s server, err error) {
	name, rest, ok := strings.Cut(arg, "=")
	url, process, numbered := strings.Cut(rest, "#")
	if numbered {
		if s.process, err = strconv.Atoi(process); err != nil || s.process < 1 {
			return s, fmt.Errorf("%s: found the process %q, expected a number", arg, process)
		}
	}
	if !ok || name == "" || !strings.HasPrefix(url, "http") {
		return s, fmt.Errorf("found %q, expected NAME=URL, such as ours=http://127.0.0.1:8080", arg)
	}
	s.name, s.url = name, strings.TrimRight(url, "/")
	return s, nil
}

// result is what clients got of a server, over all rounds.
type result struct {
	took           time.Duration // of rounds, added up
	prompt, answer int           // tokens
	first          []time.Duration
}

// row is the result's part of the table.
func (r *result) row(s server) string {
	seconds := r.took.Seconds()
	slices.Sort(r.first)
	now, most := memory(s.process)
	return fmt.Sprintf("%.1f\t%.1f\t%s\t%s\t%d\t%d\t%s\t%s", float64(r.answer)/seconds, float64(r.answer+r.prompt)/seconds,
		milliseconds(percentile(r.first, 50)), milliseconds(percentile(r.first, 99)), r.prompt, r.answer, now, most)
}

// percentile is the smallest value that at least p of a hundred are not above; sorted.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
