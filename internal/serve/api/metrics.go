package api

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// Metrics are the metrics of /metrics, in a separate registry.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	first    *prometheus.HistogramVec
}

// ModelStats are the statistics of a model since the server's start.
type ModelStats struct {
	Name   string
	Loaded bool
	scheduler.Stats
}

// NewMetrics makes metrics. stats returns the statistics of all models.
func NewMetrics(stats func() []ModelStats) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "specquant_requests_total", Help: "Requests answered, by path and HTTP status."}, []string{"path", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "specquant_request_seconds", Help: "Time from a request's headers to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 18)}, []string{"path"}),
		first:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "specquant_first_token_seconds", Help: "Time from a checked request to its first token, waiting included.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 16)}, []string{"model"})}
	m.registry.MustRegister(m.requests, m.seconds, m.first, &modelCollector{stats, modelSeries()}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// series is a metric with a value for each model.
type series struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(ModelStats) float64
}

func modelSeries() []series {
	one := func(kind prometheus.ValueType, name, help string, of func(ModelStats) float64) series {
		return series{prometheus.NewDesc(name, help, []string{"model"}, nil), kind, of}
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []series{
		one(gauge, "specquant_model_loaded", "1 where the model is in memory.", func(s ModelStats) float64 {
			if s.Loaded {
				return 1
			}
			return 0
		}),
		one(gauge, "specquant_texts_active", "Texts that are being generated.", func(s ModelStats) float64 { return float64(s.Active) }),
		one(gauge, "specquant_texts_waiting", "Texts that wait in the queue.", func(s ModelStats) float64 { return float64(s.Waiting) }),
		one(gauge, "specquant_cache_bytes", "Memory of all key/value caches.", func(s ModelStats) float64 { return float64(s.CacheBytes) }),
		one(counter, "specquant_prompt_tokens_total", "Tokens of prompts that were computed.", func(s ModelStats) float64 { return float64(s.Prompt) }),
		one(counter, "specquant_cached_tokens_total", "Tokens of prompts that were kept from before.", func(s ModelStats) float64 { return float64(s.Cached) }),
		one(counter, "specquant_generated_tokens_total", "Tokens that were generated.", func(s ModelStats) float64 { return float64(s.Generated) }),
		one(counter, "specquant_guessed_tokens_total", "Tokens that were computed ahead, as guesses.", func(s ModelStats) float64 { return float64(s.Guessed) }),
		one(counter, "specquant_guessed_right_tokens_total", "Guesses that were generated then.", func(s ModelStats) float64 { return float64(s.Right) }),
		one(counter, "specquant_drafted_tokens_total", "Tokens that the draft model guessed.", func(s ModelStats) float64 { return float64(s.Drafted) }),
		one(counter, "specquant_drafted_right_tokens_total", "Of these, tokens that were generated then.", func(s ModelStats) float64 { return float64(s.DraftedRight) }),
		one(counter, "specquant_rounds_total", "Batches that were computed.", func(s ModelStats) float64 { return float64(s.Rounds) }),
	}
}

// modelCollector collects the series of all models.
type modelCollector struct {
	stats  func() []ModelStats
	series []series
}

func (c *modelCollector) Describe(out chan<- *prometheus.Desc) {
	for _, s := range c.series {
		out <- s.desc
	}
}

func (c *modelCollector) Collect(out chan<- prometheus.Metric) {
	for _, m := range c.stats() {
		for _, s := range c.series {
			out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.of(m), m.Name)
		}
	}
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2})
}

// Observe counts an answered request. path is the pattern of a route, never what a
// client wrote.
func (m *Metrics) Observe(path string, status int, took time.Duration) {
	m.requests.WithLabelValues(path, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(path).Observe(took.Seconds())
}

// Bench limits how many requests are tokenized or rendered by a template at the same time.
type Bench chan struct{}

// NewBench returns a Bench with room for one request per CPU.
func NewBench() Bench { return make(Bench, runtime.GOMAXPROCS(0)) }
