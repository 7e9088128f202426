"""Whose the orders of a trade are, where a row does not say it: asked once each, and never guessed."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from connectors.client.instruments import InstrumentRegistry, ListedInstrument, Selection
from connectors.client.loader import InstrumentParts
from connectors.client.rest import SignedRest
from connectors.client.usual.account_rows import AccountRows
from connectors.client.venue_time import VenueTime
from connectors.kalqix.dialect import VERDICTS, WORDS, A, parse_error
from connectors.kalqix.reads import KalqixReads, MarketRows
from connectors.kalqix.wire.rows import market_of
from framework.domain.account_events import Fill
from framework.domain.errors import RefusedByVenue, Retryable
from tests.connectors.client.toy_rest import rules, signing
from tests.connectors.kalqix.wire.test_rows import MARKET_ROW, ORDER_ROW, TRADE_ROW, instrument
from tests.connectors.support import LoopClock, ScriptedHttp, run_jumping

WALLET, OTHER = "0xAb" + "11" * 19, "0x" + "22" * 20
NOT_FOUND = (404, b'{"error":"Order not found."}')
FORBIDDEN = (403, b'{"error":"Permission Denied."}')
TRADES = f"/v1/users/{WALLET}/trades"


class Known:
    """The instruments: one."""

    def listed(self, _symbol: str) -> Any:
        return instrument()


def order_row(order_id: str, wallet: str | None) -> tuple[int, bytes]:
    return 200, msgspec.json.encode(ORDER_ROW | {"order_id": order_id, "wallet_address": wallet})


def fills_of(maker: tuple[int, bytes], taker: tuple[int, bytes], http: ScriptedHttp) -> list[Fill]:
    """The fills of one trade whose orders are answered so; they are read twice."""
    page = {"total": 1, "page": 0, "page_size": 24, "data": [TRADE_ROW]}
    http.on("GET", TRADES, (200, msgspec.json.encode(page)))
    http.on("GET", "/v1/orders/o-1", maker)
    http.on("GET", "/v1/orders/o-2", taker)

    async def main(clock: LoopClock) -> list[Fill]:
        time = VenueTime(clock)
        of_venue = rules(verdicts=VERDICTS, parse_error=parse_error)
        rest = SignedRest(http, signing(time), of_venue, clock=clock, time=time)
        markets = MarketRows(rest, "kalqix", A)
        markets.known["BTC_USDC"] = market_of(MARKET_ROW)
        registry = InstrumentRegistry("kalqix", Selection(("*",)), followed_max=5)
        registry.define(ListedInstrument(instrument()), ts_recv=0)
        rows = AccountRows("kalqix", WORDS, cast("InstrumentParts", Known()), rest, clock=clock)
        reads = KalqixReads(rest, A, rows, markets, registry, user=WALLET, clock=clock)
        first = list(await reads.list_fills(0))
        assert list(await reads.list_fills(0)) == [
            msgspec.structs.replace(one, ts_recv=clock.now_ns()) for one in first
        ]
        return first

    return run_jumping(main)


@pytest.mark.parametrize("other", [NOT_FOUND, FORBIDDEN, order_row("o-1", OTHER)])
def test_trade_when_the_venue_shows_hides_or_refuses_anothers_order_then_only_our_part_is_a_fill(
    other: tuple[int, bytes],
) -> None:
    http = ScriptedHttp()
    (fill,) = fills_of(other, order_row("o-2", WALLET.lower()), http)
    assert (fill.venue_order_id, fill.is_maker, fill.fee) == ("o-2", False, 1_575_000)
    # Whose they are is known from then on.
    assert [target.partition("?")[0] for target in http.targets() if "/orders/" in target] == [
        "/v1/orders/o-1",
        "/v1/orders/o-2",
    ]


@pytest.mark.parametrize("wallet", [WALLET, None])
def test_trade_when_both_orders_are_ours_then_both_parts_are_fills(wallet: str | None) -> None:
    found = fills_of(order_row("o-1", wallet), order_row("o-2", wallet), ScriptedHttp())
    assert {(one.fill_id, one.venue_order_id, one.is_maker) for one in found} == {
        ("t-1:maker", "o-1", True),
        ("t-1", "o-2", False),
    }


def test_trade_when_neither_order_is_shown_as_ours_then_it_is_read_again_and_not_forgotten() -> None:
    with pytest.raises(Retryable, match="t-1: neither of its orders is shown as ours yet"):
        fills_of(NOT_FOUND, order_row("o-2", OTHER), ScriptedHttp())


def test_trade_when_an_order_is_refused_for_another_reason_then_that_is_no_answer() -> None:
    with pytest.raises(RefusedByVenue, match="Missing"):
        fills_of((400, b'{"error":"Missing required fields."}'), NOT_FOUND, ScriptedHttp())
