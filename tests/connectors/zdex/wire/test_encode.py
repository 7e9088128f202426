"""Orders and commands as the venue reads them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.client.subscriptions import Action, Command
from connectors.zdex.wire.encode import cancel, command_frames, new_order
from framework.domain.errors import RefusedByVenue
from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderKind, Side, Trigger, TriggerBy, TriggerKind
from tests.connectors.zdex.support import BTC


def body_of(**fields: Any) -> dict[str, Any]:
    name = fields.pop("client_order_id", "")
    intent = NewOrder(strategy="s", instrument=BTC.id, side=Side.SELL, price=Price(700_005), size=Size(10), **fields)
    call = new_order(intent, BTC, name)
    assert (call.method, call.target) == ("POST", "/orders")
    found: dict[str, Any] = msgspec.json.decode(call.body)
    return found


def test_order_when_it_is_a_limit_order_then_it_has_what_the_page_shows() -> None:
    assert body_of() == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "quantity": "0.01",
        "price": "70000.5",
        "positionSide": "BOTH",
    }


@pytest.mark.parametrize(
    ("kind", "trigger", "word"),
    [
        (OrderKind.LIMIT, TriggerKind.STOP, "STOP"),
        (OrderKind.MARKET, TriggerKind.STOP, "STOP_MARKET"),
        (OrderKind.LIMIT, TriggerKind.TAKE_PROFIT, "TAKE_PROFIT"),
        (OrderKind.MARKET, TriggerKind.TAKE_PROFIT, "TAKE_PROFIT_MARKET"),
        (OrderKind.MARKET, None, "MARKET"),
    ],
)
def test_order_when_it_has_a_kind_and_a_trigger_then_both_make_its_type(
    kind: OrderKind, trigger: TriggerKind | None, word: str
) -> None:
    fields = {} if trigger is None else {"trigger": Trigger(trigger, Price(690_000))}
    body = body_of(kind=kind, **fields)
    assert body["type"] == word
    assert ("price" in body) is (kind is OrderKind.LIMIT)
    assert body.get("stopPrice") == (None if trigger is None else "69000")


def test_order_when_it_only_reduces_and_has_an_id_then_it_says_so() -> None:
    body = body_of(reduce_only=True, client_order_id="tg-1")
    assert (body["reduceOnly"], body["clientOrderId"]) == (True, "tg-1")


def test_order_when_it_waits_for_the_mark_price_then_it_is_refused_here() -> None:
    with pytest.raises(RefusedByVenue, match="last price"):
        body_of(trigger=Trigger(TriggerKind.STOP, Price(690_000), TriggerBy.MARK))


def test_cancel_when_an_id_has_a_slash_then_the_path_stays_its_own() -> None:
    call = cancel("a/../b?c")
    assert (call.method, call.target, call.is_urgent) == ("DELETE", "/orders/a%2F..%2Fb%3Fc", True)


@pytest.mark.parametrize(
    ("action", "frames"),
    [
        (Action.PROBE, [{"action": "ping"}]),
        (Action.SUBSCRIBE, [{"action": "subscribe", "channel": "orderbook", "symbol": "BTCUSDT"}]),
        (Action.SNAPSHOT, [{"action": "subscribe", "channel": "orderbook", "symbol": "BTCUSDT"}]),
        (Action.REMOVE, [{"action": "unsubscribe", "channel": "orderbook", "symbol": "BTCUSDT"}]),
    ],
)
def test_command_when_it_is_written_then_it_is_the_venues(action: Action, frames: list[dict[str, str]]) -> None:
    command = Command(1, action, "orderbook", symbols=("BTCUSDT",))
    assert [msgspec.json.decode(frame) for frame in command_frames(command)] == frames
