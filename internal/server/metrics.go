package server

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/httpx"
)

// metrics are what /metrics shows. Labels come from our own tables, never from
// requests, so that their number is bounded.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	panics   prometheus.Counter

	fetches      *prometheus.CounterVec
	fetchBytes   *prometheus.CounterVec
	fetchSeconds *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "packhouse_requests_total",
			Help: "Requests answered, by door, route and status."}, []string{"door", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "packhouse_request_duration_seconds",
			Help:    "Time from the headers of a request to the end of its answer, by door.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}}, []string{"door"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "packhouse_requests_in_flight",
			Help: "Requests being answered."}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "packhouse_panics_total",
			Help: "Requests that hit a defect of the server."}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "packhouse_upstream_fetches_total",
			Help: "Fetches from upstreams, retries included in one, by connection and result."}, []string{"connection", "result"}),
		fetchBytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "packhouse_upstream_bytes_total",
			Help: "Decoded bytes that upstreams sent, by connection."}, []string{"connection"}),
		fetchSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "packhouse_upstream_fetch_duration_seconds",
			Help:    "Time of a fetch from an upstream to the last byte, by connection.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}}, []string{"connection"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.inFlight, m.panics, m.fetches, m.fetchBytes, m.fetchSeconds)
	return m
}

// counts registers a number that somebody else counts.
func (m *metrics) counts(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

// shows registers a number that goes up and down.
func (m *metrics) shows(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

func (m *metrics) request(rec *httpx.Record, status int, took time.Duration) {
	m.requests.WithLabelValues(rec.Door, rec.Op, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(rec.Door).Observe(took.Seconds())
}

// fetched counts what upstreams were asked for. Connections and results are words of the
// configuration and of our own.
func (m *metrics) fetched(f fetch.Fetched) {
	m.fetches.WithLabelValues(f.Connection, f.Result).Inc()
	m.fetchBytes.WithLabelValues(f.Connection).Add(float64(f.Bytes))
	m.fetchSeconds.WithLabelValues(f.Connection).Observe(f.Took.Seconds())
}

// handler answers scrapes. What the runtime and the system say of the process is prepared
// for the first one, because it costs more than the rest of a start's metrics together.
func (m *metrics) handler() http.Handler {
	process := sync.OnceFunc(func() {
		m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	})
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		process()
		h.ServeHTTP(w, r)
	})
}
