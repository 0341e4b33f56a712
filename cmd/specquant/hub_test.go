package main

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
)

// serveHub serves a folder as the repository org/model, in huggingface.co's way. That a
// hub may do much worse is tested in internal/hub.
func serveHub(dir string) *httptest.Server {
	commit := strings.Repeat("ab", 20)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/models/org/model/revision/main", func(w http.ResponseWriter, r *http.Request) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var files []map[string]any
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				continue
			}
			hash := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
			files = append(files, map[string]any{"rfilename": e.Name(), "size": len(data), "blobId": fmt.Sprintf("%x", hash)})
		}
		json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": files})
	})
	mux.Handle("GET /org/model/resolve/"+commit+"/", http.StripPrefix("/org/model/resolve/"+commit, http.FileServer(http.Dir(dir))))
	return httptest.NewServer(mux)
}
