package eval

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Document is one text of lm-eval's protocol. Words and bytes are counted in the original
// text, before WikiText's spacing is undone.
type Document struct {
	Text  string
	Words int
	Bytes int
}

// The ways to divide a text into documents.
const (
	DocumentsAuto     = "auto"     // wikitext if the text has its headings, otherwise file
	DocumentsWikitext = "wikitext" // at WikiText's first-level headings " = Title = ", spacing undone
	DocumentsBlank    = "blank"    // at two or more blank lines
	DocumentsFile     = "file"     // one document
)

// Documents divides a text and describes how it was done.
func Documents(text, how string) ([]Document, string, error) {
	if how == "" || how == DocumentsAuto {
		how = DocumentsFile
		for line := range strings.SplitSeq(text, "\n") {
			if pageHeading(line) {
				how = DocumentsWikitext
				break
			}
		}
	}
	var pages []string
	described := "document(s)"
	switch how {
	case DocumentsWikitext:
		pages, described = wikitextPages(text), "WikiText page(s), spacing undone"
	case DocumentsBlank:
		for _, p := range blankLines.Split(text, -1) {
			if strings.TrimSpace(p) != "" {
				pages = append(pages, p)
			}
		}
	case DocumentsFile:
		pages = []string{text}
	default:
		return nil, "", fmt.Errorf("documents is %q, expected %s, %s, %s or %s", how, DocumentsAuto, DocumentsWikitext, DocumentsBlank, DocumentsFile)
	}
	out := make([]Document, len(pages))
	for i, p := range pages {
		out[i] = Document{Text: p, Words: countWords(p), Bytes: len(p)}
		if how == DocumentsWikitext {
			out[i].Text = undoWikitext(p)
		}
	}
	return out, described, nil
}

var blankLines = regexp.MustCompile(`\n(?:[ \t\r]*\n){2,}`)

// pageHeading reports whether a line of WikiText is a page's title.
func pageHeading(line string) bool {
	s := strings.ReplaceAll(strings.ReplaceAll(line, "= = =", "==="), "= =", "==")
	s = strings.TrimFunc(s, pySpace)
	return strings.HasPrefix(s, "= ") && strings.HasSuffix(s, " =")
}

// wikitextPages divides WikiText as EleutherAI/wikitext_document_level does.
func wikitextPages(text string) []string {
	var out, page []string
	flush := func() {
		if p := strings.Join(page, "\n"); strings.TrimFunc(p, pySpace) != "" {
			out = append(out, p)
		}
		page = page[:0]
	}
	for line := range strings.SplitSeq(text, "\n") {
		if pageHeading(line) {
			flush()
		}
		page = append(page, line)
	}
	flush()
	return out
}

// pySpace is what Python considers white space in text: Unicode's and the four information
// separators.
func pySpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// countWords counts the pieces between runs of white space, including the empty ones before
// leading and after trailing white space, as lm-eval does with re.split(r"\s+", page).
func countWords(s string) int {
	n, in := 1, false
	for _, r := range s {
		space := pySpace(r)
		if space && !in {
			n++
		}
		in = space
	}
	return n
}

// space is Python's \s inside a character class of a Go pattern.
const space = `[\s\v\x1c-\x1f\x85\p{Z}]`

// wikitextRules undo the spacing of WikiText's tokens, in lm-eval's order. Its rule for an
// apostrophe before digits can never match in practice (the slashes are part of its
// pattern) and is left out.
var wikitextRules = []func(string) string{
	plainRule("s '", "s'"),
	plainRule(" @-@ ", "-"), plainRule(" @,@ ", ","), plainRule(" @.@ ", "."),
	plainRule(" : ", ": "), plainRule(" ; ", "; "), plainRule(" . ", ". "), plainRule(" ! ", "! "), plainRule(" ? ", "? "), plainRule(" , ", ", "),
	enclosed(`\(`, `\)`), enclosed(`\[`, `\]`), enclosed(`\{`, `\}`), enclosed(`"`, `"`), enclosed(`'`, `'`),
	plainRule("= = = =", "===="), plainRule("= = =", "==="), plainRule("= =", "=="),
	plainRule(" ° ", "°"), plainRule(" \n", "\n"), plainRule("\n ", "\n"), plainRule(" N ", " 1 "), plainRule(" 's", "'s"),
}

func plainRule(from, to string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, from, to) }
}

// enclosed removes white space inside a pair of marks.
func enclosed(open, close string) func(string) string {
	re := regexp.MustCompile(open + space + `*([^` + close + `]*?)` + space + `*` + close)
	left, right := strings.TrimPrefix(open, `\`), strings.TrimPrefix(close, `\`)
	return func(s string) string { return re.ReplaceAllString(s, left+"${1}"+right) }
}

func undoWikitext(s string) string {
	for _, rule := range wikitextRules {
		s = rule(s)
	}
	return s
}
