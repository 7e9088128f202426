"""Every fault that a venue can commit, once at each venue, and what it leads to.

The language is the sandboxes' own (`admin/faults`). Faults are spread over the run, one begins every few seconds, and a
venue gets its next one only when it has recovered from the one before, so that some overlap at different venues.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tests.proofs.four_venues.comparison import LISTS_FILLS
from tests.proofs.four_venues.exchange import Exchange
from tests.proofs.four_venues.watch import Sample, Watch

STREAM_KINDS = frozenset({"drop_connection", "silent_stream", "sequence_gap", "duplicate_frame", "mute"})
STATES = frozenset({"clock_skew", "read_lag", "pause", "slow_cancel"})
"""What is a state of the venue for a while: it does not strike one answer or frame."""
STRIKE_S_MAX = 45.0
"""A fault that has met nothing to strike for so long is taken back: no order came, no frame was numbered."""
RECOVER_S_MAX = 150.0
"""A venue that refuses the account is left alone for a minute; then its strategies have to place an order."""
AT_ONCE_MAX = 2
"""So many venues are under a fault at a time: how it goes at the others is to be seen."""
NOT_SERVED = {
    ("bitexasia", "page_clamp"): "none of its lists has pages",
    ("zdex", "sequence_gap"): "each message is a whole book: none can be missed",
}
WRITES = {"match": {"method": "[!G]*"}}
"""New orders and cancels: whatever is not read."""

DESCRIPTIONS: Mapping[str, dict[str, Any]] = {
    "drop_connection": {},
    "silent_stream": {},
    "sequence_gap": {},
    "duplicate_frame": {"count": 3},
    "mute": {"duration_ms": 4_000},
    "delay": {"delay_ms": 1_500, "count": 3},
    "error_after_accept": WRITES,
    "lost_response": WRITES,
    "lost_request": WRITES,
    "rate_limit_storm": {"count": 3},
    "clock_skew": {"skew_ms": 8_000, "duration_ms": 10_000},
    "settle": {"value": "yes"},
    "pause": {"duration_ms": 4_000},
    "read_lag": {"lag_ms": 1_500, "duration_ms": 8_000},
    "hidden_fill": {},
    "page_clamp": {"size": 2, "count": 3},
    "slow_cancel": {"delay_ms": 1_500, "duration_ms": 8_000},
    "replay_refusal": {},
    "ip_refused": {"duration_ms": 20_000},
    "mark_jump": {},
    "funding_now": {"rate_ppm": 100},
    "liquidate": {},
}


class Incident(msgspec.Struct):
    """One fault at one venue. Times are monotonic seconds, 0 until they are known; `recovered_s` counts from its end to
    the first order that is accepted at the venue afterwards, where it places any all the time."""

    venue: str
    kind: str
    begun_s: float
    is_struck: bool = False
    ended_s: float = 0.0
    recovered_at_s: float = 0.0
    orders_at_end: int = 0
    trouble: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the venue has recovered, or was given up."""
        return bool(self.recovered_at_s or self.trouble)


class Script:
    """Has the faults committed. `step` about once a second; over when `is_over`.

    `busy` are the venues at which strategies place orders all the time. `left_out` says which kinds a venue serves in
    name only, and why.
    """

    def __init__(
        self, exchanges: Mapping[str, Exchange], *, busy: Iterable[str], seed: int, kinds: Iterable[str]
    ) -> None:
        self._exchanges = exchanges
        self._busy = frozenset(busy)
        self.pause_s = 0.0
        self._next_s = 0.0
        self.incidents: list[Incident] = []
        self.left_out: dict[str, str] = {}
        rng, chosen = random.Random(seed), set(kinds)
        self._due: dict[str, deque[str]] = {}
        for exchange in exchanges.values():
            mine = [kind for kind in exchange.plan()["kinds"] if kind in chosen and self._strikes(exchange, kind)]
            rng.shuffle(mine)
            if exchange.name not in self._busy:  # the orders come first there, and then few
                mine.sort(key=lambda kind: DESCRIPTIONS[kind] is not WRITES)
            self._due[exchange.name] = deque(mine)
        self.count = sum(map(len, self._due.values()))

    @property
    def is_over(self) -> bool:
        """Whether every fault was committed and recovered from."""
        return not any(self._due.values()) and all(one.is_over for one in self.incidents)

    def step(self, watch: Watch) -> None:
        """See what became of the faults under way, and begin the next one when it is due."""
        for incident in self.incidents:
            if not incident.is_over:
                self._follow(incident, watch.last)
                if incident.is_over:
                    print(f"{len(self.incidents)} of {self.count}: {incident}", file=sys.stderr, flush=True)
        under_way = {one.venue for one in self.incidents if not one.is_over}
        waiting = sorted((name for name, due in self._due.items() if due and name not in under_way), key=self._rank)
        if waiting and len(under_way) < AT_ONCE_MAX and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + self.pause_s
            self._begin(waiting[0], self._due[waiting[0]].popleft())

    def _rank(self, venue: str) -> tuple[bool, int]:
        """Faults of orders first where orders are few, then the venue that has most before it."""
        is_scarce = venue not in self._busy and DESCRIPTIONS[self._due[venue][0]] is WRITES
        return not is_scarce, -len(self._due[venue])

    def hits(self, venue: str, begin_s: float, end_s: float) -> bool:
        """Whether a fault struck the venue, or it was not yet over it, at some time between two moments."""
        return any(
            one.venue == venue and one.begun_s <= end_s and (one.recovered_at_s or 1e18) >= begin_s
            for one in self.incidents
        )

    def _strikes(self, exchange: Exchange, kind: str) -> bool:
        reason = NOT_SERVED.get((exchange.name, kind), "")
        if kind in STREAM_KINDS and not exchange.has_stream:
            reason = "it has no stream"
        elif kind == "settle" and exchange.name != "kalshi":
            reason = "its markets do not settle"
        elif kind == "hidden_fill" and exchange.name in LISTS_FILLS:
            reason = "it lists every fill: without one its market is halted for a person"
        if reason:
            self.left_out[f"{exchange.name} {kind}"] = reason
        return not reason

    def _begin(self, venue: str, kind: str) -> None:
        exchange = self._exchanges[venue]
        exchange.fault({"kind": kind, **DESCRIPTIONS[kind], **_of_the_moment(exchange, kind)})
        self.incidents.append(Incident(venue, kind, time.monotonic()))

    def _follow(self, incident: Incident, sample: Sample) -> None:
        now_s, exchange = time.monotonic(), self._exchanges[incident.venue]
        if not incident.ended_s:
            plan = exchange.plan()
            incident.is_struck = incident.kind in STATES or bool(plan["struck"].get(incident.kind))
            if any(one["kind"] == incident.kind for one in plan["faults"]):
                if now_s - incident.begun_s <= STRIKE_S_MAX + exchange.silence_ms_max / 1000:
                    return
                exchange.heal()
            incident.ended_s, incident.orders_at_end = now_s, sample.orders[incident.venue]
            return
        trouble = sample.trouble(incident.venue) or self._idle(incident, sample)
        if not trouble:
            incident.recovered_at_s = now_s
        elif now_s - incident.ended_s > RECOVER_S_MAX:
            incident.trouble = trouble

    def _idle(self, incident: Incident, sample: Sample) -> str:
        is_idle = incident.venue in self._busy and sample.orders[incident.venue] <= incident.orders_at_end
        return "no order since" if is_idle else ""


def _of_the_moment(exchange: Exchange, kind: str) -> dict[str, Any]:
    """What a description needs of the venue: how long its silence must last, a market, a price near its last one."""
    if kind == "silent_stream":
        return {"duration_ms": exchange.silence_ms_max + 3_000}
    if kind == "settle":
        markets = sorted({row["instrument"] for row in exchange.truth()["orders"]})
        return {"match": {"market": markets[0] if markets else "*"}}
    if kind == "mark_jump":
        fills = exchange.truth()["fills"]
        market, price = (fills[-1]["instrument"], fills[-1]["price"]) if fills else ("BTCUSDT", "60000")
        return {"match": {"market": market}, "price": str(round(Decimal(price) * Decimal("1.01"), 1))}
    return {}
