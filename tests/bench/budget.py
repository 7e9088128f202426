"""How strategies share a venue's rate limit, in virtual time, and what a decision about it costs.

One strategy asks without pause, the other without pause or once in a while, each for requests of one kind. Then the
time of a decision beside few and many others who wait.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from risk.budget.venue_budget import VenueBudget
from tests.bench.figures import compare

MS = 1_000_000
ROUND_TRIP_MS = 20
SETTLED_MS = 5_000
"""What strategies had saved is used up by then, and waits are counted."""
KINDS = (RequestKind.CANCEL, RequestKind.REDUCE, RequestKind.AMEND, RequestKind.NEW)
LIMITS = RateLimits(
    pools=(Pool("write", 200, 200),),
    costs=tuple(Cost(kind, "write", 2 if kind is RequestKind.CANCEL else 10) for kind in RequestKind),
)
WINDOW = RateLimits(
    pools=(Pool("write", 1_200, 1_200, 60_000 * MS, PoolShape.WINDOW),),
    costs=tuple(Cost(kind, "write", 1) for kind in RequestKind),
)


class Asker(NamedTuple):
    """A strategy that asks for requests of one kind: the next one `pause_ms` milliseconds after the last was served,
    again `poll_ms` after a no. With CANCEL it asks for new orders, and cancels each as soon as the venue has it."""

    name: str
    kind: RequestKind
    pause_ms: int
    poll_ms: int = 1


class Service(NamedTuple):
    """How often a strategy was served, and the longest time in milliseconds from asking to being served."""

    served: int
    longest_ms: int


def share(
    askers: tuple[Asker, ...], *, seconds: int, idle: tuple[str, ...] = (), limits: RateLimits = LIMITS
) -> dict[str, Service]:
    """Let them ask for some seconds after a time in which nobody did; `idle` never ask."""
    weights = dict.fromkeys((*(asker.name for asker in askers), *idle), 1)
    budget = VenueBudget(limits, monotonic_ns=0, shares=weights)
    start_ms = 100_000
    wants_ms = {asker.name: start_ms for asker in askers}
    asks_ms = dict(wants_ms)
    served, longest_ms = dict.fromkeys(weights, 0), dict.fromkeys(weights, 0)
    under_way: deque[tuple[int, RequestKind, Asker]] = deque()
    for now_ms in range(start_ms, start_ms + seconds * 1_000):
        budget.advance(now_ms * MS)
        while under_way and under_way[0][0] <= now_ms:
            _, kind, done = under_way.popleft()
            budget.complete(kind, done.name, RequestOutcome.SPENT)
            if done.kind is RequestKind.CANCEL is not kind:
                budget.hold(RequestKind.CANCEL, done.name)
                under_way.append((now_ms + ROUND_TRIP_MS, RequestKind.CANCEL, done))
        for asker in askers:
            if now_ms < max(wants_ms[asker.name], asks_ms[asker.name]):
                continue
            asks_ms[asker.name] = now_ms + asker.poll_ms
            if now_ms > start_ms + SETTLED_MS:
                longest_ms[asker.name] = max(longest_ms[asker.name], now_ms - wants_ms[asker.name])
            kind = RequestKind.NEW if asker.kind is RequestKind.CANCEL else asker.kind
            if budget.available(kind, asker.name) < 1:
                budget.want(kind, asker.name)
                continue
            budget.hold(kind, asker.name)
            budget.start(kind)
            under_way.append((now_ms + ROUND_TRIP_MS, kind, asker))
            served[asker.name] += 1
            wants_ms[asker.name] = now_ms + asker.pause_ms
    return {asker.name: Service(served[asker.name], longest_ms[asker.name]) for asker in askers}


def fair_ms(asker: Asker, strategies: int, limits: RateLimits) -> float:
    """How long a strategy waits for a request if all of them have equal parts of the flow."""
    kinds = {asker.kind, RequestKind.NEW} if asker.kind is RequestKind.CANCEL else {asker.kind}
    tokens = sum(cost.tokens for kind in kinds for cost in limits.cost(kind))
    (pool,) = limits.pools
    return strategies * tokens * pool.period_ns / pool.refill / MS


def asked(waiting: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Asking whether there is room, and all that an order does to the budget, beside so many who were refused."""
    names = [f"s{number}" for number in range(waiting + 1)]
    budget = VenueBudget(LIMITS, monotonic_ns=0, shares=dict.fromkeys(names, 1))
    now_ns = 100_000 * MS
    budget.advance(now_ns)
    for name in names[1:]:
        budget.want(RequestKind.NEW, name)

    def ask() -> None:
        budget.available(RequestKind.NEW, names[0])

    def order() -> None:
        nonlocal now_ns
        now_ns += 10_000
        budget.advance(now_ns)
        budget.available(RequestKind.NEW, names[0])
        budget.hold(RequestKind.NEW, names[0])
        budget.start(RequestKind.NEW)
        budget.complete(RequestKind.NEW, names[0], RequestOutcome.NOT_CHARGED)

    return ask, order


def run() -> None:
    """Print the figures."""
    one = asked(1)
    for waiting in (10, 100, 1_000):
        for what, own, reference in zip(("asking for room", "all of an order"), asked(waiting), one, strict=True):
            compare(f"{what} beside {waiting} strategies that wait", own, reference, calls=10_000, against="beside one")
    for pause_ms, first, second in product((0, 500), KINDS, KINDS):
        asker = Asker("second", second, pause_ms)
        found = share((Asker("first", first, 0), asker), seconds=60)
        figures = {
            "figure": f"{first.value} without pause beside {second.value} "
            + (f"every {pause_ms} ms" if pause_ms else "without pause"),
            **{name: one._asdict() for name, one in found.items()},
            "fair_ms": fair_ms(asker, 2, LIMITS),
        }
        sys.stdout.write(json.dumps(figures) + "\n")
