package report

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
)

// heatDecades is how many powers of ten below the largest value the colours of a heat map
// span.
const heatDecades = 3

// heatStops run from dark to light, evenly spaced in lightness, so that they can be read in
// both colour schemes and without colour vision (five colours of matplotlib's viridis).
var heatStops = []color.RGBA{{0x44, 0x01, 0x54, 255}, {0x3b, 0x52, 0x8b, 255}, {0x21, 0x91, 0x8c, 255}, {0x5e, 0xc9, 0x62, 255}, {0xfd, 0xe7, 0x25, 255}}

// heatColor maps 0 … 1 to a colour.
func heatColor(v float64) color.RGBA {
	v = min(max(v, 0), 1) * float64(len(heatStops)-1)
	i := min(int(v), len(heatStops)-2)
	a, b, t := heatStops[i], heatStops[i+1], v-float64(i)
	mix := func(x, y uint8) uint8 { return uint8(math.Round(float64(x) + t*(float64(y)-float64(x)))) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// heat draws a field on a logarithmic scale that ends at top, as a PNG in a data URL.
func heat(f Field, top float32) (template.URL, error) {
	img := image.NewRGBA(image.Rect(0, 0, f.Cols, f.Rows))
	for i, v := range f.V {
		t := 0.0
		if v > 0 && top > 0 {
			t = 1 + math.Log10(float64(v)/float64(top))/heatDecades
		}
		img.SetRGBA(i%f.Cols, i/f.Cols, heatColor(t))
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		return "", err
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(buf.Bytes())), nil
}
