"""The metrics as Prometheus reads them: the plain slots, translated at each scrape, in slices.

A thousand instruments are thousands of lines, and no order may wait for them: the event loop gets its turn after each
metric and within long ones, and what does not change from one scrape to the next, a line up to its value, is kept.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterable, Iterator

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from framework.runtime.metrics import HistogramFamily, Labels, Metrics, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of what `MetricsText` renders."""

SLICE_LINES = 100
"""So many lines of one metric are made before the event loop gets its turn."""


class Families(Collector):
    """Families that are collected already, as `prometheus_client` wants to be given them."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """The families, in order."""
        return iter(self._families)


class MetricsText:
    """What Prometheus scrapes: the daemon's metrics, and its process's memory, processor time and files."""

    def __init__(self, metrics: Metrics, *, version: str) -> None:
        self._metrics = metrics
        self._version = version
        self._heads: dict[tuple[str, str], dict[Labels, str]] = {}

    async def render(self) -> bytes:
        """The text, of type `CONTENT_TYPE`. Each metric has its values of one moment, not all of the same one."""
        lines: list[str] = []
        for counter in self._metrics.counters():
            counted = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
            await self._add(lines, counted, sorted(counter.values.items()))
        for gauge in self._metrics.gauges():
            is_build = gauge is self._metrics.build_info
            samples = [((self._version, platform.python_version()), 1)] if is_build else gauge.samples()
            await self._add(lines, GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels), samples)
        for histograms in self._metrics.histograms():
            lines.append(_text(_histogram_family(histograms)))
            await asyncio.sleep(0)
        return "".join([*lines, *map(_text, ProcessCollector(registry=None).collect())]).encode()

    async def _add(
        self, lines: list[str], family: CounterMetricFamily | GaugeMetricFamily, samples: Iterable[Sample]
    ) -> None:
        lines.append(_text(family))
        before = self._heads.get((family.type, family.name), {})
        heads = self._heads[family.type, family.name] = {}
        for number, (labels, value) in enumerate(samples, 1):
            head = heads[labels] = before.get(labels) or _head(family, labels)
            lines.append(f"{head}{float(value)}\n")
            if number % SLICE_LINES == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)


def _head(family: CounterMetricFamily | GaugeMetricFamily, labels: Labels) -> str:
    """A line up to its value: name and labels, escaped."""
    family.add_metric(labels, 0)
    line = _text(family).splitlines()[-1]
    family.samples.clear()
    return line.removesuffix("0.0")


def _text(family: Metric) -> str:
    return generate_latest(Families(family)).decode()


def _histogram_family(found: HistogramFamily) -> Metric:
    """Durations in seconds, as Prometheus expects."""
    family = HistogramMetricFamily(found.name, found.help, labels=found.labels)
    for labels, histogram in sorted(found.values.items(), key=lambda item: item[0]):
        buckets = [(str(bound), float(count)) for bound, count in histogram.cumulative()]
        buckets.append(("+Inf", float(histogram.count)))
        family.add_metric(labels, buckets, sum_value=histogram.sum_ns / 1e9)
    return family
