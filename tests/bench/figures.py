"""How a figure is taken: interleaved rounds of the subject and its reference, medians, and their ratio."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

ROUNDS = 7


def per_call_ns(work: Callable[[], object], calls: int) -> float:
    """Nanoseconds per call of one round."""
    started = time.perf_counter_ns()
    for _ in range(calls):
        work()
    return (time.perf_counter_ns() - started) / calls


def compare(
    name: str, subject: Callable[[], object], reference: Callable[[], object], *, calls: int, against: str
) -> None:
    """Print one row: the subject's microseconds per call, and how many times the reference's they are."""
    own, other = [], []
    for _ in range(ROUNDS):
        own.append(per_call_ns(subject, calls))
        other.append(per_call_ns(reference, calls))
    row(name, [ns / 1e3 for ns in own], [ns / 1e3 for ns in other], unit="us", against=against, n=calls * ROUNDS)


def row(name: str, own: list[float], other: list[float], *, unit: str, against: str, n: int) -> None:
    """Print one figure with the reference of the same run."""
    median, reference = statistics.median(own), statistics.median(other)
    figure = {
        "figure": name,
        "unit": unit,
        "median": round(median, 3),
        "min": round(min(own), 3),
        "max": round(max(own), 3),
        "n": n,
        "reference": against,
        "reference_median": round(reference, 3),
        "ratio": round(median / reference, 3) if reference else None,
    }
    sys.stdout.write(json.dumps(figure) + "\n")
    sys.stdout.flush()
