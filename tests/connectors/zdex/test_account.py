"""What the connector reads of the account, against the sandbox over HTTP; and lists that prove nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from connectors.client.connector import VenueConnector
from connectors.client.loader import InstrumentLoader, InstrumentParts, InstrumentRefresher
from connectors.client.rest import RestRules, SignedRest, request_of
from connectors.client.venue_time import VenueTime
from connectors.zdex.account import ZdexReads
from connectors.zdex.connector import make_connector, zdex_rest
from connectors.zdex.dialect import DIALECTS
from connectors.zdex.futures import margin_setup
from connectors.zdex.plugin import sandbox_settings
from connectors.zdex.settings import ZdexSettings
from connectors.zdex.sign import refusals_of
from connectors.zdex.wire.decode import VERDICTS
from framework.domain.account_events import BalanceReport, CashFlow
from framework.domain.errors import AccountRefused, ConfigurationError, Retryable
from framework.domain.events import Event
from framework.domain.orders import Order, OrderKind, Side, Trigger, TriggerKind
from framework.runtime.clock import ManualClock, SystemClock, seeded_rng
from tests.connectors.support import ScriptedHttp, order
from tests.connectors.zdex.support import BTC, Client, Start, registry_of

S = 1_000_000_000
Connect = Callable[..., Awaitable[tuple[VenueConnector, list[Event]]]]
FAST = {"read_lag_ms": 100, "requests_per_window": 1_000_000, "orders_per_window": 1_000_000}


def nobody(_venue_order_id: str) -> bool:
    """No order is claimed."""
    return False


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Start connectors on a running sandbox; settings as keywords. Gives each with the events of its start."""
    made: list[VenueConnector] = []

    async def begin(client: Client, **changes: Any) -> tuple[VenueConnector, list[Event]]:
        settings = ZdexSettings(**(dict(sandbox_settings(client.ready)) | {"markets": ("*",)} | FAST | changes))
        connector = make_connector("zdex", settings, clock=SystemClock(), rng=seeded_rng(1))
        made.append(connector)
        events: list[Event] = []
        await connector.start(lambda event, _now=0, _monotonic=0: events.append(event))
        return connector, events

    yield begin
    for one in made:
        await one.close()


def sent(**changes: Any) -> Order:
    """An order of ours that was sent now, and of which the venue's id is not known."""
    values: dict[str, Any] = {
        "venue": "zdex",
        "instrument": BTC.id,
        "price": BTC.price("60000"),
        "size": BTC.size("0.01"),
        "venue_order_id": "",
        "created_ns": SystemClock().now_ns(),
    }
    return order(**(values | changes))


async def test_order_when_its_answer_was_lost_then_it_is_found_with_our_id(client: Client, connect: Connect) -> None:
    connector, _ = await connect(client)
    wanted, named = sent(), {"clientOrderId": "tg-1"} if client.ready["dialect"] == "v2" else {}
    assert await connector.gateway.find_order(wanted, is_claimed=nobody) is None
    name = (await client.buy("60000", **named)).body["order"]["id"]
    await client.buy("60001")
    found = await connector.gateway.find_order(wanted, is_claimed=nobody)
    assert found is not None
    assert (found.venue_order_id, found.client_order_id, found.is_open) == (name, "tg-1", True)


@pytest.mark.parametrize(
    "other",
    [
        {"side": Side.SELL},
        {"price": BTC.price("60000.1")},
        {"size": BTC.size("0.011")},
        {"kind": OrderKind.MARKET},
        {"trigger": Trigger(TriggerKind.STOP, BTC.price("61000"))},
        {"created_ns": SystemClock().now_ns() + 3_600 * S},
    ],
)
async def test_v1_order_when_another_is_not_quite_like_it_then_that_is_not_it(
    start: Start, connect: Connect, other: dict[str, Any]
) -> None:
    client = await start(dialect="v1")
    connector, _ = await connect(client)
    await client.buy("60000")
    assert await connector.gateway.find_order(sent(), is_claimed=nobody) is not None
    assert await connector.gateway.find_order(sent(**other), is_claimed=nobody) is None


async def test_v1_order_when_it_waits_for_a_trigger_then_that_must_be_the_same(start: Start, connect: Connect) -> None:
    client = await start(dialect="v1")
    connector, _ = await connect(client)
    await client.buy("60000", type="STOP", stopPrice="64000")
    for price, is_found in (("64000", True), ("64001", False)):
        wanted = sent(trigger=Trigger(TriggerKind.STOP, BTC.price(price)))
        assert (await connector.gateway.find_order(wanted, is_claimed=nobody) is not None) is is_found


async def test_v1_order_when_two_are_like_it_then_none_is_guessed_until_one_is_claimed(
    start: Start, connect: Connect
) -> None:
    client = await start(dialect="v1")
    connector, _ = await connect(client)
    wanted = sent()
    first, second = [(await client.buy("60000")).body["order"]["id"] for _ in range(2)]
    with pytest.raises(Retryable, match="2 orders"):
        await connector.gateway.find_order(wanted, is_claimed=nobody)
    found = await connector.gateway.find_order(wanted, is_claimed=lambda name: name == first)
    assert found is not None
    assert found.venue_order_id == second


async def test_fills_when_a_run_begins_then_old_trades_have_their_orders_ids(client: Client, connect: Connect) -> None:
    await client.quote("62999", "63001")
    names = [(await client.buy("63001", "0.01")).body["order"]["id"] for _ in range(3)]
    connector, _ = await connect(client)
    fills = await connector.gateway.fills(0)
    assert fills is not None
    assert [fill.venue_order_id for fill in fills] == names
    assert len({fill.fill_id for fill in fills}) == 3
    later = await connector.gateway.fills(fills[-1].ts_venue + 1)
    assert later == ()
    assert await connector.gateway.fills(0) == fills or len(await connector.gateway.fills(0) or ()) == 3


async def test_fills_when_pages_are_small_then_all_are_read_once(client: Client, connect: Connect) -> None:
    await client.quote("62999", "63001")
    connector, _ = await connect(client)
    await client.fault("page_clamp", size=1, count=-1)
    for number in range(1, 4):
        await client.buy("63001", "0.01")
        assert len(await connector.gateway.fills(0) or ()) == number


async def test_open_orders_when_some_have_traded_then_both_lists_are_read(client: Client, connect: Connect) -> None:
    connector, _ = await connect(client)
    names = [(await client.buy(price, "0.02")).body["order"]["id"] for price in ("60000", "60001")]
    await client.act("trade", instrument="BTCUSDT", side="sell", price="60001", size="0.01")
    found = {one.venue_order_id: one.filled for one in await connector.gateway.open_orders() or ()}
    # Of the one that has traded the venue says no more than that.
    assert found == {names[0]: 0, names[1]: 1}


async def test_position_when_it_is_read_then_mark_and_liquidation_come_along(client: Client, connect: Connect) -> None:
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    connector, _ = await connect(client)
    (one,) = await connector.gateway.positions() or ()
    assert (one.size, one.entry, one.mark, one.leverage) == (10, 630_010, 630_000, 10)
    assert one.liquidation is not None
    assert 560_000 < one.liquidation < 630_000


async def test_funding_when_it_was_paid_then_each_run_hands_it_on_once(client: Client, connect: Connect) -> None:
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    await client.fault("funding_now", rate_ppm=1_000)
    await client.fault("page_clamp", size=1, count=-1)
    for _ in range(2):
        _, events = await connect(client)
        (flow,) = [one for one in events if isinstance(one, CashFlow)]
        assert (flow.amount, flow.decimals, flow.instrument) == (-63_000_000, 8, BTC.id)
        assert flow.flow_id == (await client.truth())["cash_flows"][0]["flow_id"]
        (balance,) = [one for one in events if isinstance(one, BalanceReport)]
        assert balance.amount == int((await client.truth())["balances"][0]["total"].replace(".", "")) * 10**4


async def test_start_when_settings_say_so_then_leverage_and_margin_mode_are_set(
    client: Client, connect: Connect
) -> None:
    await connect(client, leverage=25, margin_type="ISOLATED")
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    (row,) = (await client.ask("GET", "/positions")).body["positions"]
    assert (row["leverage"], row["marginMode"].upper()) == (25, "ISOLATED")


async def test_start_when_an_open_position_has_another_leverage_then_one_line_says_so(
    client: Client, connect: Connect
) -> None:
    await client.quote("62999", "63001")
    await client.buy("63001", "0.01")
    await connect(client, leverage=10)
    with pytest.raises(ConfigurationError, match="leverage=5: BTCUSDT has an open position at 10") as refused:
        await connect(client, leverage=5)
    assert "\n" not in str(refused.value)


async def test_start_when_the_key_may_not_trade_then_its_settings_are_refused(client: Client, connect: Connect) -> None:
    reader = {"key_id": client.ready["reader_api_key"], "secret_path": Path(client.ready["reader_api_secret_path"])}
    await connect(client, **reader)
    with pytest.raises(ConfigurationError, match="leverage=5: the venue refuses it for BTCUSDT"):
        await connect(client, leverage=5, **reader)
    await connect(client, leverage=5, key_rights=("read",), **reader)


@pytest.mark.parametrize("wrong", ["key", "secret", "address"])
async def test_start_when_the_key_is_refused_then_the_account_is_said_to_be(
    client: Client, connect: Connect, wrong: str
) -> None:
    changes = {
        "key": {"key_id": "zdex_nobody"},
        "secret": {"secret_path": Path(client.ready["reader_api_secret_path"])},
        "address": {},
    }[wrong]
    if wrong == "address":
        client.sandbox.keys.by_key[client.key].ips = ["203.0.113.50"]
    with pytest.raises(AccountRefused, match="check dialect, key_id, secret_path"):
        await connect(client, **changes)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["leverage", "BTCUSDT", "126"], "1 to 125"),
        (["leverage", "BTCUSDT", "x"], "whole number"),
        (["leverage", "NOUSDT", "5"], "no such market"),
        (["margin", "BTCUSDT", "both"], "CROSSED or ISOLATED"),
        (["leverage"], "say leverage SYMBOL N"),
    ],
)
async def test_operator_when_words_are_wrong_then_one_line_says_what_to_say(
    client: Client, words: list[str], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        await margin_setup(_rest_of(client)).operate(words)


async def test_operator_when_words_are_right_then_it_is_done(client: Client) -> None:
    assert await margin_setup(_rest_of(client)).operate(["leverage", "BTCUSDT", "7"]) == ["BTCUSDT: leverage is 7"]
    done = await margin_setup(_rest_of(client)).operate(["margin", "BTCUSDT", "isolated"])
    assert done == ["BTCUSDT: margin mode is ISOLATED"]


def _rest_of(client: Client) -> SignedRest:
    settings = ZdexSettings(**(dict(sandbox_settings(client.ready)) | {"markets": ("*",)}))
    return zdex_rest(settings, clock=SystemClock(), rng=seeded_rng(1))


def scripted(http: ScriptedHttp) -> ZdexReads:
    """Reads of an account whose answers the test writes."""
    clock = ManualClock(wall_ns=1_767_225_600 * S)
    rules = RestRules(
        name="zdex", url="", prefix="/v1", timeout_ms=1, pages_max=5, verdicts=VERDICTS,
        parse_error=refusals_of(30_000).read,
    )  # fmt: skip
    rest = SignedRest(http, request_of, rules, clock=clock, time=VenueTime(clock))
    refresher = cast("InstrumentRefresher", SimpleNamespace(ask_again=lambda _symbol: None))
    parts = InstrumentParts(registry_of("BTCUSDT"), cast("InstrumentLoader[Any]", None), refresher)
    return ZdexReads("zdex", rest, parts, DIALECTS["v1"], clock=clock, funding_days=7)


def page(*rows: dict[str, Any]) -> tuple[int, bytes]:
    """A page of orders."""
    base = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "60000", "status": "NEW"}
    return 200, msgspec.json.encode({"ok": True, "orders": [base | row for row in rows], "total": len(rows)})


MADE = partial(sent, created_ns=1_767_225_600 * S)


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "a"}],
        [{"id": "a", "createdAt": "2026-01-01T00:00:00Z"}, {"id": "b", "createdAt": "2026-01-01T01:00:00Z"}],
        [{"id": "a", "createdAt": "2026-01-01T00:00:00Z", "quantity": 5}],
    ],
)
async def test_list_when_it_has_no_times_or_another_order_then_it_proves_nothing(rows: list[dict[str, Any]]) -> None:
    http = ScriptedHttp()
    http.on("GET", "/v1/orders", page(*rows))
    with pytest.raises(Retryable):
        await scripted(http).find_sent(MADE(), nobody)


async def test_positions_when_a_market_has_two_then_hedge_mode_is_named() -> None:
    http = ScriptedHttp()
    rows = [{"symbol": "BTCUSDT", "quantity": quantity, "positionSide": "LONG"} for quantity in ("0.5", "-0.2")]
    http.on("GET", "/v1/positions", (200, msgspec.json.encode({"ok": True, "positions": rows})))
    with pytest.raises(Retryable, match="ONE_WAY"):
        await scripted(http).positions()


async def test_positions_when_one_can_not_be_read_then_it_is_said_and_the_others_are_there() -> None:
    http = ScriptedHttp()
    rows = [{"symbol": "BTCUSDT", "quantity": "0.5"}, {"symbol": "ETHUSDT", "quantity": "1"}]
    http.on("GET", "/v1/positions", (200, msgspec.json.encode({"ok": True, "positions": rows})))
    reads = scripted(http)
    assert [one.size for one in await reads.positions()] == [500]
    assert [(row.listing, row.instrument) for row in reads.unreadable] == [("positions", "zdex:ETHUSDT")]


async def test_funding_when_the_venue_has_no_such_list_then_balances_are_read_all_the_same() -> None:
    http = ScriptedHttp()
    asset = {"asset": "USDT", "walletBalance": "5", "availableBalance": "5"}
    http.on("GET", "/v1/futures/balance", (200, msgspec.json.encode({"ok": True, "balances": [asset]})))
    http.on("GET", "/v1/me/funding-history", (404, b'{"ok":false,"error":"Route does not exist"}'))
    reads = scripted(http)
    for _ in range(2):
        assert [type(one) for one in await reads.money()] == [BalanceReport]
    assert len([one for one in http.requests if "funding" in one.target]) == 1


async def test_trade_when_no_order_has_its_number_then_it_is_the_accounts_after_three_looks() -> None:
    http = ScriptedHttp()
    row = {"symbol": "BTCUSDT", "id": 5, "orderId": 77, "price": "60000", "qty": "0.01", "side": "SELL", "time": 9}
    one, none = ((200, msgspec.json.encode({"ok": True, "data": rows})) for rows in ([row], []))
    http.on("GET", "/v1/futures/myTrades", *[one, none] * 6)
    http.on("GET", "/v1/orders", page())
    reads = scripted(http)
    found = [[fill.venue_order_id for fill in await reads.list_fills(0)] for _ in range(4)]
    assert found[:2] == [[], []]
    assert found[-1] == ["77"]
