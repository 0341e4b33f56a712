package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/serve/page"
)

// pageOf is the page before a server that says what the test tells it to: each text of
// say is a piece of an answer, "end" ends it as it should, "break" without an end.
func pageOf(t *testing.T) (b *browser, url string, say chan string) {
	t.Helper()
	b = openBrowser(t)
	say = make(chan string)
	mux := http.NewServeMux()
	page.Register(mux)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":[{"id":"test","default_sampling":{"temperature":1,"recommended":false}}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for f := w.(http.Flusher); ; f.Flush() {
			select {
			case <-r.Context().Done():
				return
			case text := <-say:
				switch text {
				case "break":
					panic(http.ErrAbortHandler)
				case "end":
					fmt.Fprint(w, `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`+"\n\n", `data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}`+"\n\n", "data: [DONE]\n\n")
					return
				}
				piece, _ := json.Marshal(text)
				fmt.Fprintf(w, `data: {"choices":[{"delta":{"content":%s}}]}`+"\n\n", piece)
			}
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	b.view(1100, 800, "light")
	b.open(s.URL)
	b.until(`document.querySelector("#model").textContent === "test"`)
	t.Cleanup(func() {
		for _, asked := range b.asked {
			if !strings.HasPrefix(asked, s.URL+"/") && !strings.HasPrefix(asked, "data:") {
				t.Error("the page asked for " + asked)
			}
		}
	})
	return b, s.URL, say
}

// everything is an answer with all that the page shows of Markdown, and what it must not take for it.
const everything = "# Heading\n\n**bold** *it* `a*b` ~~no~~ [text](https://example.org/x?y=1) 2*3*4 a_b_c \\*no\\* **open\n\n" +
	"1. one\n   - deep\n2. two\n\n   ```go\n   a()\n\n\n     b()\n   ```\n3. three\n\n" +
	"| A | B |\n|---|--:|\n| `x` | 1 \\| 2 |\n\n---\n\n> quoted\n> too\n\n- x\n\n- y\n\nmore <img src=x onerror=alert(1)>\nlast\n"

// TestPageMarkdown: answers are shown as they are meant, as text that nothing interprets.
func TestPageMarkdown(t *testing.T) {
	b, _, _ := pageOf(t)
	shape := `(function shape(n) { return n.nodeType === 3 ? n.data : (/button|span/.test(n.localName) && !n.className ? "" : n.localName) + "(" + [...n.childNodes].filter(c => c.localName !== "button" && c.data !== "").map(shape).join(" ") + ")"; })(make("main", {}, markdown(%s)))`
	for text, want := range map[string]string{
		everything: "main(h2(Heading) p(strong(bold)   em(it)   code(a*b)   del(no)   (a(text) span( (example.org)))  2*3*4 a_b_c  * no *  **open) " +
			"ol(li(p(one) ul(li(p(deep)))) li(p(two) div(pre(code(a()\n\n\n  b())) span(go))) li(p(three))) " +
			"div(table(thead(tr(th(A) th(B))) tbody(tr(td(code(x)) td(1  |  2))))) hr() blockquote(p(quoted\ntoo)) ul(li(p(x)) li(p(y))) p(more <img src=x onerror=alert(1)>\nlast))",
		"***both*** __b__ _i_ snake_case_name 5 * 3 * 2": "main(p(strong(em(both))   strong(b)   em(i)  snake_case_name 5 * 3 * 2))",
		"[x](javascript:alert(1)) ![pic](https://a.b/c)": "main(p([x](javascript:alert(1))  (a(pic) span( (a.b)))))",
		"```\nnever closed":             "main(div(pre(code(never closed))))",
		"a | b\nno table":               "main(p(a | b\nno table))",
		"2. two\n3. three":              "main(ol(li(p(two)) li(p(three))))",
		strings.Repeat("> ", 500) + "x": "main(" + strings.Repeat("blockquote(", 8) + "p(" + strings.Repeat("> ", 492) + "x)" + strings.Repeat(")", 8) + ")",
	} {
		if got := b.eval(shape, text); got != want {
			t.Errorf("%.60q\ngot  %s\nwant %s", text, got, want)
		}
	}
	for _, hostile := range []string{strings.Repeat("`", 9000) + strings.Repeat("a", 9000), strings.Repeat("**a ", 9000), strings.Repeat("*a", 9000), strings.Repeat("[", 9000), strings.Repeat("- ", 9000), strings.Repeat("\n", 9000), strings.Repeat("|-", 9000) + "\n" + strings.Repeat("|-", 9000), strings.Repeat("_a", 9000), strings.Repeat("~~a ", 9000)} {
		if ms := b.eval(`(s => { const t = performance.now(); markdown(s); return performance.now() - t; })(%s) < 1000`, hostile); ms != "true" {
			t.Errorf("%.10q… takes more than a second", hostile)
		}
	}
}

// TestPageKeyboard drives the page without a mouse: what loses the focus gives it to
// something, and what runs, is edited or is removed by mistake comes to the end that is meant.
func TestPageKeyboard(t *testing.T) {
	b, url, say := pageOf(t)
	at := func(want string) {
		t.Helper()
		if got := b.focus(); got != want {
			t.Errorf("the focus is at %q, want %q", got, want)
		}
	}
	messages := func(want string) {
		t.Helper()
		if got := b.eval(`JSON.parse(localStorage["specquant-chats"]).chats.map(c => c.messages.map(m => m.content).join("|")).join("; ")`); got != want {
			t.Errorf("kept is %q, want %q", got, want)
		}
	}
	const running, idle = `!document.querySelector("#stop").hidden`, `document.querySelector("#stop").hidden`
	at("textarea#ask Message")
	b.press(`"one"`, "Enter")
	b.until(running)
	if got := b.eval(`document.querySelector(".turn.assistant").innerText`); !strings.Contains(got, "reads") {
		t.Errorf("before the first token there is %q", got)
	}
	say <- "**first**\n\n```\nx\n```"
	b.until(`document.querySelector(".turn.assistant strong")`)
	// What is finished stays the same element while more is written, so that it can be selected.
	b.eval(`window.kept = document.querySelector(".turn.assistant strong"), 0`)
	say <- "\n\nmore"
	b.until(`document.querySelector(".turn.assistant").innerText.includes("more")`)
	if b.eval(`kept.isConnected`) != "true" {
		t.Error("a finished paragraph was replaced")
	}
	say <- "end"
	b.until(idle)
	b.until(`document.querySelector("#say").textContent.startsWith("Answer: first")`)

	// Regenerating leaves the focus in the field; Escape stops.
	b.eval(`[...document.querySelectorAll(".foot button")].find(b => b.textContent === "Regenerate").focus()`)
	b.press("Enter")
	b.until(running)
	at("textarea#ask Message")
	say <- "second"
	b.until(`document.querySelector(".turn.assistant").innerText.includes("second")`)
	b.press("Escape")
	b.until(idle + ` && document.querySelector(".foot")`)
	messages("one|second")

	// Editing while an answer is written: what there is of the answer does not take the field away.
	b.press(`"two"`, "Enter")
	b.until(running)
	say <- "third"
	b.until(`[...document.querySelectorAll(".turn")].at(-1).innerText.includes("third")`)
	b.eval(`[...document.querySelectorAll(".edit")].at(-1).focus()`)
	b.press("Enter")
	b.until(idle + ` && document.querySelector(".editing")`)
	at("textarea Edit message")
	b.press("Escape")
	at("button Edit: two")
	b.press("Enter")
	b.until(`document.querySelector(".editing")`)
	b.press(`"2"`, "Enter")
	b.until(running)
	say <- "fourth"
	say <- "end"
	b.until(idle)
	messages("one|second|two2|fourth")

	// A removed conversation can be had back.
	b.eval(`document.querySelector(".drop").focus()`)
	b.press("Enter")
	b.until(`!document.querySelector("#note").hidden`)
	at("button Undo")
	messages("")
	b.press("Enter")
	at("button one")
	messages("one|second|two2|fourth")
	if b.eval(`document.querySelector("#note").hidden`) != "true" {
		t.Error("Undo is still offered")
	}

	// Conversations by arrow keys.
	b.eval(`document.querySelector("#new").click()`)
	b.press(`"other"`, "Enter")
	b.until(running)
	say <- "a"
	// The end of an answer does not take the focus from a list that is made anew.
	b.eval(`document.querySelector(".open").focus()`)
	b.press("ArrowDown")
	at("button one")
	say <- "end"
	b.until(idle)
	at("button one")

	// Broken connections are told in words, with what there was of the answer.
	b.eval(`document.querySelector("#ask").focus()`)
	b.press(`"again"`, "Enter")
	b.until(running)
	say <- "half"
	b.until(`[...document.querySelectorAll(".turn")].at(-1).innerText.includes("half")`)
	say <- "break"
	b.until(`document.querySelector(".error")?.textContent === "The connection broke off before the answer was complete."`)
	messages("other|a|again|half; one|second|two2|fourth")

	// Another tab of the same browser keeps its conversation: neither overwrites the other's.
	b.eval(`(() => {
		const other = JSON.parse(localStorage["specquant-chats"]);
		other.chats.unshift({ id: "x", title: "elsewhere", messages: [{ role: "user", content: "elsewhere" }] });
		localStorage["specquant-chats"] = JSON.stringify(other);
		window.dispatchEvent(new StorageEvent("storage", { key: "specquant-chats" }));
	})()`)
	b.eval(`document.querySelector("#ask").focus()`)
	b.press(`"here"`, "Enter")
	b.until(running)
	say <- "end"
	b.until(idle)
	messages("elsewhere; other|a|again|half|here|; one|second|two2|fourth")

	// On a phone the menu opens and closes, and gives the focus back.
	b.view(360, 740, "light")
	b.eval(`document.querySelector("#menu").focus()`)
	b.press("Enter")
	at("button#new New conversation")
	b.press("Escape")
	at("button#menu Menu")
	b.press("Enter")
	b.eval(`document.querySelector("#close").focus()`)
	b.press("Enter")
	at("button#menu Menu")

	b.open(url)
	b.until(`document.querySelectorAll(".open").length === 3`)
	for _, fault := range b.faults {
		if !strings.Contains(fault, "ERR_INCOMPLETE_CHUNKED_ENCODING") { // what broke off
			t.Error(fault)
		}
	}
}

// TestPageSeen: text has a contrast of 4.5 and the edge of a field one of 3 in both
// colour schemes, nothing reaches beyond a narrow screen, whatever has the focus shows it,
// and everything that can be pressed has a name.
func TestPageSeen(t *testing.T) {
	b, url, _ := pageOf(t)
	long := strings.Repeat("Donaudampfschifffahrt", 20)
	b.eval(`localStorage.setItem("specquant-chats", JSON.stringify({ chats: [...Array(30).keys()].map(i => ({ title: "chat " + %s + i, messages: [
		{ role: "user", content: "Hi " + %s }, { role: "assistant", content: %s + %s, thought: "hm", note: "9 tokens" }, { role: "user", content: "x", error: "It did not work" }] })) })), 0`, long, long, everything, long)
	b.open(url)
	b.until(`document.querySelector("#model").textContent === "test"`)
	b.eval(`document.querySelector(".open").click()`)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1100, 550, 360} {
			b.view(width, 740, scheme)
			for _, menu := range []string{"false", "true"} {
				b.eval("menu(" + menu + ")")
				if bad := b.eval(seen); bad != "" {
					t.Errorf("%s, %d wide, menu %s:\n%s", scheme, width, menu, bad)
				}
			}
			b.eval("menu(false)")
		}
	}
	if len(b.faults) > 0 {
		t.Error(strings.Join(b.faults, "\n"))
	}
}

// seen gives what can't be seen well.
const seen = `(() => {
	const bad = [], pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgb = s => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = s; pen.fillRect(0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data]; };
	const light = v => { const f = x => (x /= 255) <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; return .2126 * f(v[0]) + .7152 * f(v[1]) + .0722 * f(v[2]); };
	const ground = e => { for (; e; e = e.parentElement) { const v = rgb(getComputedStyle(e).backgroundColor); if (v[3] === 255) return v; } return rgb("Canvas"); };
	const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
	const told = (e, what) => bad.push(e.localName + (e.id && "#" + e.id) + "." + e.className + " " + e.textContent.trim().slice(0, 20) + ": " + what);
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility({ visibilityProperty: true }) || e.closest("script, .hidden")) continue;
		const style = getComputedStyle(e);
		if ([...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && !(ratio(rgb(style.color), ground(e)) >= 4.5)) told(e, "contrast " + ratio(rgb(style.color), ground(e)).toFixed(2));
		if (e.placeholder && !(ratio(rgb(getComputedStyle(e, "::placeholder").color), ground(e)) >= 4.5)) told(e, "contrast of the placeholder");
		if (e.matches("input, textarea, select") && !(ratio(rgb(style.borderTopColor), ground(e.parentElement)) >= 3)) told(e, "contrast of the edge");
		const r = e.getBoundingClientRect(), box = e.parentElement.closest("pre, .table");
		if (!box && r.width && (r.right > innerWidth + 1 || r.left < -1)) told(e, "from " + r.left + " to " + r.right + " of " + innerWidth);
		if (e.matches("button, input, textarea, select, summary, a") && !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length)) told(e, "no name");
		if (e.matches("button") && (r.width < 24 || r.height < 24)) told(e, "is " + r.width + " by " + r.height);
		if (e.tabIndex >= 0 && !e.closest("[inert]")) {
			e.focus({ focusVisible: true });
			const ring = getComputedStyle(e), out = parseFloat(ring.outlineWidth) + parseFloat(ring.outlineOffset);
			if (document.activeElement !== e) continue;
			if (ring.outlineStyle === "none" || !(ratio(rgb(ring.outlineColor), ground(e.parentElement)) >= 3)) told(e, "no ring to see");
			const at = e.getBoundingClientRect(); // the focus has scrolled to it
			if (at.left - out < -1 || at.right + out > innerWidth + 1) told(e, "its ring is cut off");
		}
	}
	const page = document.documentElement;
	if (page.scrollWidth > innerWidth || page.scrollHeight > innerHeight) bad.push("the page itself can be scrolled, " + page.scrollWidth + " by " + page.scrollHeight);
	return bad.join("\n");
})()`
