package report

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// planted outlier channels are many enough to hurt at 16-bit activations.
const planted = 4

// made writes a random model with planted outlier channels, and what a
// recipe makes of it.
func made(t *testing.T, name, bits string) (dir, out string, pool *parallel.Pool) {
	t.Helper()
	tmp := t.TempDir()
	plain, dir, out := filepath.Join(tmp, "plain"), filepath.Join(tmp, "model"), filepath.Join(tmp, "out")
	if err := testmodel.Write(plain, testmodel.Options{Layers: 2, Hidden: 64, Intermediate: 96}); err != nil {
		t.Fatal(err)
	}
	ck, err := checkpoint.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if err := llama.Plant(ck, dir, planted, 100, 1, []string{"tokenizer.json"}); err != nil {
		t.Fatal(err)
	}
	pool = parallel.NewPool(2)
	t.Cleanup(pool.Close)
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := quant.ParseBits(bits)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetBits(b); err != nil {
		t.Fatal(err)
	}
	r.Name = `<script>alert("x")</script>`
	if r.Smooth != nil {
		r.Smooth.Alpha = recipe.AlphaGrid{0.5}
	}
	if _, err := pipeline.Run(t.Context(), pipeline.Options{Dir: dir, Out: out, Recipe: r, Pool: pool, Tool: "test"}); err != nil {
		t.Fatal(err)
	}
	return dir, out, pool
}

func page(t *testing.T, dir, out string, pool *parallel.Pool) (*Page, string) {
	t.Helper()
	s, err := Open(out, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Checkpoint.Close() })
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ck.Close() })
	p := &Page{Subject: s, Tool: "test", Against: dir}
	// On 16 windows the order of a random model's channels no longer depends on which
	// windows of the embedded text are drawn; on 4 it does.
	if p.Look, err = LookAt(t.Context(), ck, LookOptions{Pool: pool, Pictures: true, Of: s, Windows: 16}); err != nil {
		t.Fatal(err)
	}
	if p.Quality, err = Measure(t.Context(), out, dir, "text<b>", strings.Repeat("a text to measure on. ", 20), 2, pool, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return p, b.String()
}

// external is whatever would make a browser ask for something.
var external = regexp.MustCompile(`(?i)(src|href)\s*=\s*"?\s*(https?:|//)|url\(|@import|<link|<iframe|<script`)

func TestPageIsComplete(t *testing.T) {
	dir, out, pool := made(t, "specquant", "4-4-4")
	_, html := page(t, dir, out, pool)
	if m := external.FindString(html); m != "" {
		t.Errorf("the page asks for something: %q", m)
	}
	for _, want := range []string{"Quality", "Error of each layer", "Budgets", "Clipped", "All layers in figures", "Where the spectral energy lies",
		"Activations and weights, before and after smoothing", "Fingerprint", "prefers-color-scheme: dark", "text&lt;b&gt;", "&lt;script&gt;", "without the branch", "input file"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(html, "data:image/png;base64,"); n != 8 {
		t.Errorf("%d pictures, want 8", n)
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(html, -1) {
		wellFormed(t, "a chart", svg)
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("a chart with a value that is not finite: %.300s", svg)
		}
	}
	if again := func() string { _, h := page(t, dir, out, pool); return h }(); again != html {
		t.Error("the same model gives two pages")
	}
}

// TestPlantedChannelsAreNamed plants outliers, rounds plainly, and wants the
// culprits by number, at 4-bit activations and at 16.
func TestPlantedChannelsAreNamed(t *testing.T) {
	for bits, cause := range map[string]string{"4-4-16": "outlier channels in the activations", "4-16-16": "small weights on channels with large activations"} {
		dir, out, pool := made(t, "rtn", bits)
		p, _ := page(t, dir, out, pool)
		// What Plant drew: the gains that grew.
		var want []int
		ck, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		norm, err := llama.Vector(ck, "model.layers.0.input_layernorm.weight", 64)
		if err != nil {
			t.Fatal(err)
		}
		for c, v := range norm {
			if v > 20 || v < -20 {
				want = append(want, c)
			}
		}
		if len(want) != planted {
			t.Fatalf("planted %v", want)
		}
		seen := false
		for _, f := range Diagnose(p.Subject, p.Look, nil) {
			if f.Bad && f.Cause == cause {
				seen = true
				var named []int
				for _, m := range regexp.MustCompile(`(\d+)( \(|,|$)`).FindAllStringSubmatch(f.Channel, -1) {
					n := 0
					for _, d := range m[1] {
						n = 10*n + int(d-'0')
					}
					named = append(named, n)
				}
				hits := 0
				for _, n := range named {
					if slices.Contains(want, n) {
						hits++
					}
				}
				// A random model may have a channel of its own among the last.
				if len(named) == 0 || !slices.Contains(want, named[0]) || hits < len(named)-1 {
					t.Errorf("%s: channels %v are blamed, planted are %v", f.Where, named, want)
				}
			}
		}
		if !seen {
			t.Errorf("%s: the outliers were not found: %+v", bits, Diagnose(p.Subject, p.Look, nil))
		}
	}
}

func TestAgainstAnotherModel(t *testing.T) {
	_, out, pool := made(t, "rtn", "4-8-8")
	other := filepath.Join(t.TempDir(), "other")
	if err := testmodel.Write(other, testmodel.Options{Layers: 3, Hidden: 64, Intermediate: 96}); err != nil {
		t.Fatal(err)
	}
	s, err := Open(out, pool)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Checkpoint.Close()
	ck, err := checkpoint.Open(other)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if _, err := LookAt(t.Context(), ck, LookOptions{Pool: pool, Of: s}); err == nil || !strings.Contains(err.Error(), "differs in shape") {
		t.Errorf("got %v", err)
	}
	if _, err := LookAt(t.Context(), s.Checkpoint, LookOptions{Pool: pool}); err == nil || !strings.Contains(err.Error(), "is quantized") {
		t.Errorf("got %v", err)
	}
}

func TestBrokenManifest(t *testing.T) {
	_, out, pool := made(t, "rtn", "4-8-8")
	path := filepath.Join(out, "specquant.json")
	sealed, err := checkpoint.Seal([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	empty := string(sealed)
	for content, want := range map[string]string{"{": "specquant.json", "{}": "specquant.json: is not the text that was written", empty: "field recipe is missing", "": "missing, expected the manifest"} {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(out, pool); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", content, err, want)
		}
	}
}

// TestBrowser renders the page in both colour schemes, where there is a
// browser, and wants a light and a dark picture that are not blank.
func TestBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" || testing.Short() {
		t.Skip("no Chromium")
	}
	dir, out, pool := made(t, "specquant", "4-4-4")
	_, html := page(t, dir, out, pool)
	tmp := t.TempDir()
	file := filepath.Join(tmp, "page.html")
	if err := os.WriteFile(file, []byte(html), 0o644); err != nil {
		t.Fatal(err)
	}
	var light [2]float64
	for i, scheme := range []string{"1", "0"} {
		shot := filepath.Join(tmp, scheme+".png")
		cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+filepath.Join(tmp, "profile"+scheme),
			"--blink-settings=preferredColorScheme="+scheme, "--window-size=1100,1600", "--screenshot="+shot, "file://"+file)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("%s does not run here: %v: %.300s", browser, err, text)
		}
		f, err := os.Open(shot)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		var colours int
		light[i], colours = brightness(img)
		if colours < 50 {
			t.Errorf("scheme %s: %d colours: the page is blank", scheme, colours)
		}
	}
	if !(light[0] > 0.8 && light[1] < 0.3) {
		t.Errorf("brightness %.2f in the light scheme, %.2f in the dark one", light[0], light[1])
	}
}

// TestBrowserNarrow: on a narrow screen nothing that can't be scrolled reaches beyond
// its edge, and a caption can be read without scrolling.
func TestBrowserNarrow(t *testing.T) {
	dir, out, pool := made(t, "specquant", "4-4-4")
	_, html := page(t, dir, out, pool)
	if strings.Contains(html, "<caption") {
		t.Error("the caption of a wide table is as wide as the table: write it above")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("no Chromium")
	}
	html = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`).ReplaceAllString(html, "")
	html = strings.Replace(html, "</body>", `<script>
let beyond = [];
for (const e of document.querySelectorAll("body *")) {
	const r = e.getBoundingClientRect();
	if (r.width > 0 && r.right > innerWidth + 1 && !e.closest(".scroll")) beyond.push(e.tagName + " " + e.textContent.slice(0, 60));
	if (e.tagName == "text") {
		const p = e.ownerSVGElement.getBoundingClientRect();
		if (r.right > p.right + 1 || r.left < p.left - 1) beyond.push("cut off in a chart: " + e.textContent);
	}
}
document.body.innerText = "width " + innerWidth + ": [" + beyond.join("; ") + "]";
</script></body>`, 1)
	tmp := t.TempDir()
	file := filepath.Join(tmp, "page.html")
	if err := os.WriteFile(file, []byte(html), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+filepath.Join(tmp, "profile"), "--window-size=400,3000", "--dump-dom", "file://"+file)
	text, err := cmd.Output()
	if err != nil {
		t.Skipf("%s does not run here: %v", browser, err)
	}
	found := regexp.MustCompile(`width \d+: \[([^\]]*)\]`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%.300s", text)
	}
	if found[1] != "" {
		t.Error(found[0])
	}
}

func brightness(img image.Image) (mean float64, colours int) {
	seen := map[[3]uint32]bool{}
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r, g, bl}] = true
			mean += float64(r+g+bl) / 3 / 0xffff
		}
	}
	return mean / float64(b.Dx()*b.Dy()), len(seen)
}
