package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestSocket: a socket is open to this user only and removed at the end; one that a killed
// server left is replaced, one in use and anything else are not.
func TestSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions of sockets are a matter of Unix")
	}
	dir, err := os.MkdirTemp("", "sq") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sock")
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	if _, err := ListenSocket(path); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a socket in use: error %v", err)
	}
	left.Close() // killed: the file stays
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(path); err != nil || st.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, error %v", st.Mode(), err)
	}
	s, err := Open([]Source{{Name: "test", Path: modelDir(t)}}, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, nil) }()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	for host, want := range map[string]int{"localhost": 200, "evil.example": 403} {
		resp, err := client.Get("http://" + host + "/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("host %s: status %d, expected %d", host, resp.StatusCode, want)
		}
	}
	client.CloseIdleConnections()
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, error %v", entries, err)
	}
	if err := os.WriteFile(path, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSocket(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: error %v", err)
	}
	if _, err := ListenSocket(filepath.Join(dir, strings.Repeat("x", 120))); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a long path: error %v", err)
	}
}

// certificate writes a certificate of this machine and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private)
}

// TestTLS: with a certificate the server speaks HTTPS, by HTTP/1.1 and 2, of TLS 1.2 and
// later, and not HTTP.
func TestTLS(t *testing.T) {
	certFile, keyFile := certificate(t)
	cert, err := Certificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := server(t, Options{TLS: cert})
	pool := x509.NewCertPool()
	data, _ := os.ReadFile(certFile)
	pool.AppendCertsFromPEM(data)
	for _, c := range []struct {
		max   uint16
		two   bool
		major int // of HTTP; 0: refused
	}{{tls.VersionTLS13, true, 2}, {tls.VersionTLS12, false, 1}, {tls.VersionTLS11, false, 0}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: c.max}, ForceAttemptHTTP2: c.two}
		resp, err := (&http.Client{Transport: transport}).Post(strings.Replace(url, "http:", "https:", 1)+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"a","max_tokens":3,"stream":true}`))
		if (err == nil) != (c.major > 0) || err == nil && (resp.StatusCode != 200 || resp.ProtoMajor != c.major) {
			t.Errorf("%+v: %+v, error %v", c, resp, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		transport.CloseIdleConnections()
	}
	if status, _, _ := call(t, "GET", url+"/health", ""); status != 400 {
		t.Errorf("HTTP without TLS: status %d", status)
	}
	os.Chmod(keyFile, 0o644)
	if _, err := Certificate(certFile, keyFile); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that all can read: error %v", err)
	}
	if _, err := Certificate(keyFile, certFile); err == nil {
		t.Error("certificate and key the wrong way round are taken")
	}
}
