"""What the generations of the API and special markets are to the connector, against the venue's sandbox on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from framework.domain.account_events import (
    InstrumentDefined,
    InstrumentStatusChanged,
    OrderReport,
    OrderSnapshot,
    ReportKind,
)
from framework.domain.errors import AccountRefused
from framework.domain.events import Event
from framework.domain.instruments import InstrumentStatus
from framework.domain.intents import AmendOrder, CancelOrder
from framework.domain.market_events import BookDelta, BookSnapshot, TradePrint
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.state.books import Books
from tests.connectors.kalshi.support import approved
from tests.connectors.kalshi.test_against_sandbox import live_on, order_of


async def test_order_when_the_older_generation_is_spoken_then_answers_stream_and_reads_agree(tmp_path: Path) -> None:
    live = await live_on(tmp_path, dialect="v1", tier="prime", markets=6)
    try:
        await live.until(TradePrint)
        # A market may be without quotes when its snapshot is taken: what follows fills the book.
        await live.until(BookDelta, lambda _one: len(quotes_in(live.events)) > 1)
        assert all(bid < ask for bid, ask in quotes_in(live.events))
        assert (live.instrument.lot, live.instrument.size_min) == (100, 100)
        intent, gateway = live.bid(), live.connector.gateway
        (accepted,) = await live.place(intent, "tg-v1-1")
        assert isinstance(accepted, OrderReport)
        streamed = await live.until(OrderSnapshot, lambda one: one.client_order_id == "tg-v1-1")
        assert (streamed.side, streamed.price, streamed.size, streamed.is_open) == (Side.BUY, 100, 200, True)
        order = order_of(live, accepted, intent)
        assert await gateway.find_order(order) is not None
        amend = AmendOrder(strategy="mm", client_order_id="tg-v1-1", price=Price(200), size=Size(300))
        (amended,) = await gateway.send(gateway.sign(approved(amend, "tg-v1-1"), order))
        assert isinstance(amended, OrderReport)
        assert (amended.kind, amended.price, amended.size) == (ReportKind.AMENDED, 200, 300)
        order.size = Size(300)
        cancel = CancelOrder(strategy="mm", client_order_id="tg-v1-1")
        (cancelled,) = await gateway.send(gateway.sign(approved(cancel, "tg-v1-1"), order))
        assert isinstance(cancelled, OrderReport)
        assert cancelled.kind is ReportKind.CANCELLED
        assert await gateway.open_orders() == ()
    finally:
        await live.stop()


async def test_order_when_the_host_has_closed_the_older_generation_then_the_refusal_says_what_to_set(
    tmp_path: Path,
) -> None:
    live = await live_on(tmp_path, changes={"dialect": "v1", "tier": "prime"})
    try:
        (refused,) = await live.place(live.bid(), "tg-410")
        assert isinstance(refused, OrderReport)
        assert (refused.kind, refused.code) == (ReportKind.REJECTED, "deprecated_v1_order_endpoint")
        assert 'set dialect = "current"' in refused.detail
        assert "\n" not in refused.detail
    finally:
        await live.stop()


@pytest.mark.parametrize(("dialect", "tier"), [("current", "prestige"), ("v1", "prime")])
async def test_requests_when_the_address_is_not_allowed_then_each_says_that_the_account_is_refused(
    tmp_path: Path, dialect: str, tier: str
) -> None:
    live = await live_on(tmp_path, dialect=dialect, tier=tier)
    try:
        await live.admin("POST", "faults", {"kind": "ip_refused", "count": -1})
        for request in (live.place(live.bid(), "tg-403"), live.connector.gateway.positions()):
            with pytest.raises(AccountRefused, match=r"HTTP 403 forbidden: .*the addresses of this machine"):
                await request
        await live.admin("POST", "faults", {"kind": "drop_connection"})
        assert live.task is not None
        with pytest.raises(AccountRefused, match=r"HTTP 403 forbidden: .*the addresses of this machine"):
            await live.task
        assert (await live.admin("GET", "truth"))["orders"] == []
    finally:
        await live.stop()


async def test_order_when_it_alone_is_forbidden_then_it_is_rejected_and_the_account_goes_on(tmp_path: Path) -> None:
    live = await live_on(tmp_path)
    try:
        await live.admin("POST", "faults", {"kind": "ip_refused", "match": {"method": "POST"}})
        (rejected,) = await live.place(live.bid(), "tg-403")
        assert isinstance(rejected, OrderReport)
        assert (rejected.kind, rejected.code) == (ReportKind.REJECTED, "forbidden")
        assert await live.connector.gateway.positions() == ()
    finally:
        await live.stop()


async def test_markets_when_they_are_multivariate_then_they_are_followed_like_others(tmp_path: Path) -> None:
    live = await live_on(tmp_path, changes={"markets": ("series:KXMVETIDE",)}, multivariate=2)
    try:
        combo = live.instrument
        assert combo.symbol.startswith("KXMVETIDE-")
        assert (combo.strike, combo.is_exclusive, combo.fees.maker_rate) == (None, False, "0.035")
        await live.until(BookSnapshot, lambda one: one.instrument == combo.id)
        await live.admin("POST", "act", {"act": "pause", "instrument": combo.symbol})
        await live.until(InstrumentStatusChanged, lambda one: one.status is InstrumentStatus.PAUSED)
    finally:
        await live.stop()


async def test_markets_when_their_event_says_that_one_pays_then_they_are_exclusive(tmp_path: Path) -> None:
    live = await live_on(tmp_path, markets=6)
    try:
        defined = [event.instrument for event in live.events if isinstance(event, InstrumentDefined)]
        exclusive = [one for one in defined if one.is_exclusive]
        assert {one.event.partition("-")[0] for one in exclusive} == {"KXSURGE"}
        assert (len(exclusive), len(defined)) == (3, 6)
    finally:
        await live.stop()


def quotes_in(events: Sequence[Event]) -> list[tuple[Price, Price]]:
    """Best bid and best ask of each market that has both, from its snapshot and what followed."""
    books = Books()
    for event in events:
        if isinstance(event, BookSnapshot | BookDelta):
            books.apply(event, 0)
    return [(one.bid, one.ask) for one in books.of_venue("kalshi") if one.bid is not None and one.ask is not None]
