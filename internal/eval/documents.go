package eval

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Document is one text of lm-eval's protocol. Words and bytes are those of the
// text as it is stored, before WikiText's spacing is undone.
type Document struct {
	Text  string
	Words int
	Bytes int
}

// How a text is divided into documents.
const (
	DocumentsAuto     = "auto"     // wikitext where the text has its headings, else file
	DocumentsWikitext = "wikitext" // at WikiText's first-level headings " = Title = ", spacing undone
	DocumentsBlank    = "blank"    // at two or more blank lines
	DocumentsFile     = "file"     // one document
)

// Documents divides a text. It tells what was done, in words.
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

// pySpace is Python's idea of white space in text: Unicode's and the four
// information separators.
func pySpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// countWords counts the pieces between runs of white space, the empty ones
// before leading and after trailing white space included: that is how lm-eval
// counts words, by re.split(r"\s+", page).
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

// space is Python's \s in a Go pattern's class.
const space = `[\s\v\x1c-\x1f\x85\p{Z}]`

// wikitextRules undo the spacing of WikiText's tokens, in lm-eval's order.
// Its rule for an apostrophe before digits can match nothing in practice (the
// slashes are part of its pattern) and is left out.
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
