package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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
	}
	m.registry.MustRegister(m.requests, m.seconds, m.inFlight, m.panics,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}
