package eval
import ("testing";"strings";"math";"github.com/specquant/specquant/internal/testdata")
func TestZZ(t *testing.T){
	r, tok := open(t, testdata.Path(t, "models", "books-1m"), 2)
	g := testdata.ReadGolden(t, testdata.Path(t, "models", "books-1m", "golden_f64.json"))
	bos, _ := tok.BOS()
	var a, b []int
	var docs [][]int
	for _, d := range strings.Split(readFile(t, "text", "books-valid.txt"), "\n\n\n") {
		d0 := d
		doc, _ := tok.Encode(d0, false)
		docs=append(docs,doc)
		a = append(append(a, bos), doc...); b = append(b, doc...)
	}
	t.Log(len(docs), len(a), len(docs[0]), docs[0][:5], g.WindowNLL)
	try := func(name string, f func(i int) []int) {
		var o []float64
		for i := range g.WindowNLL { o = append(o, math.Log(measured(t, r, []Span{{f(i),1}}))) }
		t.Log(name, o)
	}
	w := func(x []int) []int { return append([]int{bos}, x...) }
	try("b255", func(i int)[]int{return w(b[i*255:][:255])})
	try("b256", func(i int)[]int{return w(b[i*256:][:255])})
	try("a256", func(i int)[]int{return w(a[i*256+1:][:255])})
	try("a255+1", func(i int)[]int{return w(a[i*255+1:][:255])})
	try("spread", func(i int)[]int{return w(b[i*len(b)/8:][:255])})
	try("doc", func(i int)[]int{return w(docs[i][:255])})
}
