package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// metrics are what /metrics shows, in a registry of their own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	first    prometheus.Histogram
}

func newMetrics(s *scheduler.Scheduler) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "specquant_requests_total", Help: "Requests answered, by path and HTTP status."}, []string{"path", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "specquant_request_seconds", Help: "Time from a request's headers to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 18)}, []string{"path"}),
		first:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "specquant_first_token_seconds", Help: "Time from a checked request to its first token, waiting included.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 16)})}
	m.registry.MustRegister(m.requests, m.seconds, m.first, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, f func(scheduler.Stats) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return f(s.Stats()) }))
	}
	counter := func(name, help string, f func(scheduler.Stats) int64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f(s.Stats())) }))
	}
	gauge("specquant_texts_active", "Texts that are being generated.", func(s scheduler.Stats) float64 { return float64(s.Active) })
	gauge("specquant_texts_waiting", "Texts that wait in the queue.", func(s scheduler.Stats) float64 { return float64(s.Waiting) })
	gauge("specquant_cache_bytes", "Memory of all key/value caches.", func(s scheduler.Stats) float64 { return float64(s.CacheBytes) })
	counter("specquant_prompt_tokens_total", "Tokens of prompts that were computed.", func(s scheduler.Stats) int64 { return s.Prompt })
	counter("specquant_cached_tokens_total", "Tokens of prompts that were kept from before.", func(s scheduler.Stats) int64 { return s.Cached })
	counter("specquant_generated_tokens_total", "Tokens that were generated.", func(s scheduler.Stats) int64 { return s.Generated })
	counter("specquant_rounds_total", "Batches that were computed.", func(s scheduler.Stats) int64 { return s.Rounds })
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2})
}

// Observe counts an answered request. path is the pattern of a route, never what a
// client wrote.
func (a *API) Observe(path string, status int, took time.Duration) {
	a.metrics.requests.WithLabelValues(path, strconv.Itoa(status)).Inc()
	a.metrics.seconds.WithLabelValues(path).Observe(took.Seconds())
}
