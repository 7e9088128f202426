"""Metrics: slots, bounds, and the contract of names and labels."""

from __future__ import annotations

import pytest

from framework.domain.errors import ConfigurationError
from framework.runtime.metrics import Counter, Gauge, Histogram, HistogramFamily, Metrics, metrics_table

CONTRACT = {
    "tidegate_events_total": ("venue", "kind"),
    "tidegate_orders_total": ("venue", "strategy", "outcome"),
    "tidegate_fills_total": ("venue", "strategy"),
    "tidegate_refusals_total": ("strategy", "code"),
    "tidegate_order_latency_seconds": ("venue", "stage"),
    "tidegate_feed_age_seconds": ("venue", "instrument"),
    "tidegate_connector_up": ("venue",),
    "tidegate_reconnects_total": ("venue",),
    "tidegate_budget_tokens": ("venue", "pool"),
    "tidegate_rate_limited_total": ("venue",),
    "tidegate_position": ("venue", "instrument"),
    "tidegate_pnl": ("venue", "strategy", "kind"),
    "tidegate_open_orders": ("venue", "strategy"),
    "tidegate_loop_lag_seconds": (),
    "tidegate_journal_sync_seconds": (),
    "tidegate_ledger_up": (),
    "tidegate_build_info": ("version", "python"),
    "tidegate_strategy_faults_total": ("strategy", "kind"),
    "tidegate_trading_states_set_total": ("by", "state"),
    "tidegate_drift": ("venue", "instrument"),
    "tidegate_reconciliations_total": ("venue", "result"),
    "tidegate_ready": (),
    "tidegate_not_ready": ("reason",),
    "tidegate_trading_state": ("scope", "target"),
    "tidegate_strategy_quarantined": ("strategy",),
    "tidegate_orders": ("state",),
    "tidegate_orders_unknown_age_seconds": (),
    "tidegate_cancel_pending_age_seconds": (),
    "tidegate_reconcile_last_success_timestamp_seconds": ("venue",),
    "tidegate_differences": ("kind",),
    "tidegate_external_orders": ("venue",),
    "tidegate_book_fresh": ("venue", "instrument"),
    "tidegate_clock_offset_seconds": ("venue",),
    "tidegate_state_bytes": ("part",),
    "tidegate_disk_free_bytes": (),
    "tidegate_ledger_lag_records": (),
    "tidegate_alerts_messages_total": ("output", "outcome"),
    "tidegate_alerts_active": ("kind",),
    "tidegate_alerts_unacknowledged": ("level",),
    "tidegate_alerts_output_up": ("output",),
}


def test_metrics_when_listed_then_are_exactly_the_contract() -> None:
    metrics = Metrics()
    members = [*metrics.counters(), *metrics.gauges(), *metrics.histograms()]
    assert {member.name: member.labels for member in members} == CONTRACT
    assert all(member.help for member in members)


def test_metrics_table_when_printed_then_has_a_row_per_metric() -> None:
    table = metrics_table()
    assert all(f"`{name}`" in table for name in CONTRACT)
    assert len(table.splitlines()) == len(CONTRACT) + 2


def test_counter_when_incremented_then_adds_per_labels() -> None:
    counter = Counter("c", ("venue", "kind"), "help")
    counter.inc(("k", "book"))
    counter.inc(("k", "book"), 4)
    counter.inc(("k", "trade"))
    assert counter.values == {("k", "book"): 5, ("k", "trade"): 1}


def test_counter_when_labels_are_too_many_combinations_then_folds_new_ones_into_other() -> None:
    counter = Counter("c", ("strategy",), "help", series_max=2)
    for name in ("a", "b", "c", "d", "a"):
        counter.inc((name,))
    assert counter.values == {("a",): 2, ("b",): 1, ("other",): 2}


def test_counter_when_the_number_of_labels_is_wrong_then_refuses() -> None:
    with pytest.raises(ConfigurationError, match="c: got 1 label values"):
        Counter("c", ("venue", "kind"), "help").inc(("k",))


def test_histogram_when_observed_then_buckets_are_cumulative_and_in_seconds() -> None:
    histogram = Histogram()
    for duration_ns in (1_000, 1_500, 2_000_000_000):
        histogram.observe_ns(duration_ns)
    buckets = dict(histogram.cumulative())
    assert histogram.count == 3
    assert histogram.sum_ns == 2_000_002_500
    assert buckets[2**10 / 1e9] == 1
    assert buckets[2**11 / 1e9] == 2
    assert buckets[2**30 / 1e9] == 2
    assert buckets[2**31 / 1e9] == 3


def test_histogram_when_a_clock_stepped_back_then_counts_zero() -> None:
    histogram = Histogram()
    histogram.observe_ns(-5)
    assert (histogram.count, histogram.sum_ns) == (1, 0)


def test_histogram_when_a_duration_is_enormous_then_lands_in_the_last_bucket() -> None:
    histogram = Histogram()
    histogram.observe_ns(2**80)
    assert histogram.count == 1
    assert histogram.cumulative()[-1][1] == 0


def test_histogram_family_when_asked_twice_then_gives_the_same_series() -> None:
    family = HistogramFamily("h", ("stage",), "help", series_max=1)
    assert family.at(("sign",)) is family.at(("sign",))
    assert family.at(("send",)) is family.at(("answer",))
    assert set(family.values) == {("sign",), ("other",)}


def test_gauge_when_pulled_then_asks_every_source_each_time() -> None:
    gauge = Gauge("g", ("venue",), "help")
    value = 1
    gauge.pull(lambda: [(("a",), value)])
    gauge.pull(lambda: [(("b",), 2), (("c",), 3)])
    assert gauge.samples() == [(("a",), 1), (("b",), 2), (("c",), 3)]
    value = 9
    assert gauge.samples()[0] == (("a",), 9)


def test_counter_when_series_are_declared_then_they_exist_at_0_and_take_no_room_of_others() -> None:
    counter = Counter("c", ("strategy",), "help", series_max=1)
    counter.declare([("a",), ("b",)])
    counter.declare([("a",)])
    assert counter.values == {("a",): 0, ("b",): 0}
    for name in ("b", "new", "newer"):
        counter.inc((name,))
    assert counter.values == {("a",): 0, ("b",): 1, ("new",): 1, ("other",): 1}
