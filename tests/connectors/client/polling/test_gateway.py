"""Orders that the venue has taken are polled from that moment on."""

from __future__ import annotations

from typing import Any, cast

from connectors.client.polling.gateway import PolledGateway
from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.events import Event
from framework.domain.intents import CancelOrder
from framework.domain.verdicts import Signed
from tests.connectors.client.polling.polled_venue import PolledVenue, order
from tests.connectors.support import LoopClock, approved, new_order, run_jumping


class Answers:
    """The way out of orders: answers every request with the same events."""

    def __init__(self, *events: Event) -> None:
        self.events = events

    async def send(self, _signed: Signed, *, last_word: Any) -> tuple[Event, ...]:
        return self.events


def watched_after(intent: Any, *events: Event) -> list[str]:
    """The orders that are watched after a request was answered so."""

    async def main(clock: LoopClock) -> list[str]:
        venue = PolledVenue(clock, "A")
        gateway = PolledGateway(cast("Any", Answers(*events)), cast("Any", venue), venue.account, read_lag_ms=100)
        assert await gateway.send(Signed(approved(intent), None, "")) == events
        return list(venue.account.orders.orders)

    return run_jumping(main)


def test_order_when_it_is_accepted_or_shown_open_then_it_is_watched() -> None:
    taken = _report("accepted")
    assert watched_after(new_order(), taken) == ["o1"]
    assert watched_after(new_order(), order(2)) == ["o2"]


def test_order_when_it_is_refused_or_has_ended_then_nothing_is_watched() -> None:
    assert watched_after(new_order(), _report("rejected")) == []
    assert watched_after(new_order(), order(2, is_open=False)) == []
    assert watched_after(CancelOrder(strategy="mm", client_order_id="tg-1"), _report("cancelled")) == []


def _report(kind: str) -> OrderReport:
    return OrderReport(venue="tide", client_order_id="tg-1", kind=ReportKind(kind), ts_recv=1, venue_order_id="o1")
