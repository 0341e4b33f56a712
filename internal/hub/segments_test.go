package hub

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const weightsFile = "model.safetensors"

// blobOf is the path of the blob of the hub's weights in the client's cache.
func (h *fakeHub) blobOf(c *Client) string {
	return filepath.Join(c.Cache, "models--org--model", "blobs", hashOf(h.files[weightsFile]))
}

// checkParts holds what is on the disk of an interrupted download to the file: the partial
// file has its first bytes, and each segment's file its own. It returns how many bytes there
// are.
func (h *fakeHub) checkParts(t *testing.T, c *Client) (n int64) {
	t.Helper()
	data := h.files[weightsFile]
	blob := h.blobOf(c)
	if got, err := os.ReadFile(blob + ".incomplete"); err == nil {
		if len(got) > len(data) || !bytes.Equal(got, data[:len(got)]) {
			t.Errorf("the partial file of %d bytes is not the file's beginning", len(got))
		}
		n = int64(len(got))
	}
	found := parts(filepath.Join(c.Cache, "models--org--model"), filepath.Base(blob))
	for _, p := range found {
		got, err := os.ReadFile(p.path)
		if err != nil {
			t.Fatal(err)
		}
		if p.from+p.size > int64(len(data)) || !bytes.Equal(got, data[p.from:p.from+p.size]) {
			t.Errorf("the part of %d bytes from %d is not the file's", p.size, p.from)
		}
		n += p.size
	}
	if len(found) > segmentsAtOnce {
		t.Errorf("%d parts, expected at most %d", len(found), segmentsAtOnce)
	}
	return n
}

// TestSegments downloads a file in ten ranges, several at once.
func TestSegments(t *testing.T) {
	h := newHub(t, modelFiles())
	var mu sync.Mutex
	var now, most int
	together := make(chan struct{})
	h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		if name != weightsFile {
			return false
		}
		mu.Lock()
		if now++; now > most {
			if most = now; most == segmentsAtOnce {
				close(together)
			}
		}
		mu.Unlock()
		select { // until all have come
		case <-together:
		case <-time.After(10 * time.Second):
			t.Error("the ranges are not asked for together")
		}
		mu.Lock()
		now--
		mu.Unlock()
		h.content(w, r, name)
		return true
	}
	c := h.client(t)
	c.Segment = 100_000
	p, err := pull(t, c, "org/model")
	if err != nil {
		t.Fatal(err)
	}
	h.whole(t, c, p, wantedNames...)
	if h.gets[weightsFile] != 10 || most != segmentsAtOnce {
		t.Errorf("%d requests, %d at once; expected 10 and %d", h.gets[weightsFile], most, segmentsAtOnce)
	}
	if sent := h.sentOf(weightsFile); sent != 1_000_000 {
		t.Errorf("%d bytes were sent", sent)
	}
}

// TestSegmentsInterrupted drops connections at ten places; what has arrived stays.
func TestSegmentsInterrupted(t *testing.T) {
	h := newHub(t, modelFiles())
	c := h.client(t)
	c.Tries, c.Segment = 1, 100_000
	var mu sync.Mutex
	cuts := 0
	h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		mu.Lock()
		cut := name == weightsFile && cuts < 10
		if cut {
			cuts++
		}
		mu.Unlock()
		if cut {
			cutAfter(w, r, h.files[name], 70_000)
		}
		return false
	}
	var fails int
	var had int64
	for {
		p, err := pull(t, c, "org/model")
		if err == nil {
			h.whole(t, c, p, wantedNames...)
			break
		}
		if fails++; fails > 10 || !strings.Contains(err.Error(), "run the same command again") {
			t.Fatal(err)
		}
		have := h.checkParts(t, c)
		if have <= had {
			t.Errorf("after failure %d there are %d bytes, %d before", fails, have, had)
		}
		had = have
	}
	if fails == 0 || cuts < 10 {
		t.Errorf("%d failures, %d connections dropped", fails, cuts)
	}
	// Only what was not kept is sent, except for requests that were under way when another
	// one failed.
	if sent, most := h.sentOf(weightsFile), 1_000_000-had+segmentsAtOnce*c.Segment; sent > most {
		t.Errorf("%d bytes were sent by requests that were not dropped, expected at most %d", sent, most)
	}
}

// TestSegmentsFaults: what stands in the way of ranges, and leftovers of other runs.
func TestSegmentsFaults(t *testing.T) {
	weights := modelFiles()[weightsFile]
	write := func(h *fakeHub, c *Client, suffix string, data []byte) {
		path := h.blobOf(c) + ".incomplete" + suffix
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	for _, f := range []struct {
		name string
		set  func(h *fakeHub, c *Client)
		most int64 // bytes of the weights that may be sent; 0: any
		err  string
	}{
		{"no ranges", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				r.Header.Del("Range")
				return false
			}
		}, 0, ""},
		{"no ranges after the first few", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if n > 5 {
					r.Header.Del("Range")
				}
				return false
			}
		}, 0, ""},
		{"the end of a range is ignored", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				from, _, _ := strings.Cut(r.Header.Get("Range"), "-")
				if from != "" {
					r.Header.Set("Range", from+"-")
				}
				return false
			}
		}, 0, ""},
		{"each range with another tag", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
				return false
			}
		}, 0, ""},
		{"another file in the middle", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name != weightsFile || n != 4 { // more could spoil the second try too, which is the last
					return false
				}
				w.Header().Set("ETag", `"other"`)
				http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(noise(1_000_000, 77)))
				return true
			}
		}, 0, ""},
		{"wrong bytes in one range, the same tag", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name != weightsFile || n != 4 {
					return false
				}
				w.Header().Set("ETag", `"`+hashOf(weights)+`"`)
				http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(noise(1_000_000, 77)))
				return true
			}
		}, 0, ""},
		{"always wrong bytes", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name != weightsFile {
					return false
				}
				http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(noise(1_000_000, 77)))
				return true
			}
		}, 0, "has the hash"},
		{"connections that break, with progress", func(h *fakeHub, c *Client) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weightsFile && n <= 30 {
					cutAfter(w, r, h.files[name], 20_000)
				}
				return false
			}
		}, 0, ""},
		{"a beginning that another program has made", func(h *fakeHub, c *Client) { write(h, c, "", weights[:333_333]) }, 666_667, ""},
		{"parts of an earlier run", func(h *fakeHub, c *Client) {
			write(h, c, "", weights[:120_000])
			write(h, c, ".100000", weights[100_000:180_000]) // killed while it was appended
			write(h, c, ".200000", weights[200_000:300_000])
			write(h, c, ".300000", weights[300_000:301_000])
		}, 1_000_000 - 180_000 - 101_000, ""},
		{"parts of no use", func(h *fakeHub, c *Client) {
			write(h, c, "", weights[:250_000])
			write(h, c, ".100000", weights[100_000:200_000]) // appended already
			write(h, c, ".350000", weights[350_000:360_000]) // by another size of segments
			write(h, c, ".400000", weights[400_000:600_000]) // too long
			write(h, c, ".2000000", weights[:10])            // beyond the file
		}, 750_000, ""},
		{"a part with wrong bytes", func(h *fakeHub, c *Client) { write(h, c, ".100000", noise(50_000, 5)) }, 1_950_000, ""},
		{"a beginning with wrong bytes", func(h *fakeHub, c *Client) { write(h, c, "", noise(950_000, 5)) }, 1_050_000, ""},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, modelFiles())
			h.t = t
			c := h.client(t)
			c.Tries, c.Segment = 3, 100_000
			f.set(h, c)
			p, err := pull(t, c, "org/model")
			switch {
			case f.err != "":
				if err == nil || !strings.Contains(err.Error(), f.err) {
					t.Errorf("error %v, expected %q", err, f.err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			h.whole(t, c, p, wantedNames...)
			if sent := h.sentOf(weightsFile); f.most > 0 && sent > f.most {
				t.Errorf("%d bytes were sent, expected at most %d", sent, f.most)
			}
		})
	}
}
