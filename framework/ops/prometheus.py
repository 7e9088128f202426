"""The metrics as Prometheus reads them: the plain slots, translated at each scrape."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from framework.runtime.metrics import Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of what `render_metrics` returns."""


class MetricsCollector(Collector):
    """Reads `Metrics` for `prometheus_client`."""

    def __init__(self, metrics: Metrics, *, version: str) -> None:
        self._metrics = metrics
        self._build = (version, platform.python_version())

    def collect(self) -> Iterator[Metric]:
        """Every family with its values at the time of the scrape; durations in seconds, as Prometheus expects."""
        for counter in self._metrics.counters():
            counters = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
            for labels, count in sorted(counter.values.items()):
                counters.add_metric(labels, count)
            yield counters
        for gauge in self._metrics.gauges():
            gauges = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
            for labels, value in sorted(gauge.samples()):
                gauges.add_metric(labels, value)
            if gauge is self._metrics.build_info:
                gauges.add_metric(self._build, 1)
            yield gauges
        for family in self._metrics.histograms():
            histograms = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            for labels, histogram in sorted(family.values.items()):
                buckets = [(str(bound), float(count)) for bound, count in histogram.cumulative()]
                buckets.append(("+Inf", float(histogram.count)))
                histograms.add_metric(labels, buckets, sum_value=histogram.sum_ns / 1e9)
            yield histograms


def render_metrics(metrics: Metrics, *, version: str) -> bytes:
    """The text that Prometheus scrapes: the daemon's metrics, and its process's memory, processor time and files.

    Its media type is `CONTENT_TYPE`.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(metrics, version=version))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
