"""What every fact does to an order of every status: one table, complete.

The order in which facts arrive must not matter (I8), so evidence only adds up: a status is what the evidence so far
amounts to, the strongest first. `framework.state.orders.evidence.status_of` computes it; the table says the same for
one fact at a time, and which facts alarm:

1. FILLED: the fills, or the venue's statement of them, reach the size (of an unanswered amend the larger size), or
   the venue lists the order as filled.
2. EXPIRED, REJECTED, CANCELLED: the strongest end that the venue stated. Final: nothing leads back.
   Of 1 and 2, an order is shown as ENDING until the fills that the venue states are booked, so that nobody acts on an
   end without them; an end that was shown before stays, and follows the evidence once they are booked.
3. live: the venue has shown that it has the order. A cancel or an amend without an answer shows as
   CANCEL_REQUESTED or AMEND_REQUESTED, a request that the venue answered with "not found" as UNKNOWN.
4. REJECTED because it was *inferred* that the order never existed (not sent, never arrived). Proof of existence
   beats an inference: such an order is live again, with an alarm, because it can trade.
5. UNKNOWN: an ambiguous answer and no proof. No timer ends it (I3).
6. SENT, RECORDED.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from framework.domain.account_events import ReportKind
from framework.domain.orders import OrderStatus as S


class OrderFact(Enum):
    """What can become known of an order. The kinds of `OrderReport` are among them. The values become reasons of
    orders, so they are part of the state's digest and must not change."""

    SENT = "sent"
    NOT_SENT = "not sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    CANCEL_PENDING = "cancel pending"
    """The venue has the order and carries the cancel out later."""
    CANCEL_REFUSED = "cancel refused"
    AMENDED = "amended"
    AMEND_REFUSED = "amend refused"
    EXPIRED = "expired"
    UNKNOWN = "ambiguous answer"
    NEVER_ARRIVED = "never arrived"
    FILLS_MISSING = "stated fills not listed"
    """The venue does not list fills that it states, however often it was asked: the end counts without them."""
    NOT_FOUND = "cancel or amend: not found"
    """The venue answered a cancel or an amend with "no such order". Proves no end: look the order up."""
    CANCEL_REQUESTED = "cancel requested"
    AMEND_REQUESTED = "amend requested"
    FILL_PARTIAL = "fill, part of the size"
    FILL_FULL = "fill, completes the size"
    FILL_OVER = "fill beyond the size"
    """More traded than the size: booked all the same, with an alarm (I6)."""
    SNAPSHOT_OPEN = "listed as open"
    SNAPSHOT_ENDED = "listed as ended"
    SNAPSHOT_FILLED = "listed as filled"
    """Ended, with all of the size that the venue states filled, which need not be the size that we know."""

    __hash__ = object.__hash__  # by identity: the one of `Enum` is a call in Python, and orders look up by it


class Step(msgspec.Struct, frozen=True):
    """What a fact does: the `status` it leads to (None: the status stays) and whether it is an alarm for the operator.

    A live status as target stands for all of them: which one the order shows follows from its own numbers and its
    unanswered requests.
    """

    status: S | None = None
    is_alarm: bool = False

    def __str__(self) -> str:
        text = "·" if self.status is None else self.status.value
        return f"{text} ⚠" if self.is_alarm else text


IGNORED = Step()
"""Nothing new: the status stays."""
ALARM = Step(is_alarm=True)
"""Contradicts what is proved: the status stays, and an alarm is raised."""

LIVE = frozenset({S.WORKING, S.PARTIALLY_FILLED, S.CANCEL_REQUESTED, S.AMEND_REQUESTED})
"""The statuses of an order that the venue is known to hold."""

Row = dict[OrderFact, Step]

_F = OrderFact
_PARTIAL, _FILLED, _ENDING = Step(S.PARTIALLY_FILLED), Step(S.FILLED), Step(S.ENDING)
_ENDS: Row = {
    _F.CANCELLED: Step(S.CANCELLED),
    _F.EXPIRED: Step(S.EXPIRED),
    _F.SNAPSHOT_ENDED: Step(S.CANCELLED),
    _F.SNAPSHOT_FILLED: _ENDING,
    _F.FILL_FULL: _FILLED,
    _F.FILL_OVER: Step(S.FILLED, is_alarm=True),
    _F.FILLS_MISSING: IGNORED,
}
_UNPROVED: Row = _ENDS | {
    _F.SENT: IGNORED,
    _F.NOT_SENT: Step(S.REJECTED),
    _F.ACCEPTED: Step(S.WORKING),
    _F.REJECTED: Step(S.REJECTED),
    _F.CANCEL_PENDING: Step(S.CANCEL_REQUESTED),
    _F.CANCEL_REFUSED: IGNORED,
    _F.AMENDED: Step(S.WORKING),
    _F.AMEND_REFUSED: IGNORED,
    _F.UNKNOWN: Step(S.UNKNOWN),
    _F.NEVER_ARRIVED: Step(S.REJECTED),
    _F.NOT_FOUND: Step(S.UNKNOWN),
    _F.CANCEL_REQUESTED: IGNORED,
    _F.AMEND_REQUESTED: IGNORED,
    _F.FILL_PARTIAL: _PARTIAL,
    _F.SNAPSHOT_OPEN: Step(S.WORKING),
}
_AT_VENUE: Row = _ENDS | {
    _F.SENT: IGNORED,
    _F.NOT_SENT: ALARM,
    _F.ACCEPTED: IGNORED,
    _F.REJECTED: Step(S.REJECTED, is_alarm=True),
    _F.CANCEL_PENDING: Step(S.CANCEL_REQUESTED),
    _F.CANCEL_REFUSED: IGNORED,
    _F.AMENDED: IGNORED,
    _F.AMEND_REFUSED: IGNORED,
    _F.UNKNOWN: IGNORED,
    _F.NEVER_ARRIVED: ALARM,
    _F.NOT_FOUND: Step(S.UNKNOWN),
    _F.CANCEL_REQUESTED: Step(S.CANCEL_REQUESTED),
    _F.AMEND_REQUESTED: Step(S.AMEND_REQUESTED),
    _F.FILL_PARTIAL: _PARTIAL,
    _F.SNAPSHOT_OPEN: IGNORED,
}
_FINAL: Row = dict.fromkeys(OrderFact, IGNORED) | {
    _F.FILL_FULL: _FILLED,
    _F.FILL_OVER: Step(S.FILLED, is_alarm=True),
    _F.NOT_SENT: ALARM,
    _F.NEVER_ARRIVED: ALARM,
}

TABLE: dict[S, Row] = {
    S.RECORDED: _UNPROVED | {_F.SENT: Step(S.SENT)},
    S.SENT: _UNPROVED,
    S.UNKNOWN: _UNPROVED | {_F.NOT_SENT: ALARM, _F.UNKNOWN: IGNORED, _F.NOT_FOUND: IGNORED},
    S.WORKING: _AT_VENUE,
    S.PARTIALLY_FILLED: _AT_VENUE | {_F.FILL_PARTIAL: IGNORED},
    S.CANCEL_REQUESTED: _AT_VENUE
    | {
        _F.CANCEL_PENDING: IGNORED,
        _F.CANCEL_REFUSED: Step(S.WORKING),
        _F.CANCEL_REQUESTED: IGNORED,
        _F.AMEND_REQUESTED: IGNORED,
        _F.FILL_PARTIAL: IGNORED,
    },
    S.AMEND_REQUESTED: _AT_VENUE
    | {
        _F.AMENDED: Step(S.WORKING),
        _F.AMEND_REFUSED: Step(S.WORKING),
        _F.AMEND_REQUESTED: ALARM,
        _F.FILL_PARTIAL: IGNORED,
    },
    S.ENDING: _FINAL | {_F.FILLS_MISSING: Step(S.FILLED, is_alarm=True)},
    S.FILLED: _FINAL | {_F.FILL_FULL: IGNORED, _F.FILL_OVER: ALARM},
    S.CANCELLED: _FINAL | {_F.REJECTED: Step(S.REJECTED), _F.EXPIRED: Step(S.EXPIRED)},
    S.EXPIRED: _FINAL,
    S.REJECTED: _FINAL
    | {
        _F.NOT_SENT: IGNORED,
        _F.NEVER_ARRIVED: IGNORED,
        _F.ACCEPTED: ALARM,
        _F.EXPIRED: Step(S.EXPIRED),
        _F.FILL_PARTIAL: ALARM,
        _F.SNAPSHOT_FILLED: ALARM,
        _F.FILL_FULL: Step(S.FILLED, is_alarm=True),
        _F.SNAPSHOT_OPEN: ALARM,
    },
}
"""`TABLE[status][fact]`, for every pair."""

_ALARMING_EVIDENCE = (_F.CANCELLED, _F.EXPIRED, _F.SNAPSHOT_ENDED, _F.FILL_FULL, _F.FILL_OVER)
INFERRED_ROW: Row = TABLE[S.REJECTED] | {
    _F.REJECTED: IGNORED,
    _F.ACCEPTED: Step(S.WORKING, is_alarm=True),
    _F.AMENDED: Step(S.WORKING, is_alarm=True),
    _F.CANCEL_PENDING: Step(S.CANCEL_REQUESTED, is_alarm=True),
    _F.SNAPSHOT_OPEN: Step(S.WORKING, is_alarm=True),
    _F.FILL_PARTIAL: Step(S.PARTIALLY_FILLED, is_alarm=True),
    **{fact: Step(_ENDS[fact].status, is_alarm=True) for fact in _ALARMING_EVIDENCE},
}
"""The row of an order that is REJECTED by inference only (never sent, never arrived): proof of existence beats it."""

_BY_KIND = {kind: OrderFact[kind.name] for kind in ReportKind}
_REFUSALS = (ReportKind.CANCEL_REFUSED, ReportKind.AMEND_REFUSED)
CODE_NOT_FOUND = "not_found"
"""The code of a refused cancel or amend that says: the venue knows no such order. A format: it is in the journal."""


def fact_of(kind: ReportKind, code: str) -> OrderFact:
    """The fact that a report of this kind and code states. "Not found" is no refusal: it may have ended (I9)."""
    return _F.NOT_FOUND if code == CODE_NOT_FOUND and kind in _REFUSALS else _BY_KIND[kind]


def transition_table() -> str:
    """The table as Markdown: a row per fact, a column per status. `·` stays, ⚠ alarms."""
    rows: dict[str, Row] = {status.value: TABLE[status] for status in S}
    rows["rejected, inferred"] = INFERRED_ROW
    lines = [f"| fact | {' | '.join(rows)} |", "|---" * (len(rows) + 1) + "|"]
    lines += [f"| {fact.value} | {' | '.join(str(row[fact]) for row in rows.values())} |" for fact in OrderFact]
    return "\n".join(lines)
