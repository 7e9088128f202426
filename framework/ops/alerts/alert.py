"""Alerts: what an operator must see, of a closed list of kinds (C22), and the message that says so."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, NamedTuple

import msgspec

from framework.domain.account_events import Scope

ALERT_TEXT_MAX = 1_500
"""Longest text of an alert, in characters. Discord takes messages of 2,000."""


Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A number of times or of nanoseconds: what a damaged file says may be none."""


class AlertLevel(Enum):
    """How urgent it is. The values are a format: configurations and messages have them."""

    PAGE = "page"
    """Somebody must see to it now."""
    TICKET = "ticket"
    """Somebody must see to it in time."""


class AlertKind(Enum):
    """What has happened. The value is a format: names of alerts, metrics and files have it; it never changes. `meaning`
    is the sentence of the documentation, `hold_s` for how long it must be so before it is an alert. An event is over as
    soon as it has happened: it stays until somebody acknowledges it."""

    _value_: str
    level: AlertLevel
    meaning: str
    hold_s: float
    is_event: bool

    def __new__(
        cls, name: str, level: AlertLevel, meaning: str = "", hold_s: float = 0, is_event: bool = False
    ) -> AlertKind:
        member = object.__new__(cls)
        member._value_, member.level, member.meaning = name, level, meaning
        member.hold_s, member.is_event = hold_s, is_event
        return member

    HALTED = (
        "halted",
        AlertLevel.PAGE,
        "A control has halted something: everything, a venue, an instrument, a strategy.",
    )
    REDUCING = "reducing", AlertLevel.PAGE, "A control lets something only reduce its positions."
    QUARANTINED = "quarantined", AlertLevel.TICKET, "A strategy failed too often and is not called any more."
    POSITION_DIFFERS = (
        "position_differs",
        AlertLevel.PAGE,
        "A position is not the venue's, and its instrument is not halted for it.",
    )
    FOREIGN_ORDERS = (
        "foreign_orders",
        AlertLevel.PAGE,
        "Open orders at a venue are of a Tidegate daemon with another state directory.",
    )
    VENUE_DOWN = "venue_down", AlertLevel.PAGE, "A venue is not connected, or answers no requests.", 3
    VENUE_UNUSABLE = (
        "venue_unusable",
        AlertLevel.PAGE,
        "A venue refuses the account, or can't be used as it is configured.",
    )
    BOOK_STALE = "book_stale", AlertLevel.TICKET, "Books that strategies trade on are stale or silent.", 3
    NO_RECONCILIATION = (
        "no_reconciliation",
        AlertLevel.PAGE,
        "No comparison with a venue has succeeded for three minutes.",
    )
    NOT_READY = (
        "not_ready",
        AlertLevel.PAGE,
        "For two minutes a strategy has not begun, or a book has been stale.",
        120,
    )
    ORDER_UNKNOWN = "order_unknown", AlertLevel.PAGE, "An order has been unknown for more than a minute."
    RATE_LIMITED = "rate_limited", AlertLevel.PAGE, "A venue answered 429 within the last minute."
    BUDGET_EXHAUSTED = (
        "budget_exhausted",
        AlertLevel.TICKET,
        "For a minute a venue's rate limit has left no room for a new order.",
    )
    FUND_MOVE_UNKNOWN = (
        "fund_move_unknown",
        AlertLevel.PAGE,
        "It is not known what became of a transfer or a withdrawal.",
        60,
    )
    LEDGER_DOWN = "ledger_down", AlertLevel.TICKET, "The ledger can't be written; trading goes on."
    TAPE_DOWN = "tape_down", AlertLevel.TICKET, "The tape can't be written; trading goes on."
    JOURNAL_FAILED = (
        "journal_failed",
        AlertLevel.PAGE,
        "The journal can't be written: nothing leaves any more, and the daemon stops.",
        0,
        True,
    )
    STOPPED = "stopped", AlertLevel.PAGE, "The daemon stops because a part failed, or orders may be left.", 0, True
    CRASHED = "crashed", AlertLevel.PAGE, "The daemon has started again; the run before ended without a stop.", 0, True
    RESTARTED = "restarted", AlertLevel.TICKET, "The daemon has started again; the run before was stopped.", 0, True
    ALARM = "alarm", AlertLevel.PAGE, "What the log calls an alarm, and no other kind says.", 0, True
    KILLED = "killed", AlertLevel.PAGE, "The kill latch of everything, or of a venue, is set, whoever has set it."


def alert_text(text: str) -> str:
    """A text as alerts have it: not too long, and such that it can be written as UTF-8, whoever it comes from."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain if len(plain) <= ALERT_TEXT_MAX else f"{plain[: ALERT_TEXT_MAX - 1]}…"


class AlertKey(NamedTuple):
    """What makes two alerts the same one: the kind, and what it is about."""

    kind: AlertKind
    scope: Scope
    target: str


class Condition(msgspec.Struct, frozen=True):
    """Something that is so now, as an alert would say it. `target` is what of the `scope` it is about, empty for the
    global one, or tells one alarm from another. `hold_s` None: as long as its kind says."""

    kind: AlertKind
    scope: Scope
    target: str
    text: str
    hold_s: float | None = None

    @property
    def key(self) -> AlertKey:
        """Under which it is the same as before."""
        return AlertKey(self.kind, self.scope, self.target)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that holds. `sent` says how often it was sent and an output took it. `since_ns`, `sent_ns` (the last
    time of these, 0: never) and `acknowledged_ns` are wall times in nanoseconds. `acknowledged_by` is empty while
    nobody has, `reason` what that person said."""

    kind: AlertKind
    scope: Scope
    target: str
    text: str
    since_ns: Count
    sent: Count = 0
    sent_ns: Count = 0
    acknowledged_by: str = ""
    acknowledged_ns: Count = 0
    reason: str = ""

    @property
    def key(self) -> AlertKey:
        """Under which it is the same as before."""
        return AlertKey(self.kind, self.scope, self.target)

    @property
    def name(self) -> str:
        """What an operator calls it, as in `venue_down:kalshi`."""
        return f"{self.kind.value}:{self.target}" if self.target else self.kind.value

    @property
    def is_acknowledged(self) -> bool:
        """Whether somebody has taken it over: then it is not repeated."""
        return bool(self.acknowledged_by)


class NoticeStatus(Enum):
    """What a message says of its alert. The values are a format: messages have them."""

    FIRING = "firing"
    RESOLVED = "resolved"
    TEST = "test"


class Notice(msgspec.Struct, frozen=True):
    """An alert that is to be sent, and what is to be said of it. `until_ns` is the wall time at which it was over, in
    nanoseconds, 0 while it is not. `number` counts what was said of the alert in this run."""

    status: NoticeStatus
    alert: Alert
    until_ns: int = 0
    number: int = 1


class OutputStatus(msgspec.Struct, frozen=True):
    """One output as it is now; `trouble` says why the last message was not taken, empty when it was."""

    name: str
    level: str
    trouble: str = ""


class AlertsShown(msgspec.Struct, frozen=True):
    """What an operator sees of alerts: those that hold, and the outputs."""

    alerts: tuple[Alert, ...] = ()
    outputs: tuple[OutputStatus, ...] = ()


def alert_table() -> str:
    """Every kind with its level and meaning as a Markdown table: `docs/alerts.md` holds it, and a test compares."""
    rows = [f"| `{one.value}` | {one.level.value} | {one.meaning} |" for one in AlertKind]
    return "\n".join(["| kind | level | meaning |", "|---|---|---|", *rows])
