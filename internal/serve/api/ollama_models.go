package api

import (
	"fmt"
	"net/http"
	"time"
)

// Details describe a model.
type Details struct {
	Architecture string // as config.json's model_type has it
	Format       string // "gguf" or "safetensors"
	Bits         string // of weights, activations and cache, such as 4-8-8
	Parameters   int64  // numbers in its weights
	Width        int    // numbers of a token's hidden state
	Bytes        int64  // of its files
	Modified     time.Time
}

type ollamaDetails struct {
	Format       string   `json:"format"`
	Family       string   `json:"family"`
	Families     []string `json:"families"`
	Parameters   string   `json:"parameter_size"`
	Quantization string   `json:"quantization_level"`
}

func (d Details) ollama() ollamaDetails {
	size := fmt.Sprintf("%.1fM", float64(d.Parameters)/1e6)
	if d.Parameters >= 1e9 {
		size = fmt.Sprintf("%.1fB", float64(d.Parameters)/1e9)
	}
	return ollamaDetails{Format: d.Format, Family: d.Architecture, Families: []string{d.Architecture}, Parameters: size, Quantization: d.Bits}
}

// ollamaTags is Ollama's list of models.
func (f *Front) ollamaTags(w http.ResponseWriter, _ *http.Request) error {
	models := []map[string]any{}
	for _, i := range f.Models.List() {
		d := i.Details
		models = append(models, map[string]any{"name": i.Name, "model": i.Name, "modified_at": d.Modified.UTC(), "size": d.Bytes, "digest": "", "details": d.ollama()})
	}
	writeJSON(w, http.StatusOK, map[string]any{"models": models})
	return nil
}

// ollamaShow describes a model.
func (a *API) ollamaShow(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Model   string `json:"model"`
		Name    string `json:"name"` // name of the field in older clients
		Verbose bool   `json:"verbose"`
	}
	if err := a.read(r, &q); err != nil {
		return err
	}
	if q.Model == "" && q.Name == "" {
		return invalid("model", "is missing")
	}
	template := ""
	if a.Template != nil {
		template = a.Template.Source
	}
	d := a.Details
	can := []string{"completion", "embedding"}
	if a.Template != nil {
		can = append(can, "tools")
	}
	if a.thinks() {
		can = append(can, "thinking")
	}
	writeJSON(w, http.StatusOK, map[string]any{"modelfile": "", "parameters": fmt.Sprintf("temperature %v\ntop_p %v\ntop_k %d\nrepeat_penalty %v", a.Defaults.Temperature, a.Defaults.TopP, a.Defaults.TopK, a.Defaults.RepetitionPenalty),
		"template": template, "details": d.ollama(), "modified_at": d.Modified.UTC(), "capabilities": can,
		"model_info": map[string]any{"general.architecture": d.Architecture, "general.parameter_count": d.Parameters, d.Architecture + ".context_length": a.Context, d.Architecture + ".embedding_length": d.Width}})
	return nil
}

// ollamaVersion is the version of this server, which is not Ollama's.
func (f *Front) ollamaVersion(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"version": f.Version})
	return nil
}
