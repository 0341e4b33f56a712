package hub

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/input"
)

// Config is where models are stored and where they come from. [FromEnv] reads it from the
// environment variables of Hugging Face's own programs.
type Config struct {
	Cache    string // folder of the cache: HF_HUB_CACHE, or hub in HF_HOME
	Store    string // folder of models quantized here: SPECQUANT_HOME, or specquant beside HF_HOME
	Endpoint string // address of the hub: HF_ENDPOINT
	Token    string // HF_TOKEN, or the file that `hf auth login` writes
	Offline  bool   // HF_HUB_OFFLINE: nothing is downloaded
}

// FromEnv reads the environment.
func FromEnv() (Config, error) {
	home, homeErr := os.UserHomeDir()
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		base = filepath.Join(home, ".cache")
	}
	hf := os.Getenv("HF_HOME")
	if hf == "" {
		if hf = filepath.Join(base, "huggingface"); homeErr != nil && os.Getenv("XDG_CACHE_HOME") == "" {
			return Config{}, fmt.Errorf("no folder for models: %w; set HF_HOME", homeErr)
		}
	}
	hf = expand(hf, home)
	c := Config{
		Cache:    expand(first(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE"), filepath.Join(hf, "hub")), home),
		Store:    expand(first(os.Getenv("SPECQUANT_HOME"), filepath.Join(filepath.Dir(hf), "specquant")), home),
		Endpoint: strings.TrimRight(first(os.Getenv("HF_ENDPOINT"), "https://huggingface.co"), "/"),
		Token:    first(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN")),
		Offline:  isTrue(os.Getenv("HF_HUB_OFFLINE")) || isTrue(os.Getenv("TRANSFORMERS_OFFLINE")),
	}
	if c.Token == "" {
		if data, err := input.ReadFile(expand(first(os.Getenv("HF_TOKEN_PATH"), filepath.Join(hf, "token")), home), 1<<12); err == nil && len(data) < 1<<12 {
			c.Token = string(data)
		}
	}
	c.Token = strings.TrimSpace(c.Token)
	if strings.ContainsAny(c.Token, "\r\n\x00") {
		return Config{}, fmt.Errorf("the token of HF_TOKEN has a line break in it")
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return Config{}, fmt.Errorf("HF_ENDPOINT: %q is not an address such as https://huggingface.co", c.Endpoint)
	}
	return c, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func expand(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return path
}

func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}
