package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/plural"
)

// Limits on what a hub may send.
const (
	maxAnswer = 16 << 20 // bytes of the list of a repository's files
	maxFiles  = 100_000  // files of a repository
	maxSize   = 4 << 40  // bytes of one file
)

// Client communicates with a hub.
type Client struct {
	Config
	HTTP    *http.Client  // nil: a default one
	Tries   int           // consecutive attempts without progress; 0: 6
	Backoff time.Duration // wait before the second attempt; it doubles each time; 0: 1 s
	Stall   time.Duration // a connection without data for this long is closed; 0: 60 s
	Segment int64         // bytes; larger files are downloaded in segments, several at once; 0: 32 MiB
	Log     func(format string, args ...any)
}

func (c *Client) client() *http.Client {
	base := c.HTTP
	if base == nil {
		base = &http.Client{Transport: transport}
	}
	copied := *base
	copied.CheckRedirect = c.redirect
	return &copied
}

// transport has no total time limit, because a model takes hours on a slow connection. It
// speaks HTTP/1.1, each request on its own connection: HTTP/2 would send all ranges over one,
// whose rate is what servers limit.
var transport = &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
	TLSHandshakeTimeout:   20 * time.Second,
	ResponseHeaderTimeout: 60 * time.Second,
	MaxIdleConnsPerHost:   connections,
}

// redirect follows to other hosts, to which hubs redirect for large files, but never sends
// the token there and never changes from https to http.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("more than 10 redirections")
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("the hub redirects from https to %s", req.URL.Redacted())
	}
	if !c.ownHost(req.URL) {
		req.Header.Del("Authorization")
	}
	return nil
}

func (c *Client) ownHost(u *url.URL) bool {
	own, err := url.Parse(c.Endpoint)
	return err == nil && own.Scheme == u.Scheme && own.Host == u.Host
}

func (c *Client) request(ctx context.Context, path string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Endpoint+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "specquant")
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return req, nil
}

// File is a file of a repository.
type File struct {
	Path string
	Size int64
	Hash string // sha256 of a large file, or git's sha1 of a small one; it names the blob
}

// Repo is a hub's description of a repository.
type Repo struct {
	Name   Name
	Commit string
	Files  []File
}

var (
	sha1Text   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// listing is the hub's answer to the request for a repository's files.
type listing struct {
	Commit string   `json:"sha"`
	Files  []listed `json:"siblings"`
}

type listed struct {
	Path string `json:"rfilename"`
	Size *int64 `json:"size"`
	Blob string `json:"blobId"`
	LFS  *struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	} `json:"lfs"`
}

// file returns what the hub says of a file; false if it gives no usable size and hash.
func (l *listed) file() (File, bool) {
	f := File{Path: l.Path, Hash: l.Blob}
	if l.Size != nil {
		f.Size = *l.Size
	}
	ok := sha1Text.MatchString(f.Hash) && l.Size != nil
	if l.LFS != nil {
		f.Hash, f.Size = l.LFS.SHA256, l.LFS.Size
		ok = sha256Text.MatchString(f.Hash)
	}
	return f, ok && f.Size >= 0 && f.Size <= maxSize
}

// List asks for the files of a repository.
func (c *Client) List(ctx context.Context, n Name) (*Repo, error) {
	if c.Offline {
		return nil, fmt.Errorf("%s is not in the store, and HF_HUB_OFFLINE does not allow downloading it", n)
	}
	answer, err := c.listing(ctx, n)
	if err != nil {
		return nil, err
	}
	if !sha1Text.MatchString(answer.Commit) {
		return nil, fmt.Errorf("%s: the hub gives %q as the commit, expected 40 hexadecimal digits", n.Repo, clip(answer.Commit))
	}
	if len(answer.Files) > maxFiles {
		return nil, fmt.Errorf("%s: the hub lists %s, the limit is %d", n.Repo, plural.Of(len(answer.Files), "file"), maxFiles)
	}
	r := &Repo{Name: n, Commit: answer.Commit}
	for _, f := range answer.Files {
		if checkPath(f.Path) != nil {
			continue // never a wanted file
		}
		out, ok := f.file()
		if !ok {
			return nil, fmt.Errorf("%s: the hub gives no usable size and hash of %s; a mirror must answer /api/models/…?blobs=true as huggingface.co does", n.Repo, f.Path)
		}
		r.Files = append(r.Files, out)
	}
	return r, nil
}

// listing asks the hub for the list, and repeats the request as [Client.retry] says.
func (c *Client) listing(ctx context.Context, n Name) (answer listing, err error) {
	err = c.retry(ctx, n.Repo, func() (bool, error) {
		req, err := c.request(ctx, "/api/models/"+n.Repo+"/revision/"+url.PathEscape(n.revision())+"?blobs=true")
		if err != nil {
			return false, err
		}
		resp, err := c.client().Do(req)
		if err != nil {
			return false, temporary{err}
		}
		defer resp.Body.Close()
		if err := c.status(n, "", resp); err != nil {
			return false, err
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		if err != nil {
			return false, temporary{err}
		}
		if len(data) > maxAnswer {
			return false, fmt.Errorf("%s: the hub's list of files has more than %s", n.Repo, plural.Of(maxAnswer, "byte"))
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return false, fmt.Errorf("%s: the hub's list of files is damaged: %w", n.Repo, err)
		}
		return false, nil
	})
	return answer, err
}

// temporary marks an error after which a new attempt may succeed.
type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

// waitError is a temporary error with the time to wait that the hub requests.
type waitError struct {
	error
	wait time.Duration
}

func (w waitError) Unwrap() error { return w.error }

// maxWait is the longest time that a hub can make us wait before the next attempt.
const maxWait = 5 * time.Minute

// status converts a failed response to an error that tells what to do.
func (c *Client) status(n Name, file string, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return nil
	}
	what := n.Repo
	if file != "" {
		what += ": " + file
	}
	io.CopyN(io.Discard, resp.Body, 1<<16)
	code := resp.Header.Get("X-Error-Code")
	withToken := "a token of an account that may (HF_TOKEN)"
	if c.Token != "" {
		withToken = "a token of an account that may: the one of HF_TOKEN may not"
	}
	switch {
	case code == "GatedRepo" || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s is gated: its owner asks for consent first; accept the conditions at %s/%s, then come back with %s", what, c.Endpoint, n.Repo, withToken)
	case code == "RevisionNotFound":
		return fmt.Errorf("%s has no revision %s", n.Repo, n.revision())
	case code == "EntryNotFound":
		return fmt.Errorf("%s does not exist", what)
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %s has no such repository, or it is private and needs %s; is the name right?", what, c.Endpoint, withToken)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 || resp.StatusCode == http.StatusRequestTimeout:
		return waitError{temporary{fmt.Errorf("%s: the hub answers %s", what, resp.Status)}, retryAfter(resp.Header.Get("Retry-After"))}
	}
	return fmt.Errorf("%s: the hub answers %s", what, resp.Status)
}

// retryAfter parses the header, which is a number of seconds or a date; 0: absent or
// invalid.
func retryAfter(h string) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(h)); err == nil && n > 0 {
		return min(time.Duration(min(n, 1<<20))*time.Second, maxWait)
	}
	if t, err := http.ParseTime(h); err == nil {
		return min(max(time.Until(t), 0), maxWait)
	}
	return 0
}

// retry calls try until it succeeds, fails permanently, or has made no progress several
// times in a row. try reports whether it has made progress.
func (c *Client) retry(ctx context.Context, what string, try func() (progress bool, err error)) error {
	tries, wait := c.Tries, c.Backoff
	if tries <= 0 {
		tries = 6
	}
	if wait <= 0 {
		wait = time.Second
	}
	pause := wait
	for n := 1; ; n++ {
		progress, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var t temporary
		if !errors.As(err, &t) {
			return err
		}
		if progress {
			n, pause = 1, wait
		}
		if n >= tries {
			return fmt.Errorf("%w; gave up after %s; run the same command again to continue where it stopped", err, plural.Of(n, "attempt"))
		}
		now := pause
		var w waitError
		if errors.As(err, &w) && w.wait > 0 {
			now = w.wait
		}
		if c.Log != nil {
			c.Log("%s: %v; trying again in %v", what, err, now.Round(100*time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(now):
		}
		pause = min(2*pause, maxWait)
	}
}
