"""The way out against the sandbox, over real HTTP: what becomes of an order whose answer is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.bitexasia.plugin import Settings, create, sandbox_settings
from connectors.bitexasia.sandbox.venue import SPOT
from connectors.sandbox.serving.rest import Arrival
from framework.domain.account_events import BalanceReport, InstrumentDefined, OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import Instrument
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderKind, OrderStatus, Side, TimeInForce, Trigger, TriggerKind
from framework.domain.venue import Connector
from framework.domain.verdicts import Approved
from framework.runtime.clock import SystemClock, seeded_rng
from tests.connectors import support
from tests.connectors.bitexasia.signed_client import Client, StartClient

PLACES = {"method": "POST", "path": "*/orders"}
CANCELS = {"method": "POST", "path": "*/cancel"}
NAME = "tg-1-1"


class Account:
    """A connector that has started, and what the sandbox got of it."""

    def __init__(self, client: Client, connector: Connector) -> None:
        self.client = client
        self.connector = connector
        self.events: list[Event] = []
        self.placed: list[Arrival] = []
        """The new orders that reached the venue's endpoint, as they came."""
        admit = client.venue.admit

        def seen(arrival: Arrival, **how: Any) -> None:
            if arrival.method == "POST" and arrival.path.endswith("/orders"):
                self.placed.append(arrival)
            admit(arrival, **how)

        client.venue.admit = seen  # type: ignore[method-assign]

    @property
    def instrument(self) -> Instrument:
        """The pair of the tests."""
        defined = [one.instrument for one in self.events if isinstance(one, InstrumentDefined)]
        return next(one for one in defined if one.symbol == "BTC-USD")

    def bid(self, **changes: Any) -> NewOrder:
        """A bid of 0.05 BTC at 60,000, unless the fields say otherwise."""
        fields = {"strategy": "mm", "instrument": self.instrument.id, "side": Side.BUY, "price": Price(6_000_000)}
        return NewOrder(**fields | {"size": Size(5)} | changes)

    def approved(self, intent: Any, name: str = NAME) -> Approved:
        """The intent, approved now."""
        made = support.approved(intent, name, venue="bx")
        return msgspec.structs.replace(made, ts_ns=SystemClock().now_ns())

    async def send(self, intent: Any, order: Order | None = None, **how: Any) -> tuple[Event, ...]:
        """Sign and send at once."""
        gateway = self.connector.gateway
        return await gateway.send(gateway.sign(self.approved(intent), order), **how)

    def unknown(self, intent: NewOrder, **changes: Any) -> Order:
        """What is known of an order that was sent just now and not answered."""
        fields = {
            "client_order_id": NAME, "venue": "bx", "strategy": "mm", "instrument": intent.instrument,
            "side": intent.side, "price": intent.price, "size": intent.size, "time_in_force": intent.time_in_force,
            "post_only": intent.post_only, "kind": intent.kind, "trigger": intent.trigger,
            "status": OrderStatus.UNKNOWN, "created_ns": SystemClock().now_ns(),
        }  # fmt: skip
        return Order(**fields | changes)

    async def find(self, order: Order) -> OrderSnapshot | None:
        """Look the order up, as the reconciler does: again while the connection can't be made."""
        async with asyncio.timeout(5):
            while True:
                try:
                    return await self.connector.gateway.find_order(order, is_claimed=lambda _name: False)
                except Retryable:
                    await asyncio.sleep(0.05)

    async def fault(self, kind: str, match: dict[str, str], **more: Any) -> None:
        """Have something go wrong once."""
        await self.client.admin("faults", {"kind": kind, "count": 1, "match": match, **more})

    @property
    def orders(self) -> dict[str, tuple[str, int]]:
        """Client id -> status and filled size of every order of ours at the venue."""
        found = self.client.venue.served.exchange.ledger.orders.values()
        return {one.client_order_id: (one.status, one.filled) for one in found if one.account == SPOT}


@pytest.fixture
async def make(start: StartClient) -> AsyncIterator[Callable[..., Any]]:
    made: list[Connector] = []

    async def account(**changes: Any) -> Account:
        client = await start()
        settings = dict(sandbox_settings(client.ready)) | {
            "markets": ("*",),
            "request_timeout_ms": 300,
            "connects_per_minute_max": 600,
            "read_lag_ms": 0,
        }
        settings["secret_path"] = Path(settings["secret_path"])
        connector = create("bx", Settings(**settings | changes), clock=SystemClock(), rng=seeded_rng(3))
        made.append(connector)
        found = Account(client, connector)
        await connector.start(lambda event, _now=0, _monotonic=0: found.events.append(event))
        return found

    yield account
    for connector in made:
        await connector.close()


@pytest.fixture
async def account(make: Callable[..., Any]) -> Account:
    found: Account = await make()
    return found


def kinds(events: tuple[Event, ...]) -> list[ReportKind]:
    return [one.kind for one in events if isinstance(one, OrderReport)]


@pytest.mark.parametrize("kind", ["lost_request", "lost_response"])
async def test_new_order_when_its_answer_is_lost_then_the_same_body_is_sent_again_and_is_one_order(
    account: Account, kind: str
) -> None:
    await account.fault(kind, PLACES)
    events = await account.send(account.bid())
    assert kinds(events) == [ReportKind.ACCEPTED]
    assert account.orders == {NAME: ("open", 0)}
    if kind == "lost_response":
        first, second = account.placed
        assert first.raw == second.raw
        for name in ("X-Api-Nonce", "X-Api-Timestamp", "X-Api-Signature"):
            assert first.headers[name] != second.headers[name]


@pytest.mark.parametrize("spoil", [{"kind": "delay", "delay_ms": 500}, {"kind": "error_after_accept", "status": 502}])
async def test_new_order_when_its_answer_is_late_or_no_answer_then_it_is_found_by_sending_it_again(
    account: Account, spoil: dict[str, Any]
) -> None:
    await account.client.quote([], [["59000.00", "0.03"]])
    await account.fault(match=PLACES, **spoil)
    (report,) = await account.send(account.bid())
    assert isinstance(report, OrderReport)
    assert (report.kind, report.filled) == (ReportKind.ACCEPTED, 3)
    assert account.orders == {NAME: ("open", 3)}


async def test_new_order_when_it_is_past_its_deadline_then_it_is_not_sent_again(make: Callable[..., Any]) -> None:
    account = await make(resend_ms_max=100)
    await account.fault("delay", PLACES, delay_ms=500)
    with pytest.raises(OutcomeUnknown, match=r"not done again: approved .* resend_ms_max=100"):
        await account.send(account.bid())
    assert len(account.placed) == 1


@pytest.mark.parametrize("reason", ["past its deadline", "trading was halted before it left"])
async def test_new_order_when_the_last_word_is_against_it_then_it_is_not_sent_again(
    account: Account, reason: str
) -> None:
    words = iter([None, reason])
    await account.fault("lost_response", PLACES)
    with pytest.raises(OutcomeUnknown, match=f"not done again: {reason}"):
        await account.send(account.bid(), last_word=lambda: next(words))
    assert len(account.placed) == 1


def until_placed(account: Account) -> Callable[[], str | None]:
    """A last word that is against the order once the venue has it."""
    return lambda: "past its deadline" if account.orders else None


async def test_new_order_when_it_was_sent_again_and_came_too_late_then_it_is_cancelled(account: Account) -> None:
    """The first sending never arrives; the second makes the order, and by then nobody wants it any more."""
    await account.fault("lost_request", PLACES)
    events = await account.send(account.bid(), last_word=until_placed(account))
    assert kinds(events) == [ReportKind.ACCEPTED]
    assert account.orders == {NAME: ("ended", 0)}


async def test_new_order_when_its_late_cancel_fails_then_it_is_unknown_and_the_look_up_cancels_it(
    account: Account,
) -> None:
    await account.fault("lost_request", PLACES)
    await account.fault("ip_refused", CANCELS)
    with pytest.raises(OutcomeUnknown, match="made too late"):
        await account.send(account.bid(), last_word=until_placed(account))
    assert account.orders == {NAME: ("open", 0)}
    long_ago = account.unknown(account.bid(), created_ns=SystemClock().now_ns() - 60_000_000_000)
    found = await account.find(long_ago)
    assert found is not None
    assert not found.is_open
    assert account.orders == {NAME: ("ended", 0)}


async def test_new_order_when_sending_it_again_is_refused_then_nothing_is_proved_about_the_first(
    account: Account,
) -> None:
    await account.fault("lost_response", PLACES)
    await account.send(account.bid())
    account.client.venue.placed[NAME] = {"another": "body"}
    await account.fault("lost_response", PLACES)
    with pytest.raises(OutcomeUnknown, match=r"refused when sent again: .*client_order_id_conflict"):
        await account.send(account.bid())


@pytest.mark.parametrize("kind", ["rate_limit_storm", "replay_refusal", "ip_refused"])
async def test_new_order_when_sending_it_again_is_turned_away_then_its_outcome_is_unknown(
    account: Account, kind: str
) -> None:
    await account.fault("lost_response", PLACES)
    admit, client = account.client.venue.admit, account.client

    def then_fault(arrival: Arrival, **how: Any) -> None:
        admit(arrival, **how)
        client.venue.served.faults.add({"kind": kind, "count": 1, "match": PLACES})

    client.venue.admit = then_fault  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="again"):
        await account.send(account.bid())
    assert account.orders == {NAME: ("open", 0)}


async def test_first_sending_when_it_is_refused_then_it_is_reported_and_not_sent_again(account: Account) -> None:
    (report,) = await account.send(account.bid(size=Size(90_00)))
    assert isinstance(report, OrderReport)
    assert (report.kind, report.code) == (ReportKind.REJECTED, "insufficient_funds")
    await account.fault("ip_refused", PLACES)
    with pytest.raises(AccountRefused, match="ip_not_allowed"):
        await account.send(account.bid())
    assert len(account.placed) == 1


async def test_look_up_when_the_order_is_there_then_it_is_found_and_nothing_new_is_made(account: Account) -> None:
    await account.client.quote([], [["59000.00", "0.03"]])
    bid = account.bid()
    await account.send(bid)
    found = await account.find(account.unknown(bid))
    assert found is not None
    assert (found.client_order_id, found.filled, found.is_open) == (NAME, 3, True)
    assert found.cost == 59_000 * 3 * 100
    assert account.orders == {NAME: ("open", 3)}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"side": Side.SELL, "price": Price(6_600_000)},
        {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL},
        {"price": Price(6_500_000), "trigger": Trigger(TriggerKind.STOP, Price(6_400_000))},
        {"price": Price(1), "size": Size(1)},
    ],
)
async def test_look_up_when_an_order_of_any_kind_is_there_then_its_body_is_made_again_from_what_is_known(
    account: Account, changes: dict[str, Any]
) -> None:
    await account.client.quote([], [["61000.00", "1.00"]])
    bid = account.bid(**changes)
    await account.send(bid)
    before = dict(account.orders)
    found = await account.find(account.unknown(bid))
    assert found is not None
    assert (found.side, found.price, found.size) == (bid.side, bid.price, bid.size)
    assert account.orders == before


async def test_look_up_when_the_order_never_arrived_then_its_id_is_used_up_and_it_never_will(account: Account) -> None:
    bid = account.bid()
    order = account.unknown(bid)
    assert await account.find(order) is None
    assert await account.find(order) is None
    (stand_in,) = account.client.venue.served.exchange.ledger.orders.values()
    assert (stand_in.price, stand_in.initial, stand_in.status, stand_in.filled) == (1, 1, "ended", 0)
    (late,) = await account.send(bid)
    assert isinstance(late, OrderReport)
    assert (late.kind, late.code) == (ReportKind.REJECTED, "client_order_id_conflict")
    assert account.orders == {NAME: ("ended", 0)}


async def test_look_up_when_the_venue_refuses_to_say_then_nothing_is_concluded(account: Account) -> None:
    await account.client.admin("act", {"act": "pause", "instrument": "BTC-USD"})
    with pytest.raises(RefusedByVenue):
        await account.find(account.unknown(account.bid()))
    assert account.orders == {}


async def test_look_up_when_the_order_was_made_long_after_it_was_wanted_then_it_is_cancelled(account: Account) -> None:
    bid = account.bid()
    await account.send(bid)
    early = account.unknown(bid, created_ns=SystemClock().now_ns() - 60_000_000_000)
    found = await account.find(early)
    assert found is not None
    assert not found.is_open
    assert account.orders == {NAME: ("ended", 0)}


async def test_look_up_when_the_venue_s_id_is_known_then_it_is_one_read(account: Account) -> None:
    bid = account.bid()
    (report,) = await account.send(bid)
    assert isinstance(report, OrderReport)
    before = len(account.placed)
    order = account.unknown(bid, venue_order_id=report.venue_order_id)
    found = await account.find(order)
    assert found is not None
    assert found.is_open
    assert await account.find(account.unknown(bid, venue_order_id="none")) is None
    assert len(account.placed) == before


async def test_cancel_when_done_then_the_answer_states_the_end_and_what_was_filled(account: Account) -> None:
    await account.client.quote([], [["59000.00", "0.03"]])
    bid = account.bid()
    (report,) = await account.send(bid)
    assert isinstance(report, OrderReport)
    order = account.unknown(bid, venue_order_id=report.venue_order_id)
    for _ in range(2):
        (end,) = await account.send(CancelOrder(strategy="mm", client_order_id=NAME), order)
        assert isinstance(end, OrderSnapshot)
        assert (end.client_order_id, end.is_open, end.filled) == (NAME, False, 3)


async def test_cancel_when_its_answer_is_lost_then_that_is_said_and_nothing_is_repeated(account: Account) -> None:
    bid = account.bid()
    (report,) = await account.send(bid)
    assert isinstance(report, OrderReport)
    await account.fault("lost_request", CANCELS)
    with pytest.raises(OutcomeUnknown):
        await account.send(
            CancelOrder(strategy="mm", client_order_id=NAME),
            account.unknown(bid, venue_order_id=report.venue_order_id),
        )
    assert account.orders == {NAME: ("open", 0)}


async def test_body_when_optional_fields_are_off_then_it_has_the_documented_fields_and_the_id(
    make: Callable[..., Any],
) -> None:
    account = await make()
    await account.send(account.bid())
    body = json.loads(account.placed[0].raw)
    assert body == {
        "pair": "BTC-USD", "side": "buy", "type": "limit", "price": "60000", "size": "0.05", "client_order_id": NAME,
    }  # fmt: skip
    other = await make(optional_fields=True)
    await other.send(other.bid(post_only=True))
    more = json.loads(other.placed[0].raw)
    assert (more["time_in_force"], more["post_only"]) == ("gtc", True)


async def test_market_order_when_it_must_fill_whole_then_the_venue_is_told_so(make: Callable[..., Any]) -> None:
    account = await make(optional_fields=True)
    await account.client.quote([], [["59000.00", "0.03"]])
    await account.send(account.bid(kind=OrderKind.MARKET, time_in_force=TimeInForce.FILL_OR_KILL))
    assert account.orders == {NAME: ("ended", 0)}


async def test_balances_when_read_then_spot_alone_has_the_name_of_the_currency(account: Account) -> None:
    reports = {one.currency: one for one in account.events if isinstance(one, BalanceReport)}
    assert {"USD", "BTC", "margin:USD", "earn:USD"} <= set(reports)
    assert reports["USD"].amount == 2_000_000 * 10**8


async def test_lists_when_asked_for_then_there_are_none(account: Account) -> None:
    gateway = account.connector.gateway
    assert [await gateway.open_orders(), await gateway.fills(0), await gateway.positions()] == [None] * 3
    await asyncio.sleep(0)
