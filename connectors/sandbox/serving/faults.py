"""Faults that a sandbox commits on request: what goes wrong, how often, for how long and on which requests.

The plan only decides, by its own seeded generator. The server asks `take` at each place where a fault could strike, and
then commits it.
"""

import random
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from connectors.sandbox.engine.model import NS_PER_MS

FAULT_KINDS = {
    "drop_connection": "cut a stream connection without a closing handshake",
    "silent_stream": "keep a stream connected but send nothing on it",
    "sequence_gap": "leave out one sequenced frame, its number included",
    "duplicate_frame": "send one frame twice",
    "mute": "leave out a stream's messages of a channel about a market, unnumbered, as if they had never been",
    "delay": "answer late by `delay_ms`",
    "error_after_accept": "do the act, then answer `status` (default 500)",
    "lost_response": "do the act, then cut the connection without an answer",
    "lost_request": "cut the connection without doing the act",
    "rate_limit_storm": "answer 429 whatever the budget is",
    "clock_skew": "run the venue's clock `skew_ms` off",
    "settle": "close, determine and pay a market at `value`",
    "pause": "pause trading, the exchange or one market (`scope`)",
    "read_lag": "answer reads as things stood `lag_ms` ago",
    "hidden_fill": "leave a fill of the member out of the listing of fills",
    "page_clamp": "give pages of at most `size` rows, whatever was asked for",
    "slow_cancel": "take cancels, and end the orders `delay_ms` later, while it lasts",
    "replay_refusal": "refuse a request as if it had come before",
    "ip_refused": "refuse a request as coming from an address that is not allowed",
    "mark_jump": "move the mark price of a perpetual to `price`",
    "funding_now": "pay the funding of a perpetual at once, at `rate_ppm` or its present rate",
    "liquidate": "liquidate the member's positions in a perpetual at its mark",
}
"""Every fault kind and what the server does when it strikes."""
VENUE_KINDS = ("slow_cancel", "replay_refusal", "ip_refused", "mark_jump", "funding_now", "liquidate")
"""Those that need something of the venue: it says itself whether it can commit them."""
COMMON_KINDS = {kind: text for kind, text in FAULT_KINDS.items() if kind not in VENUE_KINDS}


class Fault(msgspec.Struct, kw_only=True):
    """One planned fault.

    `count` strikes are left (-1: as many as come); `until_ns` ends it (0: never); `probability` from 0 to 1 applies to
    each chance; `match` are glob patterns every named target must satisfy; `params` belong to the kind.
    """

    fault_id: int
    kind: str
    count: int
    probability: float
    until_ns: int
    match: dict[str, str]
    params: dict[str, Any]
    struck: int = 0


class FaultRequestError(ValueError):
    """A fault was described wrongly; the message names the field, its value and what is allowed."""


class FaultPlan:
    """The faults in force, in the order in which they were added; the first that matches strikes.

    `now_ns` is the clock that ends faults with a duration. `struck` counts by kind since the start, ended faults too.
    `kinds` are those that the venue can commit, with what they do.
    """

    def __init__(
        self, rng: random.Random, now_ns: Callable[[], int], *, kinds: Mapping[str, str] = FAULT_KINDS
    ) -> None:
        self.kinds = dict(kinds)
        self._rng = rng
        self._now_ns = now_ns
        self._faults: list[Fault] = []
        self._added = 0
        self.struck: dict[str, int] = {}

    def check(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """The description with every common field, and as the plan counts them; adds nothing.

        Fields: `kind`; `count` (default 1, or without end when a duration is given); `probability` (default 1);
        `duration_ms` or `for_s`; `match` (target name -> glob pattern), or `instrument` for `match: {"market": ...}`;
        anything else is a parameter of the kind.
        Raises `FaultRequestError` when a field is wrong, and for a kind that the venue can't commit.
        """
        fields = dict(description)
        kind = fields.get("kind")
        if not isinstance(kind, str) or kind not in self.kinds:
            known = "this venue can't commit it" if str(kind) in FAULT_KINDS else "there is no such fault"
            raise FaultRequestError(f"kind is {kind!r}: {known}; use one of {', '.join(self.kinds)}")
        for_s = _whole(fields.pop("for_s", 0), "for_s", low=0)
        duration_ms = _whole(fields.get("duration_ms", for_s * 1_000), "duration_ms", low=0)
        count = _whole(fields.get("count", -1 if duration_ms else 1), "count", low=-1)
        probability = fields.get("probability", 1.0)
        if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise FaultRequestError(f"probability is {probability!r}; give a number from 0 to 1")
        match = fields.get("match", {})
        if not isinstance(match, dict) or not all(isinstance(pattern, str) for pattern in match.values()):
            raise FaultRequestError(f"match is {match!r}; give an object of target names and glob patterns")
        if "instrument" in fields:
            match = match | {"market": str(fields.pop("instrument"))}
        return fields | {"duration_ms": duration_ms, "count": count, "probability": float(probability), "match": match}

    def add(self, description: Mapping[str, Any]) -> int:
        """Plan a fault and return its id, counted from 1; fields and errors as for `check`."""
        fields = self.check(description)
        duration_ms = fields.pop("duration_ms")
        self._added += 1
        self._faults.append(
            Fault(
                fault_id=self._added,
                kind=fields.pop("kind"),
                count=fields.pop("count"),
                probability=fields.pop("probability"),
                until_ns=self._now_ns() + duration_ms * NS_PER_MS if duration_ms else 0,
                match=fields.pop("match"),
                params=fields,
            )
        )
        return self._added

    def take(self, kind: str, **target: str) -> Fault | None:
        """The fault of `kind` that strikes `target` now, or None; a strike uses up one count.

        A fault whose `match` names something that `target` lacks does not strike.
        """
        for fault in self._live():
            if fault.kind != kind or not _matches(fault, target):
                continue
            if fault.probability < 1.0 and self._rng.random() >= fault.probability:
                continue
            fault.struck += 1
            self.struck[kind] = self.struck.get(kind, 0) + 1
            if fault.count > 0:
                fault.count -= 1
            return fault
        return None

    def active(self, kind: str, **target: str) -> Fault | None:
        """The first fault of `kind` in force for `target`, without striking: for states such as a skewed clock."""
        return next((fault for fault in self._live() if fault.kind == kind and _matches(fault, target)), None)

    def remove(self, fault_id: int) -> bool:
        """End one fault; False when no fault of this id was in force."""
        kept = [fault for fault in self._faults if fault.fault_id != fault_id]
        found = len(kept) < len(self._faults)
        self._faults = kept
        return found

    def clear(self) -> None:
        """End every fault; `struck` keeps its counts."""
        self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """The faults in force as plain data, one object with the fields of `Fault` each."""
        return [msgspec.to_builtins(fault) for fault in self._live()]

    def _live(self) -> list[Fault]:
        if self._faults:
            now_ns = self._now_ns()
            self._faults = [f for f in self._faults if f.count != 0 and not 0 < f.until_ns <= now_ns]
        return self._faults


def _whole(value: object, field: str, *, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise FaultRequestError(f"{field} is {value!r}; give a whole number from {low}")
    return value


def _matches(fault: Fault, target: Mapping[str, str]) -> bool:
    return all(name in target and fnmatchcase(target[name], pattern) for name, pattern in fault.match.items())
