"""Lists with a row that can't be read: the others count, it is looked up alone, and what stays unreadable is said."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from connectors.client.wire.listing import read_page
from connectors.kalshi.rest.gateway import KalshiGateway
from connectors.kalshi.wire.account_messages import OrdersPage
from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.errors import Retryable
from framework.domain.venue import UnreadableRow
from tests.connectors.kalshi.rest.test_gateway import ORDER_ID, find, listed, page, with_gateway
from tests.connectors.kalshi.support import TICKER, order
from tests.connectors.kalshi.venue_script import body
from tests.connectors.support import ScriptedHttp, answering

MARKET = f"kalshi:{TICKER}"
ODD: list[Any] = [None, 1, 2**70, True, "0.12345", "", "NaN", [], {}]


def fill(name: str = "t1", **changes: Any) -> dict[str, Any]:
    return {
        "trade_id": name,
        "order_id": ORDER_ID,
        "ticker": TICKER,
        "count_fp": "1.00",
        "yes_price_dollars": "0.5600",
        "is_taker": True,
        "fee_cost": "0.0100",
        "book_side": "bid",
        "created_time": "2026-06-11T06:29:30Z",
    } | changes


def position(ticker: str = TICKER, **changes: Any) -> dict[str, Any]:
    return {"ticker": ticker, "position_fp": "2.00"} | changes


def opened(tmp_path: Path, http: ScriptedHttp) -> tuple[tuple[OrderSnapshot, ...], tuple[UnreadableRow, ...]]:
    async def use(gateway: KalshiGateway) -> Any:
        return await gateway.open_orders(), gateway.unreadable_rows

    result: tuple[tuple[OrderSnapshot, ...], tuple[UnreadableRow, ...]] = with_gateway(tmp_path, http, use)
    return result


def test_orders_when_one_can_not_be_read_in_the_list_then_it_is_read_alone_and_the_next_page_comes(
    tmp_path: Path,
) -> None:
    bad = listed("tg-1", yes_price_dollars=None)
    http = answering(
        "GET", "/portfolio/orders", page(bad, listed("tg-2", order_id="b"), cursor="c"), page(listed("tg-3"))
    )
    http.on("GET", f"/portfolio/orders/{ORDER_ID}", body(order=listed("tg-1")))
    with structlog.testing.capture_logs() as logged:
        found, left = opened(tmp_path, http)
    assert sorted(one.client_order_id for one in found) == ["tg-1", "tg-2", "tg-3"]
    assert left == ()
    (line,) = logged
    assert (line["list"], line["row"]) == ("/portfolio/orders", ORDER_ID)
    assert line["reason"] == "Expected `str`, got `null` - at `$.yes_price_dollars`"


@pytest.mark.parametrize("changes", [{"yes_price_dollars": "0.12345"}, {"book_side": "up"}, {"remaining_count_fp": 3}])
def test_orders_when_one_can_not_be_read_at_all_then_the_others_count_and_it_is_named(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    bad = listed("tg-1") | changes
    http = answering("GET", "/portfolio/orders", page(bad, listed("tg-2", order_id="b")))
    http.on("GET", f"/portfolio/orders/{ORDER_ID}", body(order=bad))
    found, (left,) = opened(tmp_path, http)
    assert [one.client_order_id for one in found] == ["tg-2"]
    assert (left.listing, left.instrument, left.subject) == ("orders", MARKET, ORDER_ID)


def test_orders_when_the_one_that_is_read_alone_has_ended_then_it_is_not_listed_as_open(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/orders", page(listed("tg-1", yes_price_dollars=None)))
    http.on("GET", f"/portfolio/orders/{ORDER_ID}", body(order=listed("tg-1", status="canceled")))
    assert opened(tmp_path, http) == ((), ())


def test_orders_when_many_can_not_be_read_then_ten_are_read_alone_with_each_list_until_all_had_their_turn(
    tmp_path: Path,
) -> None:
    rows = [listed(f"tg-{number}", order_id=f"o{number}", status=None) for number in range(40)]
    http = answering("GET", "/portfolio/orders", page(*rows))
    for number in range(40):
        http.on("GET", f"/portfolio/orders/o{number}", body(order=rows[number]))

    async def use(gateway: KalshiGateway) -> int:
        for _ in range(5):
            await gateway.open_orders()
        return len(gateway.unreadable_rows)

    assert with_gateway(tmp_path, http, use) == 40
    alone = [target for target in http.targets() if "/portfolio/orders/" in target]
    assert len(alone) == len(set(alone)) == 40
    places = [number for number, target in enumerate(http.targets()) if "/portfolio/orders?" in target]
    assert places == [0, 11, 22, 33, 44]


def test_orders_when_a_fill_waits_for_its_turn_then_a_read_of_orders_does_not_take_it(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/orders", page())
    http.on("GET", "/portfolio/fills", body(fills=[fill(count_fp=None)], cursor=""))

    async def use(gateway: KalshiGateway) -> None:
        for _ in range(2):
            await gateway.fills(0)
            await asyncio.sleep(0.5)
        await gateway.open_orders()
        await gateway.fills(0)

    with_gateway(tmp_path, http, use)
    alone = [number for number, target in enumerate(http.targets()) if "order_id=" in target]
    assert (alone, len(http.targets())) == ([1, 5], 6)


def test_look_up_when_a_row_that_can_not_be_read_may_be_the_order_then_the_list_proves_nothing(tmp_path: Path) -> None:
    for client_order_id, is_proof in (("tg-1", False), (None, False), ("tg-7", True)):
        http = answering("GET", "/portfolio/orders", page(listed(status=None, client_order_id=client_order_id)))  # type: ignore[arg-type]
        if is_proof:
            assert find(tmp_path, http, order(venue_order_id="")) is None
        else:
            with pytest.raises(Retryable, match="may be tg-1"):
                find(tmp_path, http, order(venue_order_id=""))


def test_fills_when_one_can_not_be_read_then_those_of_its_order_are_asked_for(tmp_path: Path) -> None:
    for alone, expected in ((fill("t1"), ["t1", "t2"]), (fill("t1", count_fp=None), ["t2"])):
        listing = body(fills=[fill("t1", count_fp=None), fill("t2")], cursor="")
        http = answering("GET", "/portfolio/fills", listing, body(fills=[alone], cursor=""))

        async def use(gateway: KalshiGateway) -> tuple[tuple[Fill, ...], tuple[UnreadableRow, ...]]:
            return await gateway.fills(0), gateway.unreadable_rows

        fills, left = with_gateway(tmp_path, http, use)
        assert sorted(one.fill_id for one in fills) == expected
        assert [row.subject for row in left] == [name for name in ("t1",) if name not in expected]
        assert f"order_id={ORDER_ID}" in http.targets()[1]


def test_positions_when_one_can_not_be_read_then_it_is_named_and_when_it_names_no_market_nothing_is_flat(
    tmp_path: Path,
) -> None:
    async def use(gateway: KalshiGateway) -> tuple[tuple[PositionReport, ...], tuple[UnreadableRow, ...]]:
        return await gateway.positions(), gateway.unreadable_rows

    bad = position(position_fp=None)
    http = answering("GET", "/portfolio/positions", body(market_positions=[bad, position("KXTIDE-1-B")], cursor=""))
    reports, (left,) = with_gateway(tmp_path, http, use)
    assert [report.instrument for report in reports] == ["kalshi:KXTIDE-1-B"]
    assert (left.listing, left.instrument) == ("positions", MARKET)

    http = answering("GET", "/portfolio/positions", body(market_positions=[position(ticker=None)], cursor=""))  # type: ignore[arg-type]
    with pytest.raises(Retryable, match="names no market"):
        with_gateway(tmp_path, http, use)


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"orders":{}}', b'{"orders":[],"cursor":7}', b'{"orders":null}'])
def test_page_when_it_is_none_then_it_is_an_error_whatever_its_rows_are(data: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_page(data, OrdersPage)


@pytest.mark.parametrize("seed", range(8))
def test_lists_when_their_rows_are_mutated_then_nothing_but_an_honest_error_is_raised_and_no_row_is_lost(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)

    def mutated(row: dict[str, Any]) -> dict[str, Any]:
        for name in rng.sample(sorted(row), rng.choice((0, 0, 1, 2))):
            row[name] = rng.choice(ODD)
            if rng.random() < 0.2:
                del row[name]
        return row

    async def use(gateway: KalshiGateway) -> None:
        for read, count in ((gateway.open_orders, len(orders)), (lambda: gateway.fills(0), len(fills))):
            known = len(await read()) + len([row for row in gateway.unreadable_rows if row.listing == names[count]])
            # An order whose row says that it has ended is not listed as open.
            assert known <= count
            assert known >= count - len([one for one in orders if one.get("status") != "resting"])

    for _ in range(30):
        orders = [mutated(listed(f"tg-{number}", order_id=f"o{number}")) for number in range(5)]
        fills = [mutated(fill(f"t{number}")) for number in range(6)]
        names = {5: "orders", 6: "fills"}
        http = answering("GET", "/portfolio/orders", page(*orders))
        http.on("GET", "/portfolio/fills", body(fills=fills, cursor=""))
        for number in range(5):
            http.on("GET", f"/portfolio/orders/o{number}", (404, b'{"error":{"code":"not_found"}}'))
        for odd in ODD:
            if isinstance(odd, str):
                http.on("GET", f"/portfolio/orders/{odd}", (404, b'{"error":{"code":"not_found"}}'))
        with_gateway(tmp_path, http, use)
        (tmp_path / "key.pem").unlink()
