"""Verdicts: what the gate answers, and the closed list of reasons why it refuses.

A type is the right to the next stage: Intent -> `Approved` or `Refused` -> `Signed` -> sent. `Approved` is built in
`risk/gate.py` and nowhere else, `Signed` by a gateway from an `Approved`; tests walk the source for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from framework.domain.intents import Intent
from framework.domain.rate_limits import RequestKind


class Approved(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """The gate's yes. `client_order_id` names the order that the intent makes, changes or ends (empty for `CancelAll`).

    `request_kind` decides the priority and the rate-limit cost of the request that is sent for it. `ts_ns` is the wall
    time of the kernel's step, in nanoseconds.
    """

    intent: Intent
    venue: str
    client_order_id: str
    request_kind: RequestKind
    ts_ns: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """The gate's no: the code, the numbers behind it as `key=value` pairs, and the name of the check (`gate` when the
    gate itself refused). `ts_ns` is the wall time of the kernel's step, in nanoseconds. `cancels` are client order ids
    of own orders that the kernel cancels, because they were in the way."""

    intent: Intent
    code: RefusalCode
    detail: str
    check: str
    ts_ns: int
    cancels: tuple[str, ...] = ()


class RefusalsCounted(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """Refusals of one strategy with one code that were too many to be recorded one by one: how many within a second, in
    which steps of the kernel the first and the last. `ts_ns` is the wall time at which they were counted up, in
    nanoseconds."""

    strategy: str
    code: RefusalCode
    count: int
    first_step: int
    last_step: int
    ts_ns: int


Verdict = Approved | Refused
"""What the gate answers to an intent."""

Decision = Verdict | RefusalsCounted
"""What is recorded of the gate's answers; a replay comes to the same."""


class Signed(msgspec.Struct, frozen=True, gc=False):
    """A request ready for the wire. `wire` is the gateway's own form of it; no other part reads it.

    Signed immediately before it is sent, because venues refuse signatures whose time is off by seconds. `digest` is the
    SHA-256 of the exact bytes of the request's body and target: it goes to the journal before the first byte leaves.
    """

    approved: Approved
    wire: object
    digest: str


class RefusalCode(Enum):
    """Why the gate refuses: one member per reason. The value is written into journals, ledgers and metric labels and
    never changes; `meaning` is the sentence of the documentation, whose table is generated from it."""

    _value_: str
    meaning: str

    def __new__(cls, code: str, meaning: str = "") -> RefusalCode:
        member = object.__new__(cls)
        member._value_, member.meaning = code, meaning
        return member

    ORDER_SIZE_MAX = "ORDER_SIZE_MAX", "The order is larger than the largest allowed order (C1)."
    ORDER_NOTIONAL_MAX = "ORDER_NOTIONAL_MAX", "The order's value is above the largest allowed order value (C2)."
    PRICE_COLLAR = "PRICE_COLLAR", "The price is too far from the reference price of a fresh two-sided book (C3)."
    NO_REFERENCE_PRICE = (
        "NO_REFERENCE_PRICE",
        "There is no fresh, uncrossed, two-sided book to compare the price with (C3).",
    )
    BOOK_NOT_FRESH = "BOOK_NOT_FRESH", "The book is missing, stale, gapped or crossed (C4)."
    POSITION_MAX = (
        "POSITION_MAX",
        "Position plus working and in-flight orders would pass the limit in the worst case (C5).",
    )
    FUNDS = "FUNDS", "The order needs more than the venue's last balance leaves for it (C6)."
    FUNDS_UNKNOWN = "FUNDS_UNKNOWN", "The balance that pays for the order is not known, or its report is too old (C6)."
    OPEN_ORDERS_MAX = "OPEN_ORDERS_MAX", "Too many orders are open or in flight (C7)."
    BUDGET_EXHAUSTED = (
        "BUDGET_EXHAUSTED",
        "The venue's rate limit leaves no room now; the refusal says when it does (C8).",
    )
    BUDGET_SHARE = "BUDGET_SHARE", "The strategy has used its fair share of the venue's rate limit (C8)."
    LIMITS_UNKNOWN = "LIMITS_UNKNOWN", "The venue has not declared its rate limits yet (C8)."
    TRADING_REDUCING = "TRADING_REDUCING", "Only orders that reduce the position are allowed now (C14)."
    TRADING_HALTED = "TRADING_HALTED", "Trading is halted; only cancels pass (C14)."
    NOT_ALLOWED = (
        "NOT_ALLOWED",
        "The instrument, side or time in force is not on the allow-list, or the instrument not the strategy's (C18).",
    )
    INSTRUMENT_NOT_ACTIVE = "INSTRUMENT_NOT_ACTIVE", "The instrument is not open for trading (C18)."
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT", "No connector has defined this instrument."
    OFF_GRID = "OFF_GRID", "The price is not on the instrument's tick grid (C19)."
    BAD_SIZE = "BAD_SIZE", "The size is not positive, below the minimum, or not a multiple of the lot (C19)."
    NOTIONAL_MIN = "NOTIONAL_MIN", "The order's value is below the venue's minimum (C19)."
    UNKNOWN_ORDER = "UNKNOWN_ORDER", "There is no such order of this strategy."
    ORDER_FINAL = "ORDER_FINAL", "The order has ended; nothing is left to change."
    ORDER_BUSY = (
        "ORDER_BUSY",
        "A change of this order is under way, it is to end, or the venue has not confirmed it yet.",
    )
    NOT_OFFERED = (
        "NOT_OFFERED",
        "The venue does not offer this: the order type, trigger, time in force, flag, or amends at all.",
    )
    VENUE_DOWN = "VENUE_DOWN", "The connector of the venue is not up."
    INVALID_INTENT = "INVALID_INTENT", "The intent is not one: a wrong type, a float, a negative or a missing value."
    QUARANTINED = "QUARANTINED", "The strategy failed too often and is quarantined."
    SHUTTING_DOWN = "SHUTTING_DOWN", "The daemon is stopping; only cancels pass."
    JOURNAL_FAILED = "JOURNAL_FAILED", "The journal can't be written; nothing may leave."
    CHECK_FAILED = "CHECK_FAILED", "A check raised an exception; the gate fails shut."
    PLUGIN_CHECK = "PLUGIN_CHECK", "A check from outside the package refused; its details say why."
    SELF_TRADE = "SELF_TRADE", "The order could trade with an own order, of whatever strategy, that is open (C12)."
    DUPLICATE_ORDER = "DUPLICATE_ORDER", "The strategy has placed the same order a moment before (C10)."

    @classmethod
    def _missing_(cls, value: object) -> RefusalCode | None:
        """The member of an old spelling. msgspec asks here too, so that journals of every version decode."""
        code = OLD_SPELLINGS.get(value) if isinstance(value, str) else None
        return None if code is None else cls(code)


class Refusal:
    """What a check answers when it refuses: the code and the numbers behind it, in the order given.

    `Refusal(RefusalCode.POSITION_MAX, worst=120, max_position=100)`: names and values are free, the text shows both.
    `cancels` are the client order ids of own orders that are to be cancelled, because they are in the way.
    """

    __slots__ = ("cancels", "code", "details")

    def __init__(self, code: RefusalCode, *, cancels: Sequence[str] = (), **details: object) -> None:
        self.code = code
        self.cancels = tuple(cancels)
        self.details = details

    @property
    def text(self) -> str:
        """The numbers as `key=value` pairs separated by spaces, as logs, records and listings show them."""
        return " ".join(f"{key}={value}" for key, value in self.details.items())

    def __repr__(self) -> str:
        return f"Refusal({self.code.value}: {self.text})"


def refusal_table() -> str:
    """Every code with its meaning as a Markdown table: `risk/README.md` holds it, and a test compares."""
    rows = [f"| `{code.value}` | {code.meaning} |" for code in RefusalCode]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


OLD_SPELLINGS: dict[str, str] = {
    "The order is larger than the largest allowed order (C1).": "ORDER_SIZE_MAX",
    "The order's value is above the largest allowed order value (C2).": "ORDER_NOTIONAL_MAX",
    "The price is too far from the reference price of a fresh two-sided book (C3).": "PRICE_COLLAR",
    "There is no fresh, uncrossed, two-sided book to compare the price with (C3).": "NO_REFERENCE_PRICE",
    "The book is missing, stale, gapped or crossed (C4).": "BOOK_NOT_FRESH",
    "Position plus working and in-flight orders would pass the limit in the worst case (C5).": "POSITION_MAX",
    "Too many orders are open or in flight (C7).": "OPEN_ORDERS_MAX",
    "The venue's rate limit leaves no room now; the refusal says when it does (C8).": "BUDGET_EXHAUSTED",
    "The strategy has used its fair share of the venue's rate limit (C8).": "BUDGET_SHARE",
    "The venue has not declared its rate limits yet (C8).": "LIMITS_UNKNOWN",
    "Only orders that reduce the position are allowed now (C14).": "TRADING_REDUCING",
    "Trading is halted; only cancels pass (C14).": "TRADING_HALTED",
    "The instrument, side or time in force is not on the allow-list (C18).": "NOT_ALLOWED",
    "The instrument is not open for trading (C18).": "INSTRUMENT_NOT_ACTIVE",
    "No connector has defined this instrument.": "UNKNOWN_INSTRUMENT",
    "The price is not on the instrument's tick grid (C19).": "OFF_GRID",
    "The size is not positive, below the minimum, or not a multiple of the lot (C19).": "BAD_SIZE",
    "The order's value is below the venue's minimum (C19).": "NOTIONAL_MIN",
    "There is no such order of this strategy.": "UNKNOWN_ORDER",
    "The order has ended; nothing is left to change.": "ORDER_FINAL",
    "A change of this order is under way, or the venue has not confirmed it yet.": "ORDER_BUSY",
    "The connector of the venue is not up.": "VENUE_DOWN",
    "The intent is not one: a wrong type, a float, a negative or a missing value.": "INVALID_INTENT",
    "The strategy failed too often and is quarantined.": "QUARANTINED",
    "The daemon is stopping; only cancels pass.": "SHUTTING_DOWN",
    "The journal can't be written; nothing may leave.": "JOURNAL_FAILED",
    "A check raised an exception; the gate fails shut.": "CHECK_FAILED",
    "A check from outside the package refused; its details say why.": "PLUGIN_CHECK",
    # The name of this one, as ledgers hold it.
    "NONSENSE": "INVALID_INTENT",
}
"""Old spelling -> the code of today. Codes were written as whole sentences before they had short values; entries are
only added here, never changed: journals hold the old ones."""
