"""The client against the venue's local exchange: what is found again, whose a fill is, what the keys are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.client.connector import VenueConnector
from connectors.kalqix.connector import make_connector
from connectors.kalqix.plugin import sandbox_settings
from connectors.kalqix.settings import KalqixSettings
from framework.domain.account_events import BalanceReport, OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import AccountRefused, ConfigurationError, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId, instrument_id
from framework.domain.intents import CancelAll, CancelOrder, NewOrder
from framework.domain.market_events import TradePrint
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderKind, Side, TimeInForce
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, Signed
from framework.runtime.clock import SystemClock, system_rng
from tests.connectors.kalqix.sandbox.client import Client, by_wallet, serving

BTC = instrument_id("kalqix", "BTC_USDC")
SHORT = {"request_timeout_ms": 2_000, "book_interval_ms": 50, "trades_interval_ms": 50, "orders_interval_ms": 50}


class Desk:
    """A started connector, what it publishes, and the exchange behind it."""

    def __init__(self, connector: VenueConnector, client: Client) -> None:
        self.connector = connector
        self.gateway = connector.gateway
        self.client = client
        self.events: list[Event] = []
        self._placed = 0

    def signed(self, side: Side = Side.BUY, price: str = "62000", size: str = "0.01", **fields: Any) -> Signed:
        self._placed += 1
        given = {"price": Price(int(float(price) * 100)), "size": Size(int(float(size) * 10_000))} | fields
        intent = NewOrder(strategy="mm", instrument=BTC, side=side, **given)
        return self.gateway.sign(self.approved(intent, f"tg-{self._placed}"), None)

    def approved(self, intent: Any, name: str = "") -> Approved:
        kind = RequestKind.NEW if isinstance(intent, NewOrder) else RequestKind.CANCEL
        return Approved(
            intent=intent, venue="kalqix", client_order_id=name, request_kind=kind, ts_ns=SystemClock().now_ns()
        )

    async def place(self, **fields: Any) -> Order:
        """Place an order; the order as it is known once its answer has come."""
        signed = self.signed(**fields)
        (event, *_) = await self.gateway.send(signed)
        assert isinstance(event, OrderReport)
        assert event.kind is ReportKind.ACCEPTED
        return order_of(signed, venue_order_id=event.venue_order_id)


def order_of(signed: Signed, **known: Any) -> Order:
    """What the daemon knows of an order that was sent."""
    intent = signed.approved.intent
    assert isinstance(intent, NewOrder)
    terms = {name: getattr(intent, name) for name in ("strategy", "instrument", "side", "price", "size", "kind")}
    name, sent = signed.approved.client_order_id, signed.digest
    made = Order(client_order_id=name, venue="kalqix", created_ns=signed.approved.ts_ns, sent_as=sent, **terms)
    return msgspec.structs.replace(made, **known)


def settings_of(ready: Mapping[str, Any], **changes: Any) -> KalqixSettings:
    return KalqixSettings(**(dict(sandbox_settings(ready)) | {"markets": ("*",)} | SHORT | changes))


@asynccontextmanager
async def trading(directory: Path, dialect: str = "a", **changes: Any) -> AsyncIterator[Desk]:
    async with serving(directory, dialect=dialect) as client:
        await client.make_market()
        settings = settings_of(client.ready, **changes)
        desk = Desk(make_connector("kalqix", settings, clock=SystemClock(), rng=system_rng()), client)
        try:
            await desk.connector.start(lambda event, *_: desk.events.append(event))
            yield desk
        finally:
            await desk.connector.close()


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_order_when_its_answer_is_lost_then_it_is_found_by_what_was_sent(tmp_path: Path, dialect: str) -> None:
    async with trading(tmp_path, dialect) as desk:
        signed, twin = desk.signed(), desk.signed()
        await desk.gateway.send(signed)
        await desk.gateway.send(twin)
        found = await desk.gateway.find_order(order_of(signed), is_claimed=lambda _: False)
        other = await desk.gateway.find_order(order_of(twin), is_claimed=lambda _: False)
        never = await desk.gateway.find_order(order_of(desk.signed()), is_claimed=lambda _: False)
    assert isinstance(found, OrderSnapshot)
    assert isinstance(other, OrderSnapshot)
    assert found.venue_order_id != other.venue_order_id
    assert (found.client_order_id, found.is_open, found.size) == ("tg-1", True, 100)
    assert never is None


async def test_order_of_a_when_rows_show_no_signature_then_content_and_time_find_it_and_never_a_guess(
    tmp_path: Path,
) -> None:
    async with trading(tmp_path) as desk:
        signed = desk.signed()
        await desk.gateway.send(signed)
        desk.client.venue.signatures.clear()
        order = order_of(signed)
        found = await desk.gateway.find_order(order, is_claimed=lambda _: False)
        assert isinstance(found, OrderSnapshot)
        assert await desk.gateway.find_order(order, is_claimed=lambda name: name == found.venue_order_id) is None
        assert await desk.gateway.find_order(msgspec.structs.replace(order, size=Size(1)), is_claimed=bool) is None
        later = msgspec.structs.replace(order, created_ns=order.created_ns + 60_000_000_000)
        assert await desk.gateway.find_order(later, is_claimed=lambda _: False) is None
        await desk.gateway.send(desk.signed())
        desk.client.venue.signatures.clear()
        with pytest.raises(Retryable, match="nothing tells them apart"):
            await desk.gateway.find_order(order, is_claimed=lambda _: False)


async def test_order_of_a_when_our_clock_was_set_back_since_then_its_signature_finds_it(tmp_path: Path) -> None:
    async with trading(tmp_path) as desk:
        signed = desk.signed()
        await desk.gateway.send(signed)
        order = order_of(signed)
        dated_ahead = msgspec.structs.replace(order, created_ns=order.created_ns + 3_600_000_000_000)
        found = await desk.gateway.find_order(dated_ahead, is_claimed=lambda _: False)
    assert isinstance(found, OrderSnapshot)
    assert found.client_order_id == order.client_order_id


async def test_order_of_a_when_its_wallet_signature_is_shown_then_another_of_its_terms_is_not_taken(
    tmp_path: Path,
) -> None:
    async with trading(tmp_path) as desk:
        await desk.gateway.send(desk.signed())
        never_sent = order_of(desk.signed())
        assert await desk.gateway.find_order(never_sent, is_claimed=lambda _: False) is None


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_fills_when_orders_make_and_take_then_role_side_and_fee_are_the_accounts(
    tmp_path: Path, dialect: str
) -> None:
    async with trading(tmp_path, dialect) as desk:
        made = await desk.place(price="63000", size="0.2")
        await desk.client.act("trade", instrument="BTC_USDC", side="sell", price="63000", size="0.2")
        took = await desk.place(side=Side.SELL, price="62990", size="0.1")
        fills = await desk.gateway.fills(0)
        assert fills is not None
        real = desk.client.venue.served.exchange.ledger.fills
    assert [(one.venue_order_id, one.side, one.is_maker, one.price, one.size) for one in fills] == [
        (made.venue_order_id, Side.BUY, True, 6_300_000, 2_000),
        (took.venue_order_id, Side.SELL, False, 6_299_000, 1_000),
    ]
    assert [one.fee for one in fills] == [one.fee for one in real] == [1_260_000, 1_574_750]


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_fills_when_two_own_orders_trade_with_each_other_then_both_halves_are_there(
    tmp_path: Path, dialect: str
) -> None:
    async with trading(tmp_path, dialect) as desk:
        bought, sold = await desk.place(price="63000"), await desk.place(side=Side.SELL, price="63000")
        fills = await desk.gateway.fills(0) or ()
    assert {(one.venue_order_id, one.side, one.is_maker) for one in fills} == {
        (bought.venue_order_id, Side.BUY, True),
        (sold.venue_order_id, Side.SELL, False),
    }
    assert len({one.fill_id for one in fills}) == 2


async def test_fills_of_a_when_an_order_is_another_hands_then_the_venue_is_asked_whose_it_is(tmp_path: Path) -> None:
    async with trading(tmp_path) as desk:
        made = await desk.client.act(
            "order", instrument="BTC_USDC", side="buy", price="63010", size="0.3", time_in_force="ioc"
        )
        fills = await desk.gateway.fills(0) or ()
    assert [(one.venue_order_id, one.side, one.is_maker) for one in fills] == [(made["order_id"], Side.BUY, False)]


async def test_fills_when_they_are_more_than_a_page_then_all_are_read_and_later_ones_alone(tmp_path: Path) -> None:
    async with trading(tmp_path) as desk:
        for _ in range(30):
            await desk.place(price="63010", size="0.001")
        fills = await desk.gateway.fills(0) or ()
        assert len(fills) == 30
        assert [one.ts_venue for one in fills] == sorted(one.ts_venue for one in fills)
        last = await desk.gateway.fills(fills[-1].ts_venue) or ()
    assert [one.fill_id for one in last] == [fills[-1].fill_id]


async def test_market_order_when_it_is_sent_then_it_trades_no_worse_than_its_price_and_never_rests(
    tmp_path: Path,
) -> None:
    async with trading(tmp_path) as desk:
        order = await desk.place(price="63010", size="1.5", kind=OrderKind.MARKET)
        found = await desk.gateway.find_order(order, is_claimed=bool)
    assert isinstance(found, OrderSnapshot)
    assert (found.is_open, found.filled, found.reason) == (False, 10_000, "expired_in_match")


async def test_market_order_when_an_amount_is_given_then_a_buyer_spends_no_more_and_a_seller_is_refused(
    tmp_path: Path,
) -> None:
    terms = {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL, "quote_amount": Money(10**9)}
    async with trading(tmp_path) as desk:
        await desk.place(price="63010", size="1", **terms)
        (fill,) = await desk.gateway.fills(0) or ()
        with pytest.raises(RefusedByVenue, match="only a buyer"):
            desk.signed(side=Side.SELL, price="62000", size="1", **terms)
    assert 990 * 10**6 < fill.price * fill.size <= 10**9


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_cancel_when_it_is_sent_then_it_is_pending_and_a_second_one_is_no_refusal(
    tmp_path: Path, dialect: str
) -> None:
    async with trading(tmp_path, dialect) as desk:
        await desk.client.fault("slow_cancel", delay_ms=1_000, count=-1)
        order = await desk.place()
        cancel = desk.approved(CancelOrder(strategy="mm", client_order_id="tg-1"), "tg-1")
        reports = [await desk.gateway.send(desk.gateway.sign(cancel, order)) for _ in range(2)]
        found = await desk.gateway.find_order(order, is_claimed=bool)
    kinds = [one.kind for (one,) in reports if isinstance(one, OrderReport)]
    assert kinds == [ReportKind.CANCEL_PENDING, ReportKind.CANCEL_PENDING]
    assert found is not None
    assert (found.is_open, found.is_cancelling) == (True, True)


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_cancel_all_when_it_is_for_a_market_then_orders_of_others_stay(tmp_path: Path, dialect: str) -> None:
    async with trading(tmp_path, dialect) as desk:
        for _ in range(3):
            await desk.place()
        other = await desk.client.act("order", instrument="ETH_USDC", side="buy", price="2400", size="1")
        intent = CancelAll(strategy="", venue="kalqix", instrument=BTC)
        await desk.gateway.send(desk.gateway.sign(desk.approved(intent), None))
        for _ in range(100):
            left = await desk.gateway.open_orders()
            if left is not None and len(left) == 1:
                break
            await asyncio.sleep(0.02)
    assert left is not None
    assert [one.venue_order_id for one in left] == [other["order_id"]]
    unknown = CancelAll(strategy="", venue="kalqix", instrument=InstrumentId("kalqix:BTC_EUR"))
    with pytest.raises(RefusedByVenue, match="the number of its market is not known"):
        desk.gateway.sign(desk.approved(unknown), None)


async def test_trades_when_more_are_made_between_two_reads_than_a_page_holds_then_none_is_missed(
    tmp_path: Path,
) -> None:
    async with trading(tmp_path, trades_interval_ms=400) as desk:
        running = asyncio.create_task(desk.connector.run())
        await asyncio.sleep(0.6)
        for _ in range(60):
            await desk.client.act("trade", instrument="BTC_USDC", side="buy", price="63010", size="0.001")
        for _ in range(200):
            seen = [one.trade_id for one in desk.events if isinstance(one, TradePrint)]
            if len(seen) >= 60:
                break
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        real = [one.trade_id for one in desk.client.venue.served.exchange.ledger.trades("BTC_USDC")]
    assert seen == real


async def test_balances_when_they_are_read_then_available_and_locked_are_exact(tmp_path: Path) -> None:
    async with trading(tmp_path) as desk:
        await desk.place(price="60000", size="0.5")
        events = await desk.connector._parts.read_balances()
        real = {one.currency: one for one in desk.client.venue.member.holdings(SystemClock().now_ns())}
    found = {one.currency: one for one in events if isinstance(one, BalanceReport)}
    assert found.keys() == real.keys()
    for name, one in found.items():
        numbers = [str(one.amount), str(one.available), str(one.locked)]
        texts = [real[name].total, real[name].available, real[name].locked]
        assert numbers == [str(int(Decimal(text) * 10**8)) for text in texts]
    assert found["USDC"].locked == 30_003 * 10**8 + 200


async def test_wallet_when_it_is_another_accounts_then_it_is_said_and_orders_halt_the_venue(tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_text("22" * 32)
    other.chmod(0o600)
    async with trading(tmp_path / "sandbox", wallet_key_path=other) as desk:
        notes = await desk.connector.access_notes()
        assert any("orders would be refused" in note for note in notes), notes
        with pytest.raises(AccountRefused, match="dialect, and the key that signs orders"):
            await desk.gateway.send(desk.signed())


async def test_replay_when_an_order_is_refused_as_one_then_it_stays_in_question(tmp_path: Path) -> None:
    async with trading(tmp_path) as desk:
        signed = desk.signed()
        await desk.gateway.send(signed)
        # Something on the way has doubled the request: the order is there, so this refusal proves nothing.
        with pytest.raises(Exception, match="proves nothing; look the order up"):
            await desk.gateway.send(signed)
        assert await desk.gateway.find_order(order_of(signed), is_claimed=lambda _: False) is not None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("11" * 31, "holds no private key; it must be 64 hexadecimal digits"),
        ("-----BEGIN PRIVATE KEY-----\nabc", "holds no secret"),
        ("00" * 32, "is none of the curve secp256k1"),
    ],
)
async def test_wallet_key_when_its_file_holds_something_else_then_the_start_says_so(
    tmp_path: Path, content: str, text: str
) -> None:
    file = tmp_path / "wallet.key"
    file.write_text(content)
    file.chmod(0o600)
    settings = KalqixSettings(key_id="k", api_secret_path=file, wallet_key_path=file, markets=("*",))
    with pytest.raises(ConfigurationError, match=text):
        make_connector("kalqix", settings, clock=SystemClock(), rng=system_rng())


def test_sandbox_client_when_it_signs_then_it_is_not_by_the_products_code() -> None:
    assert by_wallet.__module__ == "tests.connectors.kalqix.sandbox.client"


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_dialect_when_the_venue_speaks_the_other_one_then_the_start_is_refused_and_says_what_to_check(
    tmp_path: Path, dialect: str
) -> None:
    async with serving(tmp_path, dialect=dialect) as client:
        key = client.ready["wallet_key_path"]
        other = {"dialect": "b" if dialect == "a" else "a", "agent_index": 6, "agent_key_path": key}
        settings = settings_of(client.ready, wallet_key_path=key, **other)
        connector = make_connector("kalqix", settings, clock=SystemClock(), rng=system_rng())
        with pytest.raises(AccountRefused, match="the key is refused; check key_id, api_secret_path, dialect"):
            await connector.start(lambda *_: None)
        await connector.close()


@pytest.mark.parametrize("step_ms", [-10_000, 3_600_000])
async def test_order_when_the_venues_clock_steps_then_one_stamp_is_refused_and_the_next_is_right(
    tmp_path: Path, step_ms: int
) -> None:
    async with trading(tmp_path) as desk:
        await desk.place()
        await desk.client.fault("clock_skew", skew_ms=step_ms, count=-1)
        with pytest.raises(Retryable, match="the clock is measured anew") as refused:
            await desk.gateway.send(desk.signed())
        assert refused.value.was_answered
        await desk.place()
        assert desk.client.venue.served.observed.refused_signatures == 1
