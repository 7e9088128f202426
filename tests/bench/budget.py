"""How two strategies share a venue's rate limit, in virtual time: how often each is served, and its longest wait.

One asks without pause, the other without pause or once in a while; each for new orders or for reducing ones.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from itertools import product
from typing import NamedTuple

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from risk.budget.venue_budget import VenueBudget

MS = 1_000_000
ROUND_TRIP_MS = 20
LIMITS = RateLimits(
    pools=(Pool("write", 200, 200),),
    costs=tuple(Cost(kind, "write", 2 if kind is RequestKind.CANCEL else 10) for kind in RequestKind),
)


class Asker(NamedTuple):
    """A strategy that asks for requests of one kind: the next one `pause_ms` milliseconds after the last was served."""

    name: str
    kind: RequestKind
    pause_ms: int


class Service(NamedTuple):
    """How often a strategy was served, and the longest time in milliseconds from asking to being served."""

    served: int
    longest_ms: int


def share(askers: tuple[Asker, ...], *, seconds: int, idle: tuple[str, ...] = ()) -> dict[str, Service]:
    """Let them ask for some seconds, once a millisecond each, after 5 s in which nobody did; `idle` never ask."""
    weights = dict.fromkeys((*(asker.name for asker in askers), *idle), 1)
    budget = VenueBudget(LIMITS, monotonic_ns=0, shares=weights)
    start_ms = 5_000
    wants_ms = {asker.name: start_ms for asker in askers}
    served, longest_ms = dict.fromkeys(weights, 0), dict.fromkeys(weights, 0)
    under_way: deque[tuple[int, Asker]] = deque()
    for now_ms in range(start_ms, start_ms + seconds * 1_000):
        budget.advance(now_ms * MS)
        while under_way and under_way[0][0] <= now_ms:
            _, done = under_way.popleft()
            budget.complete(done.kind, done.name, RequestOutcome.SPENT)
        for asker in askers:
            if now_ms < wants_ms[asker.name]:
                continue
            longest_ms[asker.name] = max(longest_ms[asker.name], now_ms - wants_ms[asker.name])
            if budget.available(asker.kind, asker.name) >= 1:
                budget.hold(asker.kind, asker.name)
                budget.start(asker.kind)
                under_way.append((now_ms + ROUND_TRIP_MS, asker))
                served[asker.name] += 1
                wants_ms[asker.name] = now_ms + asker.pause_ms
    return {asker.name: Service(served[asker.name], longest_ms[asker.name]) for asker in askers}


def run() -> None:
    """Print the figures."""
    for pause_ms, first, second in product((0, 500), (RequestKind.NEW, RequestKind.REDUCE), RequestKind):
        if second not in (RequestKind.NEW, RequestKind.REDUCE):
            continue
        found = share((Asker("first", first, 0), Asker("second", second, pause_ms)), seconds=60)
        figures = {
            "figure": f"{first.value} without pause beside {second.value} "
            + (f"every {pause_ms} ms" if pause_ms else "without pause"),
            **{name: one._asdict() for name, one in found.items()},
        }
        sys.stdout.write(json.dumps(figures) + "\n")
