package hub

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Name is a model's name as a user gives it, OWNER/REPO@REVISION:FILE, of which only REPO
// is required.
type Name struct {
	Repo     string // with its owner, if given
	Revision string // "": main
	File     string // a GGUF file, or a quantization's label; "": the checkpoint
}

var (
	repoPart = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}$`)
	revPart  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}$`)
)

// ParseName parses a name. A name with anything by which a path could leave its folder is
// an error.
func ParseName(s string) (Name, error) {
	bad := func(what string) (Name, error) {
		return Name{}, fmt.Errorf("%q is not the name of a model: %s; expected OWNER/REPO or OWNER/REPO:FILE.gguf", s, what)
	}
	var n Name
	rest := strings.TrimPrefix(s, "hf.co/")
	rest, n.File, _ = strings.Cut(rest, ":")
	n.Repo, n.Revision, _ = strings.Cut(rest, "@")
	parts := strings.Split(n.Repo, "/")
	if len(parts) > 2 {
		return bad("it has more than one slash")
	}
	for _, p := range parts {
		if !repoPart.MatchString(p) || strings.Contains(p, "--") || strings.Contains(p, "..") || strings.HasSuffix(p, ".") || strings.HasSuffix(p, "-") || strings.HasSuffix(p, ".git") {
			return bad(fmt.Sprintf("%q can't be part of one", p))
		}
	}
	if n.Revision != "" && (!revPart.MatchString(n.Revision) || strings.Contains(n.Revision, "..") || strings.Contains(n.Revision, "//") || strings.HasSuffix(n.Revision, "/")) {
		return bad(fmt.Sprintf("%q can't be a revision", n.Revision))
	}
	if n.File != "" {
		if err := checkPath(n.File); err != nil {
			return bad(err.Error())
		}
	}
	return n, nil
}

func (n Name) String() string {
	s := n.Repo
	if n.Revision != "" {
		s += "@" + n.Revision
	}
	if n.File != "" {
		s += ":" + n.File
	}
	return s
}

// folder is the repository's folder in the cache.
func (n Name) folder() string { return "models--" + strings.ReplaceAll(n.Repo, "/", "--") }

// revision is the requested revision.
func (n Name) revision() string { return first(n.Revision, "main") }

// checkPath returns an error for a file name, from a hub or a user, that is not a plain
// relative path on every system.
func checkPath(name string) error {
	if name == "" || len(name) > 255 || path.Clean(name) != name || strings.HasPrefix(name, "/") || strings.ContainsAny(name, "\\:*?\"<>|\x00") {
		return fmt.Errorf("%q can't be the path of a file in a repository", clip(name))
	}
	for _, part := range strings.Split(name, "/") {
		upper := strings.ToUpper(strings.SplitN(part, ".", 2)[0])
		if part == ".." || part == "." || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || reserved[upper] {
			return fmt.Errorf("%q can't be the path of a file in a repository", clip(name))
		}
		for _, r := range part {
			if r < 0x20 {
				return fmt.Errorf("%q can't be the path of a file in a repository", clip(name))
			}
		}
	}
	return nil
}

// reserved are names of devices on Windows.
var reserved = map[string]bool{"CON": true, "PRN": true, "AUX": true, "NUL": true, "COM1": true, "COM2": true, "COM3": true, "COM4": true, "LPT1": true, "LPT2": true, "LPT3": true}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "..."
	}
	return s
}
