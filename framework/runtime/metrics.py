"""Metrics as plain slots: counting costs a dictionary update, and Prometheus reads the slots when it scrapes.

Names and labels are a contract: dashboards are built on them, and `metrics_table` prints it. Series whose labels are
known beforehand are declared: they exist from the start, at 0, because a series that begins with its first increment
hides that increment from `increase()`. Other labels are bounded: past `series_max` combinations of one metric, new ones
are counted under `other`, so that no stream of new names can fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from framework.domain.errors import ConfigurationError

Labels = tuple[str, ...]
Sample = tuple[Labels, float | int]
"""Label values in the order of the metric's label names, and the value."""

SERIES_MAX = 1_000
"""Combinations of labels kept per metric beside those that were declared."""

BUCKET_EXPONENTS = range(10, 36)
"""Upper bounds of histogram buckets: 2**exponent nanoseconds, from 1 microsecond to 34 seconds."""

_OTHER = "other"


class Counter:
    """A number per combination of labels that only grows."""

    __slots__ = ("_series_max", "help", "labels", "name", "values")

    def __init__(self, name: str, labels: Labels, text: str, *, series_max: int = SERIES_MAX) -> None:
        self.name = name
        self.labels = labels
        self.help = text
        self.values: dict[Labels, int] = {}
        self._series_max = series_max

    def inc(self, labels: Labels, amount: int = 1) -> None:
        """Add `amount` (0 or more). `labels` are values in the order of the label names.

        Raises `ConfigurationError` when their number is not that of the names; checked for a new combination only.
        """
        try:
            self.values[labels] += amount
        except KeyError:
            self._add(labels, amount)

    def declare(self, series: Iterable[Labels]) -> None:
        """Let each of these combinations of labels exist, at 0 until it is counted; they don't count as unknown ones.

        Raises `ConfigurationError` when the number of values is not that of the names.
        """
        for labels in series:
            if labels not in self.values:
                self._series_max += 1
                self._add(labels, 0)

    def _add(self, labels: Labels, amount: int) -> None:
        labels = _bounded(self.name, self.labels, labels, known=len(self.values), series_max=self._series_max)
        self.values[labels] = self.values.get(labels, 0) + amount


class Histogram:
    """Durations in buckets of powers of two. One series."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * 65
        self.sum_ns = 0

    def observe_ns(self, duration_ns: int) -> None:
        """Count one duration. A negative one, from a clock that stepped back, counts as 0."""
        if duration_ns < 0:
            duration_ns = 0
        self.sum_ns += duration_ns
        self.counts[min(duration_ns.bit_length(), 64)] += 1

    @property
    def count(self) -> int:
        """How many durations were observed since the start."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """(upper bound in seconds, how many lie at or below it), without the last bucket, which holds all."""
        return [(2**exponent / 1e9, sum(self.counts[: exponent + 1])) for exponent in BUCKET_EXPONENTS]


class HistogramFamily:
    """A histogram per combination of labels."""

    __slots__ = ("_series_max", "help", "labels", "name", "values")

    def __init__(self, name: str, labels: Labels, text: str, *, series_max: int = SERIES_MAX) -> None:
        self.name = name
        self.labels = labels
        self.help = text
        self.values: dict[Labels, Histogram] = {}
        self._series_max = series_max

    def at(self, labels: Labels) -> Histogram:
        """The series of these labels: resolve it once, keep it, observe on it.

        Raises `ConfigurationError` when the number of values is not that of the names.
        """
        found = self.values.get(labels)
        if found is None:
            labels = _bounded(self.name, self.labels, labels, known=len(self.values), series_max=self._series_max)
            found = self.values.setdefault(labels, Histogram())
        return found


class Gauge:
    """A value per combination of labels that is asked for when Prometheus scrapes. It keeps nothing, so that only its
    sources can bound how many there are: they know which ones must not be missing."""

    __slots__ = ("_sources", "help", "labels", "name")

    def __init__(self, name: str, labels: Labels, text: str) -> None:
        self.name = name
        self.labels = labels
        self.help = text
        self._sources: list[Callable[[], Iterable[Sample]]] = []

    def pull(self, source: Callable[[], Iterable[Sample]]) -> None:
        """Ask `source` at each scrape. It must be quick and must not change anything."""
        self._sources.append(source)

    def samples(self) -> Sequence[Sample]:
        """What the sources say now; of two that name the same series the last one wins."""
        return list(dict(sample for source in self._sources for sample in source()).items())


def _bounded(name: str, names: Labels, values: Labels, *, known: int, series_max: int) -> Labels:
    if len(values) != len(names):
        raise ConfigurationError(f"{name}: got {len(values)} label values {values}, it has {len(names)}: {names}")
    return values if known < series_max else (_OTHER,) * len(names)


class Metrics:
    """Every metric of the daemon."""

    def __init__(self, *, series_max: int = SERIES_MAX) -> None:
        self._series_max = series_max
        self._define_counters()
        self._define_gauges()
        self._define_state_gauges()
        self._define_alerts()
        self._define_histograms()

    def _define_counters(self) -> None:
        def counter(name: str, labels: Labels, text: str) -> Counter:
            return Counter(name, labels, text, series_max=self._series_max)

        self.events = counter("tidegate_events_total", ("venue", "kind"), "Events that entered the kernel.")
        self.orders = counter(
            "tidegate_orders_total", ("venue", "strategy", "outcome"), "Orders by what became of them."
        )
        self.fills = counter("tidegate_fills_total", ("venue", "strategy"), "Own fills, each counted once.")
        self.refusals = counter("tidegate_refusals_total", ("strategy", "code"), "Intents refused, by refusal code.")
        self.reconnects = counter("tidegate_reconnects_total", ("venue",), "Stream connections after the first.")
        self.rate_limited = counter("tidegate_rate_limited_total", ("venue",), "Answers of 429; should stay 0.")
        self.reconciliations = counter(
            "tidegate_reconciliations_total", ("venue", "result"), "Comparisons; result is agreed, differs or failed."
        )
        self.strategy_faults = counter(
            "tidegate_strategy_faults_total",
            ("strategy", "kind"),
            "Strategy calls that raised, blocked or made no sense.",
        )
        self.trading_states_set = counter(
            "tidegate_trading_states_set_total",
            ("by", "state"),
            "Trading states that were set; by is operator, kernel, reconciliation, recovery or a check.",
        )

    def _define_gauges(self) -> None:
        book = ("venue", "instrument")
        self.feed_age = Gauge(
            "tidegate_feed_age_seconds",
            book,
            "Age of the newest proof of this very book; absent until the first and after the close.",
        )
        self.connector_up = Gauge("tidegate_connector_up", ("venue",), "1 while the venue's streams are up, else 0.")
        self.budget_tokens = Gauge("tidegate_budget_tokens", ("venue", "pool"), "Rate-limit tokens certainly left.")
        self.position = Gauge("tidegate_position", book, "The account's net position in contracts, long > 0.")
        self.drift = Gauge("tidegate_drift", book, "Venue's position minus ours in contracts, when last compared.")
        self.pnl = Gauge(
            "tidegate_pnl",
            ("venue", "strategy", "kind"),
            "Profit and loss in the quote currency; kind is realised, unrealised, fees or funding.",
        )
        self.open_orders = Gauge("tidegate_open_orders", ("venue", "strategy"), "Orders that have not ended.")
        self.ledger_up = Gauge(
            "tidegate_ledger_up", (), "1 while the ledger shows what happens, 0 while it can't be written."
        )
        self.build_info = Gauge("tidegate_build_info", ("version", "python"), "Always 1; the labels say what runs.")

    def _define_state_gauges(self) -> None:
        """What says whether the daemon trades, and what an operator has to see to."""
        self.ready = Gauge("tidegate_ready", (), "1 while the daemon is ready to trade, as `/readyz` says, else 0.")
        self.not_ready = Gauge("tidegate_not_ready", ("reason",), "1 for each kind of reason not to be ready, else 0.")
        self.trading_state = Gauge(
            "tidegate_trading_state", ("scope", "target"), "0 active, 1 reducing, 2 halted; the strictest wins."
        )
        self.strategy_quarantined = Gauge(
            "tidegate_strategy_quarantined", ("strategy",), "1 while quarantined, else 0."
        )
        self.orders_by_state = Gauge("tidegate_orders", ("state",), "Orders that have not ended, by state.")
        self.unknown_age = Gauge(
            "tidegate_orders_unknown_age_seconds", (), "How long the oldest has been unknown; 0: none."
        )
        self.cancel_age = Gauge(
            "tidegate_cancel_pending_age_seconds",
            (),
            "How long ago the oldest cancel that waits was asked for; 0: none.",
        )
        self.reconciled_at = Gauge(
            "tidegate_reconcile_last_success_timestamp_seconds",
            ("venue",),
            "When a comparison last succeeded; 0: never.",
        )
        self.differences = Gauge("tidegate_differences", ("kind",), "What did not agree when last compared, by kind.")
        self.external_orders = Gauge(
            "tidegate_external_orders", ("venue",), "Open orders at the venue that are not ours, ignored ones left out."
        )
        self.book_fresh = Gauge(
            "tidegate_book_fresh",
            ("venue", "instrument"),
            "1 while the book is proved whole, else 0; absent after the close.",
        )
        self.clock_offset = Gauge(
            "tidegate_clock_offset_seconds", ("venue",), "Venue's clock minus ours; absent until measured."
        )
        self.state_bytes = Gauge("tidegate_state_bytes", ("part",), "Room that the state directory takes, by part.")
        self.disk_free = Gauge("tidegate_disk_free_bytes", (), "Room that is free where the state directory lies.")
        self.ledger_lag = Gauge("tidegate_ledger_lag_records", (), "Durable records that the ledger does not show yet.")

    def _define_alerts(self) -> None:
        self.alert_messages = Counter(
            "tidegate_alerts_messages_total",
            ("output", "outcome"),
            "Alerts to outputs: sent, failed or dropped.",
            series_max=self._series_max,
        )
        self.alerts_active = Gauge("tidegate_alerts_active", ("kind",), "Alerts that hold now, by kind.")
        self.alerts_unacknowledged = Gauge(
            "tidegate_alerts_unacknowledged",
            ("level",),
            "Alerts that nobody has acknowledged; level is page or ticket.",
        )
        self.alert_output_up = Gauge(
            "tidegate_alerts_output_up", ("output",), "1 while the output takes alerts, 0 since one was given up."
        )

    def _define_histograms(self) -> None:
        def histogram(name: str, labels: Labels, text: str) -> HistogramFamily:
            return HistogramFamily(name, labels, text, series_max=self._series_max)

        self.order_latency = histogram(
            "tidegate_order_latency_seconds", ("venue", "stage"), "Time an order spent in a stage of its way out."
        )
        self._loop_lag_family = histogram("tidegate_loop_lag_seconds", (), "How late the event loop's heartbeat came.")
        self._journal_sync_family = histogram(
            "tidegate_journal_sync_seconds", (), "Duration of a journal group commit."
        )
        self.loop_lag = self._loop_lag_family.at(())
        self.journal_sync = self._journal_sync_family.at(())

    def counters(self) -> list[Counter]:
        """All counters, in the order of their definition."""
        return [metric for metric in vars(self).values() if isinstance(metric, Counter)]

    def gauges(self) -> list[Gauge]:
        """All gauges, in the order of their definition."""
        return [metric for metric in vars(self).values() if isinstance(metric, Gauge)]

    def histograms(self) -> list[HistogramFamily]:
        """All histograms, in the order of their definition."""
        return [metric for metric in vars(self).values() if isinstance(metric, HistogramFamily)]


def metrics_table() -> str:
    """The contract as a Markdown table: name, type, labels, meaning."""
    metrics = Metrics()
    kinds: Mapping[str, Sequence[Counter | Gauge | HistogramFamily]] = {
        "counter": metrics.counters(),
        "gauge": metrics.gauges(),
        "histogram": metrics.histograms(),
    }
    rows = [
        f"| `{metric.name}` | {kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
        for kind, members in kinds.items()
        for metric in members
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])
