"""Which rare things were met, and how often: a proof that never meets them says nothing about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from framework.domain.account_events import (
    Fill,
    FillVoided,
    InstrumentSettled,
    OrderAdopted,
    OrderReport,
    OrderSnapshot,
    ReportKind,
)
from framework.domain.orders import Order, OrderStatus
from framework.domain.verdicts import Approved
from framework.state.accounts import AccountRecord, Accounts
from tests.proofs.event_order.observer import Observer, Watched
from tests.proofs.event_order.words import Ask

K, S = ReportKind, OrderStatus
LIVE = frozenset({S.WORKING, S.PARTIALLY_FILLED, S.CANCEL_REQUESTED, S.AMEND_REQUESTED})


class Sight:
    """A record, and how things stood before it was taken in; `order` and `watched` are as they stand after it."""

    def __init__(self, accounts: Accounts, observer: Observer, record: AccountRecord, name: str) -> None:
        order, watched = accounts.orders.get(name), observer.orders.get(name)
        self.record = record
        self.name = name
        self.observer = observer
        self.status = None if order is None else order.status
        self.filled = 0 if order is None else int(order.filled)
        self.is_linked = order is not None and bool(order.venue_order_id)
        self.is_amending = order is not None and order.amend_size is not None
        self.is_shown = watched is not None and watched.is_shown
        self.is_inferred = self.status is S.REJECTED and watched is not None and not watched.ends
        self.is_new = not (isinstance(record, Fill) and record.fill_id in observer.fills)
        self.is_fill_known = isinstance(record, FillVoided) and record.fill_id in observer.fills
        self.is_void_new = isinstance(record, FillVoided) and record.fill_id not in observer.voids
        self.position = 0
        if isinstance(record, InstrumentSettled) and record.instrument not in observer.settled:
            self.position = observer.money(record.instrument).size

    @property
    def watched(self) -> Watched | None:
        """What the observer knows of the order."""
        return self.observer.orders.get(self.name)

    def becomes(self, order: Order, *statuses: OrderStatus) -> bool:
        """Whether the order got one of these statuses by this record."""
        return order.status in statuses and self.status is not order.status

    def was_refused(self, ask: Ask) -> bool:
        """Whether the venue refused such a request, and told so."""
        requests = self.watched.requests if self.watched is not None else []
        return any(one.ask is ask and one.decided_at and one.is_answered and not one.is_granted for one in requests)


Is = Callable[[Sight, Order], bool]


def _is_kind(sight: Sight, *kinds: ReportKind) -> bool:
    return isinstance(sight.record, OrderReport) and sight.record.kind in kinds


def _is_worked_out(sight: Sight) -> bool:
    """Whether it is about a fill that nobody told: its name shows it."""
    return isinstance(sight.record, Fill | FillVoided) and sight.record.fill_id.endswith("#")


def _is_proved_by_listing(sight: Sight, order: Order) -> bool:
    return sight.is_amending and order.amend_size is None and order.status in LIVE


def _is_of_old_terms(sight: Sight, order: Order) -> bool:
    record = sight.record
    is_other = isinstance(record, OrderSnapshot) and (record.price, record.size) != (order.price, order.size)
    return is_other and isinstance(record, OrderSnapshot) and record.is_open and sight.status in LIVE


def _is_uncalled(sight: Sight, order: Order) -> bool:
    requests = sight.watched.requests if sight.watched is not None else []
    return sight.becomes(order, S.CANCELLED) and all(one.ask is not Ask.CANCEL for one in requests)


BY_ANY: dict[str, Is] = {
    "ends: filled": lambda sight, order: sight.becomes(order, S.FILLED),
    "ends: cancelled": lambda sight, order: sight.becomes(order, S.CANCELLED),
    "ends: expired": lambda sight, order: sight.becomes(order, S.EXPIRED),
    "cancelled with a part filled": lambda sight, order: sight.becomes(order, S.CANCELLED) and order.filled > 0,
    "cancelled by the venue": _is_uncalled,
    "not found, then seen again": lambda sight, order: (
        sight.status is S.UNKNOWN and sight.is_shown and order.status in LIVE
    ),
    "not found, then ended": lambda sight, order: (
        sight.status is S.UNKNOWN and sight.is_shown and order.status.is_final
    ),
    "unknown, then working": lambda sight, order: sight.status is S.UNKNOWN and order.status is S.WORKING,
    "unknown, then partially filled": lambda sight, order: (
        sight.status is S.UNKNOWN and order.status is S.PARTIALLY_FILLED
    ),
    "unknown, then filled": lambda sight, order: sight.status is S.UNKNOWN and order.status is S.FILLED,
    "unknown, then cancelled": lambda sight, order: sight.status is S.UNKNOWN and order.status is S.CANCELLED,
    "unknown, then expired": lambda sight, order: sight.status is S.UNKNOWN and order.status is S.EXPIRED,
    "never arrived, then appears": lambda sight, order: sight.is_inferred and order.status in LIVE,
    "ended as stated, its fills still missing": lambda sight, order: sight.becomes(order, S.ENDING),
}
BY_FILL: dict[str, Is] = {
    "fill told twice": lambda sight, order: not sight.is_new,
    "fill before the acknowledgement": lambda sight, order: sight.status in (S.SENT, S.UNKNOWN) and not sight.is_shown,
    "fill before its order's venue id is known": lambda sight, order: not sight.is_linked,
    "fill after the cancel was told": lambda sight, order: sight.is_new and sight.status is S.CANCELLED,
    "fill after the expiry was told": lambda sight, order: sight.is_new and sight.status is S.EXPIRED,
    "filled by a late fill after the cancel was told": lambda sight, order: (
        sight.status is S.CANCELLED and order.status is S.FILLED
    ),
    "ended by the last fill that was stated": lambda sight, order: sight.status is S.ENDING and order.status.is_final,
    "fill after its fills were given up": lambda sight, order: (
        sight.is_new and sight.watched is not None and sight.watched.is_given_up
    ),
    "over-fill": lambda sight, order: sight.filled <= order.size < order.filled,
    "fill after the settlement": lambda sight, order: sight.is_new and order.instrument in sight.observer.settled,
    "cancel refused, then filled": lambda sight, order: (
        sight.becomes(order, S.FILLED) and sight.was_refused(Ask.CANCEL)
    ),
    "amend refused, then filled": lambda sight, order: sight.becomes(order, S.FILLED) and sight.was_refused(Ask.AMEND),
    "never arrived, then fills": lambda sight, order: sight.is_inferred,
    "fill inferred": lambda sight, order: sight.is_new and _is_worked_out(sight),
    "order filled by an inferred fill": lambda sight, order: (
        sight.is_new and _is_worked_out(sight) and sight.becomes(order, S.FILLED)
    ),
}
BY_REPORT: dict[str, Is] = {
    "ends: rejected by the venue": lambda sight, order: (
        _is_kind(sight, K.REJECTED) and sight.becomes(order, S.REJECTED)
    ),
    "ends: not sent": lambda sight, order: _is_kind(sight, K.NOT_SENT) and sight.becomes(order, S.REJECTED),
    "ends: never arrived": lambda sight, order: _is_kind(sight, K.NEVER_ARRIVED) and sight.becomes(order, S.REJECTED),
    "unknown, then rejected by the venue": lambda sight, order: (
        _is_kind(sight, K.REJECTED) and sight.status is S.UNKNOWN
    ),
    "unknown, then never arrived": lambda sight, order: _is_kind(sight, K.NEVER_ARRIVED) and sight.status is S.UNKNOWN,
    "expired with a part filled": lambda sight, order: sight.becomes(order, S.EXPIRED) and order.filled > 0,
    "cancelled before the acknowledgement": lambda sight, order: (
        sight.becomes(order, S.CANCELLED) and not sight.is_shown
    ),
    "cancel answered with not found": lambda sight, order: (
        isinstance(sight.record, OrderReport) and sight.record.code == "not_found"
    ),
    "amend accepted": lambda sight, order: _is_kind(sight, K.AMENDED) and sight.is_amending,
    "amended, proved by a listing before": lambda sight, order: (
        _is_kind(sight, K.AMENDED) and not sight.is_amending and sight.status in LIVE
    ),
    "stated fills given up": lambda sight, order: _is_kind(sight, K.FILLS_MISSING) and sight.status is S.ENDING,
    "cancel taken, to be carried out later": lambda sight, order: (
        _is_kind(sight, K.CANCEL_PENDING) and order.status is S.CANCEL_REQUESTED
    ),
    "amend refused": lambda sight, order: _is_kind(sight, K.AMEND_REFUSED) and sight.is_amending,
}
BY_LISTING: dict[str, Is] = {
    "amend proved by a listing alone": _is_proved_by_listing,
    "listed as cancelling": lambda sight, order: (
        isinstance(sight.record, OrderSnapshot) and sight.record.is_cancelling and order.status is S.CANCEL_REQUESTED
    ),
    "old listing as open after the end": lambda sight, order: (
        isinstance(sight.record, OrderSnapshot)
        and sight.record.is_open
        and not sight.is_inferred
        and sight.status is not None
        and sight.status.is_final
    ),
    "old listing with terms of before an amend": _is_of_old_terms,
}
BY_VOID: dict[str, Is] = {
    "inferred fill replaced by the listed one": lambda sight, order: sight.is_fill_known and _is_worked_out(sight),
    "inferred fill of a filled order replaced": lambda sight, order: (
        sight.is_fill_known and _is_worked_out(sight) and sight.status is S.FILLED and order.status is S.FILLED
    ),
    "fill taken back": lambda sight, order: sight.is_fill_known and sight.is_void_new,
    "fill of a filled order taken back": lambda sight, order: (
        sight.is_fill_known and sight.is_void_new and sight.status is S.FILLED
    ),
    "fill taken back before it was told": lambda sight, order: not sight.is_fill_known,
}
BY_REQUEST: dict[str, Is] = {
    "cancel while an amend is unanswered": lambda sight, order: sight.is_amending and order.cancel_wanted,
}
BY_ADOPTION: dict[str, Is] = {
    "order placed by hand adopted": lambda sight, order: True,
    "adopted with fills told before": lambda sight, order: order.filled > 0,
}
BY_TYPE: dict[type, dict[str, Is]] = {
    Fill: BY_ANY | BY_FILL,
    OrderReport: BY_ANY | BY_REPORT,
    OrderSnapshot: BY_ANY | BY_LISTING,
    FillVoided: BY_VOID,
    Approved: BY_REQUEST,
    OrderAdopted: BY_ADOPTION,
}
WITHOUT_ORDER = ("position settled", "order placed by hand listed", "fill of an order placed by hand")
RESTARTS = {
    status: f"restart with an order {status.value.replace('_', ' ')}"
    for status in (S.RECORDED, S.SENT, S.UNKNOWN, S.CANCEL_REQUESTED, S.AMEND_REQUESTED, S.ENDING)
}
NAMES = (*dict.fromkeys(name for table in BY_TYPE.values() for name in table), *WITHOUT_ORDER, *RESTARTS.values())
"""Everything that must be met."""


def see(reached: Counter[str], sight: Sight, order: Order | None) -> None:
    """Count what this record was."""
    record = sight.record
    if isinstance(record, InstrumentSettled):
        reached["position settled"] += bool(sight.position)
    elif order is not None:
        for name, is_it in BY_TYPE.get(type(record), {}).items():
            if is_it(sight, order):
                reached[name] += 1
    elif isinstance(record, OrderSnapshot):
        reached["order placed by hand listed"] += 1
    elif isinstance(record, Fill):
        reached["fill of an order placed by hand"] += 1


def see_restart(reached: Counter[str], accounts: Accounts) -> None:
    """Count in what a restart finds the orders."""
    for order in accounts.orders.open():
        if order.status in RESTARTS:
            reached[RESTARTS[order.status]] += 1
