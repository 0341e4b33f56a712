package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// maxSocketPath is the longest path of a socket, in bytes, that every system accepts.
const maxSocketPath = 100

// ListenSocket listens on a Unix socket that only this user may open. A socket that a killed
// server has left is replaced; any other file at the path is an error. Closing the listener
// removes the socket.
func ListenSocket(path string) (net.Listener, error) {
	switch st, err := input.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case st.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("--socket: %s exists and is no socket; choose another path", path)
	default:
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("--socket: a program listens on %s already", path)
		}
	}
	// The socket is made in a folder that others can't enter, and is moved to its path
	// after its permissions are set, so that others can't open it at any time.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".sq")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--socket: there is no folder %s to make the socket in", filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("--socket: %w", err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	if n := max(len(made), len(path)); n > maxSocketPath {
		return nil, fmt.Errorf("--socket: %s: found a path of %s, expected at most %d (while it is made its name is longer by some)", path, plural.Of(n, "byte"), maxSocketPath)
	}
	l, err := net.Listen("unix", made)
	if err != nil {
		return nil, fmt.Errorf("--socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its name changes
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		l.Close()
		return nil, fmt.Errorf("--socket: %w", err)
	}
	return &socket{Listener: l, path: path}, nil
}

// socket removes its file when it is closed.
type socket struct {
	net.Listener
	path string
	once sync.Once
}

func (s *socket) Close() error {
	err := s.Listener.Close()
	s.once.Do(func() { err = errors.Join(err, os.Remove(s.path)) })
	return err
}

// maxCertificate bounds the files of a certificate and its key, in bytes.
const maxCertificate = 1 << 20

// Certificate reads a certificate, with its intermediate certificates, and its private key,
// both in PEM format.
func Certificate(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := input.ReadFile(certFile, maxCertificate)
	if err != nil {
		return nil, err
	}
	key, err := input.ReadFile(keyFile, maxCertificate)
	if err != nil {
		return nil, err
	}
	if err := onlyOwner(keyFile); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// onlyOwner returns an error for a file of secrets that everybody can read.
func onlyOwner(path string) error {
	if st, err := input.Stat(path); err == nil && st.Mode().Perm()&0o004 != 0 {
		return fmt.Errorf("%s: every user of this machine can read it; try: chmod 600 %s", path, path)
	}
	return nil
}
