"""What Prometheus reads."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from framework.ops.prometheus import render_metrics
from framework.runtime.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(render_metrics(metrics, version="1.2.3").decode())
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
    render_metrics(metrics, version="1.2.3")
    assert render_metrics(metrics, version="1.2.3").count(b"tidegate_build_info{") == 1


def test_render_when_a_label_holds_quotes_and_line_breaks_then_is_still_valid() -> None:
    metrics = Metrics()
    metrics.refusals.inc(('we"ird\nname', "OFF_GRID"))
    assert samples(metrics)["tidegate_refusals_total", (("code", "OFF_GRID"), ("strategy", 'we"ird\nname'))] == 1
