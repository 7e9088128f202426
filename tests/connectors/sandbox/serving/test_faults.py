"""The fault plan: what strikes when, how often, and how a wrong request is refused."""

import random
from typing import Any

import pytest

from connectors.sandbox.serving.faults import FAULT_KINDS, FaultPlan, FaultRequestError


class TurnedClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def plan(clock: TurnedClock) -> FaultPlan:
    return FaultPlan(random.Random(5), clock)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_fault_when_planned_without_more_then_it_strikes_once(plan: FaultPlan, kind: str) -> None:
    plan.add({"kind": kind})
    assert plan.take(kind) is not None
    assert plan.take(kind) is None
    assert plan.struck == {kind: 1}


def test_fault_when_planned_n_times_then_it_strikes_n_times(plan: FaultPlan) -> None:
    plan.add({"kind": "lost_response", "count": 3})
    assert [plan.take("lost_response") is not None for _ in range(5)] == [True] * 3 + [False] * 2


def test_fault_when_it_has_a_duration_then_it_strikes_until_its_end(plan: FaultPlan, clock: TurnedClock) -> None:
    plan.add({"kind": "rate_limit_storm", "duration_ms": 100})
    clock.now_ns = 99_999_999
    assert plan.take("rate_limit_storm") is not None
    assert plan.active("rate_limit_storm") is not None
    clock.now_ns = 100_000_000
    assert plan.take("rate_limit_storm") is None
    assert plan.listed() == []


def test_fault_when_it_has_a_target_then_it_strikes_only_there(plan: FaultPlan) -> None:
    plan.add({"kind": "delay", "match": {"path": "/portfolio/*", "method": "POST"}, "delay_ms": 50})
    assert plan.take("delay", path="/markets", method="POST") is None
    assert plan.take("delay", path="/portfolio/orders") is None
    fault = plan.take("delay", path="/portfolio/orders", method="POST")
    assert fault is not None
    assert fault.params == {"delay_ms": 50}


def test_fault_when_it_has_a_probability_then_it_strikes_about_that_often(plan: FaultPlan) -> None:
    plan.add({"kind": "duplicate_frame", "count": -1, "probability": 0.25})
    struck = sum(plan.take("duplicate_frame") is not None for _ in range(1_000))
    assert 200 < struck < 300


def test_fault_when_only_looked_at_then_it_is_not_used_up(plan: FaultPlan) -> None:
    plan.add({"kind": "clock_skew", "skew_ms": 5_000})
    for _ in range(3):
        fault = plan.active("clock_skew")
        assert fault is not None
        assert fault.params["skew_ms"] == 5_000
    assert plan.struck == {}


def test_fault_when_removed_or_cleared_then_it_strikes_no_more(plan: FaultPlan) -> None:
    first = plan.add({"kind": "silent_stream"})
    plan.add({"kind": "drop_connection"})
    assert plan.remove(first)
    assert not plan.remove(first)
    assert [fault["kind"] for fault in plan.listed()] == ["drop_connection"]
    plan.clear()
    assert plan.take("drop_connection") is None


@pytest.mark.parametrize(
    ("description", "named"),
    [
        ({}, "kind is None"),
        ({"kind": "earthquake"}, "kind is 'earthquake'"),
        ({"kind": "delay", "count": 1.5}, "count is 1.5"),
        ({"kind": "delay", "count": True}, "count is True"),
        ({"kind": "delay", "probability": 2}, "probability is 2"),
        ({"kind": "delay", "probability": float("nan")}, "probability is nan"),
        ({"kind": "delay", "duration_ms": -1}, "duration_ms is -1"),
        ({"kind": "delay", "match": {"path": 3}}, "match is"),
    ],
)
def test_fault_when_described_wrongly_then_the_field_is_named(
    plan: FaultPlan, description: dict[str, Any], named: str
) -> None:
    with pytest.raises(FaultRequestError, match=named):
        plan.add(description)
