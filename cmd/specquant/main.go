// Command specquant quantizes language models, measures how much accuracy that costs, and runs
// them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/measure"
)

// cli is the command line; each command lives in its own file.
type cli struct {
	Demo     demoCmd     `cmd:"" help:"Quantize a small embedded model, measure it and generate text with it. Needs no files."`
	Inspect  inspectCmd  `cmd:"" help:"Show a model's architecture, sizes and spectral energy."`
	Plan     planCmd     `cmd:"" help:"Show what quantizing would read, compute and write, and how much memory and time it takes."`
	Recipes  recipesCmd  `cmd:"" help:"List the embedded recipes, or print one from which to start your own."`
	Quantize quantizeCmd `cmd:"" help:"Quantize a checkpoint."`
	Eval     evalCmd     `cmd:"" help:"Measure a model."`
	Diff     diffCmd     `cmd:"" help:"Compare two models block by block."`
	Run      runCmd      `cmd:"" help:"Continue a text."`
	Chat     chatCmd     `cmd:"" help:"Talk to a model in the terminal."`
	Serve    serveCmd    `cmd:"" help:"Serve a model: the APIs of OpenAI, Anthropic and Ollama, and a page to chat on."`
	Pull     pullCmd     `cmd:"" help:"Download a model from Hugging Face into the store."`
	List     listCmd     `cmd:"" help:"List the models in the store."`
	Show     showCmd     `cmd:"" help:"Show the files of a model in the store."`
	Rm       rmCmd       `cmd:"" help:"Remove a model from the store."`
	Compare  compareCmd  `cmd:"" help:"Quantize by several recipes and print a table of their accuracy and size."`
	Report   reportCmd   `cmd:"" help:"Write a page about a model for a person to read."`
	Doctor   doctorCmd   `cmd:"" help:"Find out why a quantized model is bad, and what would improve it."`
	Plant    plantCmd    `cmd:"" help:"Copy a checkpoint and add activation outliers that do not change what it computes (for experiments)."`
	Bench    benchCmd    `cmd:"" help:"Measure speed and compare it with the limits of this machine."`
	Layer    layerCmd    `cmd:"" help:"Quantize one wide synthetic layer by several recipes: error, bits, time, memory."`
	Import   importCmd   `cmd:"" help:"Convert a GGUF file to a Hugging Face folder (quantized weights become F16)."`
	Info     infoCmd     `cmd:"" help:"Show version, CPU features and the kernels in use."`

	Help       helpCmd       `cmd:"" help:"Explain a command; the same as COMMAND --help."`
	Version    versionCmd    `cmd:"" help:"Show the version."`
	Completion completionCmd `cmd:"" help:"Print a script that completes commands, flags and recipes in bash, zsh or fish."`
	Man        manCmd        `cmd:"" help:"Print a manual page, or write them all to a folder."`

	ShowVersion kong.VersionFlag `name:"version" help:"Show the version."`
}

// strictHelp describes --strict: it turns what the manifest lists as fallbacks into errors.
const strictHelp = "Make an error of every fallback, which is otherwise listed at the end: a calibration text with fewer or shorter windows than asked for, " +
	"a Hadamard matrix that needs a cosine factor, a group wider than its layer, an input whose branch the budget leaves out, " +
	"input channels that no calibration token touches, a Hessian that takes more damping than the recipe's."

// env is the environment of a command: streams and the context.
type env struct {
	ctx    context.Context
	in     io.Reader // standard input
	out    io.Writer // results
	err    io.Writer // progress and errors
	isTerm bool      // err is a terminal

	drains  atomic.Bool            // the command ends by itself after a signal, within a bounded time
	scratch atomic.Pointer[string] // a temporary folder, removed even if the command does not end by itself; nil: none
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with arguments and streams as parameters. It returns one of [exitCodes].
func run(args []string, out, errOut io.Writer) int {
	o := &output{w: out}
	return o.status(command(args, o, errOut), errOut)
}

func command(args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env{ctx: ctx, in: os.Stdin, out: out, err: errOut, isTerm: isTerminal(errOut)}
	if err := cpu.EnvError(); err != nil {
		fmt.Fprintf(errOut, "specquant: %s: %v\n", cpu.EnvTier, err)
		return 2
	}
	var c cli
	code := -1
	parser, err := newParser(&c, out, errOut, func(n int) { code = n })
	if err != nil {
		fmt.Fprintln(errOut, "specquant:", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if args[0] == completeWord { // a shell asks for completions
		printCandidates(out, complete(parser.Model.Node, args[1:]))
		return 0
	}
	k, err := parser.Parse(args)
	if code >= 0 { // --help
		return code
	}
	if o, ok := out.(*output); ok && o.err != nil { // the help could not be written
		fmt.Fprintln(errOut, "specquant: standard output:", err)
		return 1
	}
	if err == nil {
		err = checkFlags(k)
	}
	if err != nil {
		fmt.Fprintln(errOut, "specquant:", parseErrorText(err))
		fmt.Fprintln(errOut, `Run "specquant --help" or "specquant COMMAND --help".`)
		return 2
	}
	if choice, ok := measure.Remembered(cpuName()); ok { // by specquant info --measure
		choice.Apply()
	}
	defer limitThreads(k)()
	err = interruptible(e, func() error {
		if err := resolveNames(k); err != nil {
			return err
		}
		return k.Run(e)
	})
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(errOut, "specquant: interrupted")
		return 130
	}
	fmt.Fprintln(errOut, "specquant:", err)
	return 1
}

// limitThreads applies --threads to everything that the process does in parallel, including
// hashing and garbage collection. The function that it returns undoes that.
func limitThreads(k *kong.Context) (restore func()) {
	for _, f := range k.Flags() {
		if n, ok := k.FlagValue(f).(int); ok && f.Name == "threads" && n > 0 && n < runtime.GOMAXPROCS(0) {
			before := runtime.GOMAXPROCS(n)
			return func() { runtime.GOMAXPROCS(before) }
		}
	}
	return func() {}
}

// newParser makes the parser of the command line. exit is called with the exit code if the
// parser itself has done what was asked, such as --help.
func newParser(c *cli, out, errOut io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("specquant"),
		kong.Description("Makes language models several times smaller, measures what that loses, and runs, chats with and serves the result. Try: specquant demo"),
		kong.Writers(out, errOut),
		kong.Vars{"version": versionLine, "tasks": strings.Join(specquant.TaskNames(), ", "), "recipe": specquant.DefaultRecipe, "strict": strictHelp, "inspectAlpha": inspectAlpha, "inspectSeeds": strconv.Itoa(inspectSeeds), "shapes": strings.Join(engine.ShapeNames(), ", ")},
		kong.Exit(exit),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
}
