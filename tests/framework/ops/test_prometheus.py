"""What Prometheus reads."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from framework.ops.prometheus import MetricsText
from framework.runtime.metrics import Metrics


def rendered(metrics: Metrics) -> bytes:
    return asyncio.run(MetricsText(metrics, version="1.2.3").render())


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(rendered(metrics).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_render_when_things_were_counted_then_prometheus_parses_them() -> None:
    metrics = Metrics()
    metrics.fills.inc(("kalshi", "mm"), 3)
    metrics.position.pull(lambda: [(("kalshi", "kalshi:A"), -2.5)])
    metrics.order_latency.at(("kalshi", "sign")).observe_ns(1_500)
    found = samples(metrics)
    assert found["tidegate_fills_total", (("strategy", "mm"), ("venue", "kalshi"))] == 3
    assert found["tidegate_position", (("instrument", "kalshi:A"), ("venue", "kalshi"))] == -2.5
    labels = (("stage", "sign"), ("venue", "kalshi"))
    assert found["tidegate_order_latency_seconds_count", labels] == 1
    assert found["tidegate_order_latency_seconds_sum", labels] == 1.5e-6
    assert found["tidegate_order_latency_seconds_bucket", (("le", "+Inf"), *labels)] == 1


def test_render_when_nothing_happened_then_build_process_and_unlabelled_histograms_are_there() -> None:
    found = samples(Metrics())
    assert any(name == "tidegate_build_info" and ("version", "1.2.3") in labels for name, labels in found)
    assert found["tidegate_loop_lag_seconds_count", ()] == 0
    assert found["tidegate_journal_sync_seconds_count", ()] == 0
    assert found["process_resident_memory_bytes", ()] > 0


def test_render_when_called_twice_then_build_info_is_not_repeated() -> None:
    metrics = Metrics()
    rendered(metrics)
    assert rendered(metrics).count(b"tidegate_build_info{") == 1


def test_render_when_a_label_holds_quotes_and_line_breaks_then_is_still_valid() -> None:
    metrics = Metrics()
    metrics.refusals.inc(('we"ird\nname', "OFF_GRID"))
    assert samples(metrics)["tidegate_refusals_total", (("code", "OFF_GRID"), ("strategy", 'we"ird\nname'))] == 1


def test_render_when_a_series_has_ended_then_its_line_goes_and_nothing_of_it_is_kept() -> None:
    metrics, shown = Metrics(), ["A", "B"]
    metrics.position.pull(lambda: [(("kalshi", one), 1.5) for one in shown])
    text = MetricsText(metrics, version="1.2.3")
    assert asyncio.run(text.render()).count(b"tidegate_position{") == 2
    shown.remove("A")
    again = asyncio.run(text.render())
    assert [line for line in again.splitlines() if line.startswith(b"tidegate_position{")] == [
        b'tidegate_position{instrument="B",venue="kalshi"} 1.5'
    ]
    assert list(text._heads["gauge", "tidegate_position"]) == [("kalshi", "B")]


def test_render_when_a_counter_and_a_gauge_differ_by_their_ending_only_then_both_are_whole() -> None:
    metrics = Metrics()
    metrics.orders.inc(("kalshi", "mm", "accepted"))
    metrics.orders_by_state.pull(lambda: [(("working",), 2)])
    for _ in range(2):
        found = samples(metrics)
        assert found["tidegate_orders_total", (("outcome", "accepted"), ("strategy", "mm"), ("venue", "kalshi"))] == 1
        assert found["tidegate_orders", (("state", "working"),)] == 2
