package jinja

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// bombs are templates that would take for ever, fill the memory or the stack.
func bombs() []string {
	var out []string
	add := func(format string, values ...any) {
		for _, v := range values {
			out = append(out, strings.ReplaceAll(format, "N", fmt.Sprint(v)))
		}
	}
	// Loops in loops.
	for depth := 3; depth <= 14; depth++ {
		for _, n := range []int{1000, 90_000} {
			out = append(out, strings.Repeat(fmt.Sprintf("{%% for i in range(%d) %%}", n), depth)+"x"+strings.Repeat("{% endfor %}", depth))
		}
	}
	// Lists, texts and numbers that are too large at once.
	add("{{ range(N) | list | length }}", 100_001, 1_000_000_000, "10**9", "10**15", "9223372036854775807")
	add("{% for i in range(-N, N) %}{% endfor %}", 1_000_000_000, 4_000_000_000_000_000_000)
	add("{{ 'a' * N }}", 100_000_000, 1_000_000_000, "10**12", "10**15")
	add("{{ N * 'ab' }}", 100_000_000, 9_000_000_000_000_000_000)
	add("{{ [0] * N }}", 100_000_000, 1_000_000_000, "10**15")
	add("{{ ('a' * 1000000)|replace('', 'b' * N) }}", 1000, 100_000, 1_000_000)
	add("{{ 'a'.center(N) }}{{ 'a'.ljust(N) }}", 100_000_000, "10**15")
	add("{{ 'a'.zfill(N) }}", 100_000_000, "10**15")
	add("{{ 'a\nb'|indent(N) }}", 100_000_000, "10**15")
	add("{{ '%N$s' % 'a' }}{{ '%Nd' % 1 }}", 1_000_000_000)
	add("{{ '%Nd' % 1 }}{{ '{:Nd}'.format(1) }}", 1_000_000_000, 100_000)
	add("{{ [1, 2]|batch(N, 'x')|list }}", 1_000_000_000, "10**15")
	add("{{ {'a': [1]}|tojson(indent=N) }}", 1_000_000, "10**12")
	add("{{ 10 ** N }}", 100, 100_000, 1_000_000_000)
	add("{% set ns = namespace(x=9223372036854775807) %}{{ ns.x + N }}", 1, "ns.x")
	// Doubling, little by little.
	for _, grow := range []string{"ns.x + ns.x", "ns.x ~ ns.x", "ns.x * 2", "ns.x.replace('a', 'aa')", "ns.x|replace('a', 'aaa')", "[ns.x, ns.x]|join", "ns.x.join([ns.x, ns.x, ns.x])",
		"'%s%s' % (ns.x, ns.x)", "'{}{}'.format(ns.x, ns.x)", "(ns.x ~ '\n' ~ ns.x)|indent(4, true)", "ns.x|tojson ~ ns.x|tojson", "ns.x|escape ~ ns.x", "ns.x.center(2 * ns.x|length)"} {
		out = append(out, "{% set ns = namespace(x='a') %}{% for i in range(100) %}{% set ns.x = "+grow+" %}{% endfor %}{{ ns.x|length }}",
			"{% set ns = namespace(x='"+strings.Repeat("a", 5000)+"') %}{% for i in range(90000) %}{% set ns.x = "+grow+" %}{{ ns.x }}{% endfor %}")
	}
	for _, grow := range []string{"ns.x + ns.x", "ns.x * 2", "[ns.x, ns.x]", "(ns.x, ns.x)", "[[ns.x]]", "{'a': ns.x, 'b': ns.x}", "(ns.x|list) + (ns.x|list)", "ns.x|map('string')|list + ns.x|list"} {
		for _, use := range []string{"{{ ns.x }}", "{{ ns.x|tojson }}", "{{ ns.x == ns.x }}", "{{ ns.x|string|length }}", "{{ ns.x|tojson(indent=50) }}"} {
			out = append(out, "{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = "+grow+" %}{% endfor %}"+use)
		}
	}
	// Recursion.
	add("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}N", "", "x")
	add("{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}N", "", "x")
	add("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ N() }}", "a", "b")
	add("{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}x{% endmacro %}{{ m(N) }}", 25, 40, 200)
	add("{% macro m(n) %}{% for i in range(N) %}{{ m(n + 1) }}{% endfor %}{% endmacro %}{{ m(0) }}", 2, 1000)
	add("{% macro m(x=m2()) %}{% endmacro %}{% macro m2(x=m()) %}{% endmacro %}{{ m() }}N", "")
	add("{% macro m() %}{{ caller() }}{% call m() %}{{ caller }}{% endcall %}{% endmacro %}{% call m() %}x{% endcall %}N", "")
	add("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}N", "")
	add("{% set ns = namespace() %}{% set ns.me = ns %}{% macro m(a) %}{{ m(a.me) }}{% endmacro %}{{ m(ns) }}N", "")
	add("{% set ns = namespace() %}{% macro f() %}{{ ns.g() }}{% endmacro %}{% set ns.g = f %}{{ f() }}N", "")
	// Nesting in the source.
	for _, n := range []int{200, 5000, 60_000} {
		out = append(out, "{{ "+strings.Repeat("(", n)+"1"+strings.Repeat(")", n)+" }}", "{{ "+strings.Repeat("[", n)+strings.Repeat("]", n)+" }}",
			"{{ "+strings.Repeat("{1:", n)+"1"+strings.Repeat("}", n)+" }}", "{{ "+strings.Repeat("-", n)+"1 }}", "{{ "+strings.Repeat("not ", n)+"1 }}",
			"{{ 1"+strings.Repeat("|abs", n)+" }}", "{{ a"+strings.Repeat(".b", n)+" }}", "{{ a"+strings.Repeat("[0]", n)+" }}", "{{ a"+strings.Repeat("()", n)+" }}",
			strings.Repeat("{% if 1 %}", n), strings.Repeat("{% for x in y %}", n), "{{ 1"+strings.Repeat(" if 1 else 1", n)+" }}",
			"{% for "+strings.Repeat("(", n)+"a"+strings.Repeat(")", n)+" in b %}{% endfor %}", "{{ 1"+strings.Repeat("+1", 10*n)+" }}", "{{ a is "+strings.Repeat("b is ", n)+" }}")
	}
	out = append(out, strings.Repeat("{{ 1 }}", 200_000))
	// Long work in one step.
	for _, use := range []string{"x|sort|length", "x|unique|list|length", "x|sort(reverse=true)|sort|sort|sort|length", "x.index(1)", "1 in x", "x|join(',')|length", "x == y", "x|groupby(0)"} {
		out = append(out, "{% set x = range(90000)|list %}{% set y = range(90000)|list %}{% for i in range(90000) %}{{ "+use+" }}{% endfor %}")
	}
	for _, use := range []string{"x.split('a')|length", "x.split()|length", "x|upper|length", "x|reverse|length", "x[::-1]|length", "x|list|length", "x.strip('ab')|length", "x.count('ab')", "x.find('c')", "'c' in x", "x.splitlines()|length", "x|tojson|length", "x|wordcount", "x|trim|length", "x.partition('c')[0]|length", "x.title()|length", "x|indent|length"} {
		out = append(out, "{% set x = 'ab ' * 300000 %}{% for i in range(90000) %}{{ "+use+" }}{% endfor %}")
	}
	return out
}

// TestBombs lets templates run wild: each ends with an error, soon, and the memory
// stays flat.
func TestBombs(t *testing.T) {
	list := bombs()
	if len(list) < 200 {
		t.Fatalf("%d bombs, expected at least 200", len(list))
	}
	var slowest time.Duration
	var peak uint64
	for _, source := range list {
		name := source[:min(len(source), 120)]
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		p, err := Parse(source)
		if err == nil {
			_, err = p.Render(context.Background(), Input{})
		}
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		slowest, peak = max(slowest, took), max(peak, after.HeapSys)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if took > time.Minute { // the limit is 0.9 s, but the machine may be busy
			t.Errorf("%s: took %v", name, took)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 256<<20 {
			t.Errorf("%s: the heap grew by %d MiB", name, grown>>20)
		}
	}
	t.Logf("%d templates, slowest %v, heap %d MiB", len(list), slowest, peak>>20)
}

// TestStops ends a rendering with its context.
func TestStops(t *testing.T) {
	p, err := Parse("{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Render(ctx, Input{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, expected the context's", err)
	}
	if _, err := p.Render(context.Background(), Input{}); !errors.Is(err, ErrLimit) {
		t.Errorf("error %v, expected a limit", err)
	}
}
