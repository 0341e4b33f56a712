package tasks

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/specquant/specquant/internal/plural"
)

// Every reader accepts a data set's published schema, or a pre-formatted one: query,
// choices, gold. Pre-formatted questions get the prompt that lm-eval makes from the same
// question, if the file has everything needed for it.

func preformatted(r *row) bool { return r.has("query") && r.has("choices") }

// answered adds lm-eval's last line to a pre-formatted query.
func answered(query string) string {
	if strings.HasSuffix(query, "Answer:") {
		return query
	}
	return strings.TrimRight(query, "\n") + "\nAnswer:"
}

// readBoolQ: {passage, question, label: 0|1} or {passage, question, answer: bool}.
func readBoolQ(r *row) Question {
	if preformatted(r) {
		query := strings.TrimPrefix(r.text("query"), "Passage: ")
		return Question{Choices: choices(answered(query), r.texts("choices")), Gold: r.integer("gold")}
	}
	field := "label"
	if !r.has(field) && r.has("answer") {
		field = "answer"
	}
	context := r.text("passage") + "\nQuestion: " + r.text("question") + "?\nAnswer:"
	q := Question{Choices: choices(context, []string{"no", "yes"})}
	if r.boolean(field) {
		q.Gold = 1
	}
	return q
}

// readHellaSwag: {activity_label, ctx_a, ctx_b, endings: [4], label}.
func readHellaSwag(r *row) Question {
	if preformatted(r) {
		return Question{Choices: choices(r.text("query"), r.texts("choices")), Gold: r.integer("gold")}
	}
	b := ""
	if v, ok := asText(r.get("ctx_b")); ok {
		b = v
	} else {
		r.mistyped("ctx_b", r.fields["ctx_b"], "a string")
	}
	context := cleanHellaSwag(r.text("activity_label") + ": " + r.text("ctx_a") + " " + capitalize(b))
	endings := r.texts("endings")
	for i, e := range endings {
		endings[i] = cleanHellaSwag(e)
	}
	return Question{Choices: choices(context, endings), Gold: r.integer("label")}
}

var brackets = regexp.MustCompile(`\[[^\n]*?\]`)

// cleanHellaSwag removes remains of WikiHow's mark-up.
func cleanHellaSwag(s string) string {
	s = strings.TrimFunc(s, pySpace)
	s = strings.ReplaceAll(s, " [title]", ". ")
	s = brackets.ReplaceAllString(s, "")
	return strings.ReplaceAll(s, "  ", " ")
}

// capitalize is Python's: the first letter in title case, all others in lower case.
func capitalize(s string) string {
	first := true
	return strings.Map(func(c rune) rune {
		if first {
			first = false
			return unicode.ToTitle(c)
		}
		return unicode.ToLower(c)
	}, s)
}

// readLambada: {text}, of which the last word is to be predicted.
func readLambada(r *row) Question {
	if r.has("context") {
		return Question{Choices: choices(r.text("context"), []string{r.text("continuation")})}
	}
	text := r.text("text")
	at := strings.LastIndexByte(text, ' ')
	if at < 0 {
		if r.err == nil {
			r.fail("text", "is one word, expected a text with a last word to predict")
		}
		return Question{}
	}
	return Question{Choices: choices(text[:at], []string{text[at+1:]})}
}

// readOpenBookQA: {question_stem, choices: {text, label}, answerKey}, or AI2's
// {question: {stem, choices: [{text, label}]}, answerKey}.
func readOpenBookQA(r *row) Question {
	if preformatted(r) && !r.has("answerKey") {
		return Question{Choices: choices(r.text("query"), r.texts("choices")), Gold: r.integer("gold")}
	}
	stem, texts, gold := labelled(r, "question_stem")
	return Question{Choices: choices(stem, texts), Gold: gold}
}

// readARC: {question, choices: {text, label}, answerKey}, or AI2's
// {question: {stem, choices: [{text, label}]}, answerKey}.
func readARC(r *row) Question {
	if preformatted(r) && !r.has("answerKey") {
		return Question{Choices: choices(answered(r.text("query")), r.texts("choices")), Gold: r.integer("gold")}
	}
	stem, texts, gold := labelled(r, "question")
	return Question{Choices: choices("Question: "+stem+"\nAnswer:", texts), Gold: gold}
}

// labelled reads a question whose choices have labels.
func labelled(r *row, stemField string) (stem string, texts []string, gold int) {
	var labels []string
	if _, nested := r.fields["question"].(map[string]any); nested {
		q := r.object("question")
		stem = q.text("stem")
		for _, c := range q.rows("choices") {
			texts, labels = append(texts, c.text("text")), append(labels, c.text("label"))
		}
	} else {
		stem = r.text(stemField)
		c := r.object("choices")
		texts, labels = c.texts("text"), c.texts("label")
	}
	key := strings.TrimLeftFunc(r.text("answerKey"), pySpace)
	if r.err != nil {
		return
	}
	if len(texts) != len(labels) {
		r.fail("choices", "has %s and %s", plural.Of(len(texts), "text"), plural.Of(len(labels), "label"))
		return
	}
	if gold = slices.Index(labels, key); gold < 0 {
		r.fail("answerKey", "is %q, expected one of the labels %q", key, labels)
	}
	return
}

// readPIQA: {goal, sol1, sol2, label: 0|1}.
func readPIQA(r *row) Question {
	if preformatted(r) {
		return Question{Choices: choices(answered(r.text("query")), r.texts("choices")), Gold: r.integer("gold")}
	}
	context := "Question: " + r.text("goal") + "\nAnswer:"
	return Question{Choices: choices(context, []string{r.text("sol1"), r.text("sol2")}), Gold: r.integer("label")}
}

// readSIQA: {context, question, answerA, answerB, answerC, label: 1|2|3}.
func readSIQA(r *row) Question {
	if preformatted(r) {
		return Question{Choices: choices(r.text("query"), r.texts("choices")), Gold: r.integer("gold")}
	}
	context := "Q: " + r.text("context") + " " + r.text("question") + "\nA:"
	answers := []string{r.text("answerA"), r.text("answerB"), r.text("answerC")}
	return Question{Choices: choices(context, answers), Gold: r.integer("label") - 1}
}

// readWinoGrande: {sentence with _, option1, option2, answer: 1|2}. The text after the
// blank is scored after each option.
func readWinoGrande(r *row) Question {
	if r.has("context_options") {
		rest := r.text("continuation")
		q := Question{Gold: r.integer("gold")}
		for _, c := range r.texts("context_options") {
			q.Choices = append(q.Choices, Choice{Context: c, Continuation: " " + rest, Answer: rest})
		}
		return q
	}
	sentence := r.text("sentence")
	before, after, ok := strings.Cut(sentence, "_")
	if !ok && r.err == nil {
		r.fail("sentence", "has no blank (_)")
	}
	after = strings.TrimFunc(after, pySpace)
	if after == "" && r.err == nil {
		r.fail("sentence", "ends with the blank, nothing is left to score")
	}
	q := Question{Gold: r.integer("answer") - 1}
	for _, option := range []string{r.text("option1"), r.text("option2")} {
		q.Choices = append(q.Choices, Choice{Context: before + option, Continuation: " " + after, Answer: after})
	}
	return q
}

// pySpace is what Python considers white space in text: Unicode's and the four information
// separators.
func pySpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
