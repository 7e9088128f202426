"""After a cell: what the journal, the venue and the front say of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from framework.domain.account_events import Fill, OrderReport, OrderSnapshot, ReportKind
from framework.domain.intents import NewOrder
from framework.domain.orders import OrderStatus
from framework.domain.verdicts import Approved
from framework.persistence.journal.records import Record
from tests.proofs.ambiguity.front import Call
from tests.proofs.ambiguity.venues import Act, Asked, Pace
from tests.proofs.ambiguity.world import World

LOOK_UPS_MIN = 2
MS = 1_000_000
ENDINGS = (
    ReportKind.NOT_SENT,
    ReportKind.REJECTED,
    ReportKind.CANCELLED,
    ReportKind.EXPIRED,
    ReportKind.NEVER_ARRIVED,
)


class Judge:
    """The verdict on one world whose daemon has stopped: `faults` is empty when every promise was kept."""

    def __init__(self, world: World, pace: Pace) -> None:
        self._world = world
        self._pace = pace
        self._records = world.records()
        self._asked: list[tuple[Asked, Call]] = [
            (asked, call) for call in world.front.calls if (asked := world.venue.asked(call)) is not None
        ]

    def faults(self) -> list[str]:
        """Everything that is wrong."""
        faults = [*self._resends(), *self._doubles(), *self._unrecorded(), *self._unfounded()]
        faults += list(dict.fromkeys(self._world.under_reserved))[:3]
        faults += [f"{order} is left at the venue" for order in self._world.venue.orders() if order.state == "open"]
        return faults

    def _resends(self) -> list[str]:
        """Each order is sent once, under an id that was approved: nothing is tried again after it may have landed. A
        venue that takes an id once may get the same order again under its own."""
        approved = {name for record in self._records if (name := _approved_order(record))}
        submits = [asked for asked, _ in self._asked if asked.act is Act.SUBMIT]
        faults = [f"{one.order_id} was sent without approval" for one in submits if one.order_id not in approved]
        if getattr(self._world.venue, "is_idempotent", False):
            submits = list(dict.fromkeys(submits))
        faults += [f"sent {n} times: {name}" for name, n in Counter(one.order_id for one in submits).items() if n > 1]
        contents = Counter(one.content for one in submits)
        faults += [f"sent {n} times under different ids: {content}" for content, n in contents.items() if n > 1]
        amends = Counter(one for one, _ in self._asked if one.act is Act.AMEND)
        return faults + [f"amended {n} times: {one.order_id}" for one, n in amends.items() if n > 1]

    def _doubles(self) -> list[str]:
        """The venue has accepted at most one order under an id."""
        ids = Counter(order.client_order_id for order in self._world.venue.orders())
        return [f"the venue has {n} orders of {name}" for name, n in ids.items() if n > 1]

    def _unrecorded(self) -> list[str]:
        """Every order was recorded as sent before the venue's side saw it."""
        sent_ns: dict[str, int] = {}
        for record in self._records:
            if isinstance(record.body, OrderReport) and record.body.kind is ReportKind.SENT:
                sent_ns.setdefault(record.body.client_order_id, record.monotonic_ns)
        return [
            f"{asked.order_id} left before it was recorded"
            for asked, call in self._asked
            if asked.act is Act.SUBMIT and sent_ns.get(asked.order_id, call.seen_ns + 1) > call.seen_ns
        ]

    def _unfounded(self) -> list[str]:
        """Every end has the venue's word behind it: an answer, a listing, fills, or look-ups that found nothing."""
        faults = []
        for name in self._world.wishes:
            order = self._world.order(name)
            told = [record for record in self._records if _is_about(record, name, order.venue_order_id)]
            endings = [record for record in told if _is_ending(record)]
            faults += [text for ending in endings if (text := self._doubt(ending, told))]
            if order.status.is_final and order.status is not OrderStatus.FILLED and not endings:
                faults.append(f"{name} is {order.status.value}, and nothing in the journal says why")
            fills = {record.body.fill_id: record.body.size for record in told if isinstance(record.body, Fill)}
            traded = sum(fills.values())
            if order.status is OrderStatus.FILLED and traded != order.size:
                faults.append(f"{name} is filled, and the journal has fills of {traded}")
        return faults

    def _doubt(self, ending: Record, told: Sequence[Record]) -> str:
        """Why an end that the journal states is not proved; empty when it is."""
        report = ending.body
        if not isinstance(report, OrderReport):
            return ""
        name, by_ns = report.client_order_id, ending.monotonic_ns
        calls = [call for asked, call in self._asked if asked.act is Act.SUBMIT and asked.order_id == name]
        if report.kind is ReportKind.NOT_SENT:
            is_proved = not any(call.forwarded_ns for call in calls)
        elif report.kind is ReportKind.NEVER_ARRIVED or report.code == "not_listed":
            is_proved = self._look_ups(told, by_ns) >= LOOK_UPS_MIN
        elif report.kind is ReportKind.REJECTED:
            is_proved = any(call.was_told(400, 499, by_ns=by_ns) for call in calls)
        elif report.kind is ReportKind.CANCELLED:
            ends = [call for asked, call in self._asked if asked == Asked(Act.CANCEL, report.venue_order_id)]
            is_proved = any(call.was_told(200, 299, by_ns=by_ns) for call in ends)
        else:
            is_proved = False
        return "" if is_proved else f"{name}: {report.kind.value} ({report.code} {report.detail}) has no word behind it"

    def _look_ups(self, told: Sequence[Record], by_ns: int) -> int:
        """Look-ups that were answered before `by_ns` and later than the read lag after the last doubt."""
        inquiries = [
            record.monotonic_ns
            for record in told
            if record.monotonic_ns < by_ns
            and isinstance(record.body, OrderReport)
            and (record.body.kind is ReportKind.UNKNOWN or record.body.code == "not_found")
        ]
        since_ns = max(inquiries, default=by_ns) + self._pace.read_lag_ms * MS
        return sum(
            call.seen_ns >= since_ns and call.was_told(200, 299, by_ns=by_ns)
            for call in self._world.front.calls
            if self._world.venue.is_look_up(call)
        )


def _approved_order(record: Record) -> str:
    body = record.body
    return body.client_order_id if isinstance(body, Approved) and isinstance(body.intent, NewOrder) else ""


def _is_about(record: Record, name: str, venue_order_id: str) -> bool:
    body = record.body
    if isinstance(body, (OrderReport, OrderSnapshot, Fill)):
        return name == body.client_order_id or (venue_order_id != "" and venue_order_id == body.venue_order_id)
    return False


def _is_ending(record: Record) -> bool:
    body = record.body
    if isinstance(body, OrderSnapshot):
        return not body.is_open
    return isinstance(body, OrderReport) and body.kind in ENDINGS
