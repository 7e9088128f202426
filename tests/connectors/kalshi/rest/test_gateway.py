"""Writes and look-ups. Bodies are recorded answers unless said otherwise."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from connectors.client.venue_time import VenueTime
from connectors.kalshi.rest.gateway import KalshiGateway
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as CutOff
from connectors.transport.ports import HttpRequest, HttpResponse
from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, Intent
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, TimeInForce
from framework.domain.verdicts import Signed
from tests.connectors.kalshi.support import TICKER, approved, instrument, new_order, order, settings_for
from tests.connectors.support import LoopClock, ScriptedHttp, answering, run_jumping

T = TypeVar("T")
ORDERS = "/portfolio/events/orders"
ORDER_ID = "97ec18b7-10d3-4557-9de0-8598aad625f0"
RESTS = (
    201,
    b'{"client_order_id":"tg-1","fill_count":"0.00","order_id":"2597b999-f887-4195-8bac-c3f97a1f2021",'
    b'"remaining_count":"10.00","ts_ms":1781159360866}',
)
FILLS_AT_ONCE = (
    201,
    b'{"average_fee_paid":"0.0175","average_fill_price":"0.5200","client_order_id":"tg-1","fill_count":"10.00",'
    b'"order_id":"97ec18b7-10d3-4557-9de0-8598aad625f0","remaining_count":"0.00","ts_ms":1781159370164}',
)
MEETS_ITSELF = (
    201,
    b'{"client_order_id":"tg-1","fill_count":"0.00","order_id":"07ac75d5-1cdb-4477-beee-5246146e7eaa",'
    b'"remaining_count":"0.00","ts_ms":1781159381287}',
)
CANCELLED = (200, b'{"order_id":"2597b999-f887-4195-8bac-c3f97a1f2021","reduced_by":"1.00","ts_ms":1781159364112}')
NOT_FOUND = (404, b'{"error":{"code":"not_found","message":"not found","service":"exchange"}}')
EXISTS = (409, b'{"error":{"code":"order_already_exists","message":"order already exists","service":"exchange"}}')
POST_ONLY = (400, b'{"error":{"code":"invalid_order","message":"invalid order","details":"post only cross"}}')
BROKE = (400, b'{"error":{"code":"insufficient_balance","message":"insufficient balance","service":"exchange"}}')
PAUSED = (409, b'{"error":{"code":"trading_is_paused","message":"trading is paused"}}')
LIMITED = (429, b'{"error":"too many requests"}')
BAD_KEY = (401, b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}')
EXPIRED = (401, b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}')


def listed(client_order_id: str = "tg-1", **changes: Any) -> dict[str, Any]:
    """An order as listed."""
    return {
        "book_side": "bid",
        "client_order_id": client_order_id,
        "created_time": "2026-06-11T06:29:20.866753Z",
        "fill_count_fp": "0.00",
        "initial_count_fp": "10.00",
        "last_update_time": "2026-06-11T06:29:20.866753Z",
        "order_id": ORDER_ID,
        "outcome_side": "yes",
        "remaining_count_fp": "10.00",
        "status": "resting",
        "ticker": TICKER,
        "yes_price_dollars": "0.5600",
    } | changes


def page(*orders: dict[str, Any], cursor: str = "") -> tuple[int, bytes]:
    return 200, msgspec.json.encode({"orders": orders, "cursor": cursor})


def with_gateway(tmp_path: Path, http: ScriptedHttp, use: Callable[[KalshiGateway], Awaitable[T]], **changes: Any) -> T:
    async def main(clock: LoopClock) -> T:
        settings = settings_for(tmp_path, **changes)
        signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
        rest = kalshi_rest(http, signer, settings, clock=clock, time=VenueTime(clock))
        known = {instrument().id: instrument()}
        return await use(KalshiGateway("kalshi", rest, settings, clock=clock, find_instrument=known.get))

    return run_jumping(main)


def send(tmp_path: Path, http: ScriptedHttp, intent: Intent, known: Order | None = None) -> tuple[Event, ...]:
    async def use(gateway: KalshiGateway) -> tuple[Event, ...]:
        return await gateway.send(gateway.sign(approved(intent), known))

    return with_gateway(tmp_path, http, use)


def kinds(events: tuple[Event, ...]) -> list[ReportKind]:
    return [event.kind for event in events if isinstance(event, OrderReport)]


CANCEL = CancelOrder(strategy="mm", client_order_id="tg-1")
AMEND = AmendOrder(strategy="mm", client_order_id="tg-1", price=Price(5500), size=Size(1500))


def test_create_when_it_rests_then_it_is_accepted_with_the_venues_id(tmp_path: Path) -> None:
    (report,) = send(tmp_path, answering("POST", ORDERS, RESTS), new_order())
    assert report == OrderReport(
        venue="kalshi",
        client_order_id="tg-1",
        kind=ReportKind.ACCEPTED,
        ts_recv=report.ts_recv,  # type: ignore[union-attr]
        ts_venue=1_781_159_360_866_000_000,
        venue_order_id="2597b999-f887-4195-8bac-c3f97a1f2021",
        filled=Size(0),
    )


def test_create_when_filled_at_once_then_it_is_accepted_and_no_fill_is_invented(tmp_path: Path) -> None:
    events = send(tmp_path, answering("POST", ORDERS, FILLS_AT_ONCE), new_order())
    assert kinds(events) == [ReportKind.ACCEPTED]
    assert isinstance(events[0], OrderReport)
    assert events[0].filled == 1000


def test_create_when_nothing_is_left_and_not_all_filled_then_it_has_ended(tmp_path: Path) -> None:
    intent = new_order(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    events = send(tmp_path, answering("POST", ORDERS, MEETS_ITSELF), intent)
    assert kinds(events) == [ReportKind.ACCEPTED, ReportKind.CANCELLED]


@pytest.mark.parametrize(
    ("answer", "code"), [(POST_ONLY, "invalid_order"), (BROKE, "insufficient_balance"), (PAUSED, "trading_is_paused")]
)
def test_create_when_refused_then_it_is_rejected_with_the_venues_code(
    tmp_path: Path, answer: tuple[int, bytes], code: str
) -> None:
    (report,) = send(tmp_path, answering("POST", ORDERS, answer), new_order())
    assert isinstance(report, OrderReport)
    assert (report.kind, report.code) == (ReportKind.REJECTED, code)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (LIMITED, Retryable),
        (EXPIRED, Retryable),
        (NotSent("refused"), Retryable),
        (BAD_KEY, AccountRefused),
        (CutOff("reset"), OutcomeUnknown),
        ((500, b""), OutcomeUnknown),
        ((201, b"{}"), OutcomeUnknown),
        ((201, b"not json"), OutcomeUnknown),
        ((201, b'{"order_id":""}'), OutcomeUnknown),
        ((201, b'{"order_id":"x","client_order_id":"somebody-elses"}'), OutcomeUnknown),
        ((201, b'{"order_id":"x","fill_count":"some"}'), OutcomeUnknown),
        ((302, b""), OutcomeUnknown),
    ],
)
def test_create_when_answered_oddly_then_nothing_unproved_is_claimed(
    tmp_path: Path, answer: tuple[int, bytes] | Exception, kind: type[Exception]
) -> None:
    http = answering("POST", ORDERS, answer)
    with pytest.raises(kind):
        send(tmp_path, http, new_order())
    assert len(http.requests) == 1


def test_create_when_the_id_exists_then_the_order_is_shown_as_evidence(tmp_path: Path) -> None:
    http = answering("POST", ORDERS, EXISTS)
    http.on("GET", "/portfolio/orders", page(listed("tg-0"), cursor="c"), page(listed("tg-1")))
    (found,) = send(tmp_path, http, new_order())
    assert isinstance(found, OrderSnapshot)
    assert (found.client_order_id, found.venue_order_id, found.is_open) == ("tg-1", ORDER_ID, True)


@pytest.mark.parametrize("answer", [page(), (500, b""), NotSent("refused")])
def test_create_when_the_id_exists_and_the_order_does_not_show_then_the_outcome_is_unknown(
    tmp_path: Path, answer: tuple[int, bytes] | Exception
) -> None:
    http = answering("POST", ORDERS, EXISTS)
    http.on("GET", "/portfolio/orders", answer)
    with pytest.raises(OutcomeUnknown, match="exists at the venue"):
        send(tmp_path, http, new_order())


def test_create_when_somebody_is_against_it_at_last_then_it_has_not_left(tmp_path: Path) -> None:
    async def use(gateway: KalshiGateway) -> None:
        await gateway.send(gateway.sign(approved(new_order()), None), last_word=lambda: "trading was halted")

    http = answering("POST", ORDERS, RESTS)
    with pytest.raises(Retryable, match="trading was halted"):
        with_gateway(tmp_path, http, use)
    assert http.requests == []


def test_cancel_when_done_then_the_order_is_cancelled(tmp_path: Path) -> None:
    http = answering("DELETE", f"{ORDERS}/{ORDER_ID}", CANCELLED)
    (report,) = send(tmp_path, http, CANCEL, order(size=Size(100)))
    assert isinstance(report, OrderReport)
    assert (report.kind, report.ts_venue) == (ReportKind.CANCELLED, 1_781_159_364_112_000_000)
    assert http.requests[0].target.endswith(f"?exchange_index=0&market_ticker={TICKER}")
    assert http.requests[0].is_urgent


def test_cancel_when_not_found_then_it_is_refused_and_no_end_is_claimed(tmp_path: Path) -> None:
    (report,) = send(tmp_path, answering("DELETE", f"{ORDERS}/{ORDER_ID}", NOT_FOUND), CANCEL, order())
    assert isinstance(report, OrderReport)
    assert (report.kind, report.code) == (ReportKind.CANCEL_REFUSED, "not_found")


@pytest.mark.parametrize(
    ("answer", "was_answered", "code"),
    [
        (PAUSED, True, "trading_is_paused"),
        ((409, PAUSED[1].replace(b"trading", b"exchange")), True, "exchange_is_paused"),
        (EXPIRED, True, "header_timestamp_expired"),
        (LIMITED, True, "too_many_requests"),
        (NotSent("refused"), False, ""),
    ],
)
def test_cancel_when_it_may_be_tried_again_then_it_says_whether_the_venue_may_have_charged_for_it(
    tmp_path: Path, answer: tuple[int, bytes] | Exception, was_answered: bool, code: str
) -> None:
    with pytest.raises(Retryable) as caught:
        send(tmp_path, answering("DELETE", f"{ORDERS}/{ORDER_ID}", answer), CANCEL, order())
    assert (caught.value.was_answered, caught.value.code) == (was_answered, code)


def test_amend_when_done_then_price_and_total_are_the_new_ones(tmp_path: Path) -> None:
    answer = (200, b'{"order_id":"97ec18b7","remaining_count":"15.00","fill_count":null,"ts_ms":5}')
    (report,) = send(tmp_path, answering("POST", f"{ORDERS}/{ORDER_ID}/amend", answer), AMEND, order())
    assert isinstance(report, OrderReport)
    assert (report.kind, report.price, report.size, report.filled) == (ReportKind.AMENDED, 5500, 1500, None)


def test_amend_when_refused_then_the_order_stays_as_it_was(tmp_path: Path) -> None:
    (report,) = send(tmp_path, answering("POST", f"{ORDERS}/{ORDER_ID}/amend", POST_ONLY), AMEND, order())
    assert isinstance(report, OrderReport)
    assert (report.kind, report.code) == (ReportKind.AMEND_REFUSED, "invalid_order")


def test_cancel_all_when_done_then_no_order_is_named(tmp_path: Path) -> None:
    assert send(tmp_path, answering("DELETE", ORDERS, (204, b"")), CancelAll(strategy="", venue="kalshi")) == ()


def test_change_when_the_venues_id_is_not_known_then_it_can_be_tried_after_a_look_up(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="look the order up"):
        send(tmp_path, ScriptedHttp(), CANCEL, order(venue_order_id=""))
    with pytest.raises(RefusedByVenue, match="nothing is known"):
        send(tmp_path, ScriptedHttp(), CANCEL, None)


def test_sign_when_called_again_then_the_bytes_stay_and_the_timestamp_is_new(tmp_path: Path) -> None:
    http = answering("POST", ORDERS, (500, b""))

    async def use(gateway: KalshiGateway) -> tuple[Signed, Signed]:
        first = gateway.sign(approved(new_order()), None)
        with pytest.raises(OutcomeUnknown):
            await gateway.send(first)
        await asyncio.sleep(0.01)
        return first, gateway.sign(approved(new_order()), None)

    first, second = with_gateway(tmp_path, http, use)
    assert isinstance(first.wire, HttpRequest)
    assert isinstance(second.wire, HttpRequest)
    assert first.digest == second.digest
    assert first.digest == hashlib.sha256(first.wire.target.encode() + b"\n" + first.wire.body).hexdigest()
    assert first.wire.headers != second.wire.headers


def test_send_when_signed_elsewhere_then_it_is_refused(tmp_path: Path) -> None:
    async def use(gateway: KalshiGateway) -> object:
        return await gateway.send(Signed(approved(new_order()), "bytes of another venue", "digest"))

    with pytest.raises(TypeError, match="not signed by this gateway"):
        with_gateway(tmp_path, ScriptedHttp(), use)


def find(tmp_path: Path, http: ScriptedHttp, known: Order) -> OrderSnapshot | None:
    return with_gateway(tmp_path, http, lambda gateway: gateway.find_order(known))


def test_look_up_when_the_venues_id_is_known_then_one_cheap_read_is_enough(tmp_path: Path) -> None:
    http = answering("GET", f"/portfolio/orders/{ORDER_ID}", (200, msgspec.json.encode({"order": listed()})))
    found = find(tmp_path, http, order())
    assert found is not None
    assert found.venue_order_id == ORDER_ID
    assert len(http.requests) == 1


def test_look_up_when_by_client_id_then_only_the_markets_orders_since_then_are_read(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/orders", page(listed("tg-0"), listed("tg-1", order_id="it")))
    found = find(tmp_path, http, order(venue_order_id=""))
    assert found is not None
    assert found.venue_order_id == "it"
    assert http.targets() == [
        f"/trade-api/v2/portfolio/orders?ticker={TICKER}&min_ts=1781159240&subaccount=0&limit=1000"
    ]


def test_look_up_when_our_wall_clock_is_an_hour_ahead_then_the_venues_time_is_asked_for(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/orders", page(listed("tg-1")))
    http.on("GET", f"/portfolio/orders/{ORDER_ID}", NOT_FOUND)
    http.headers["date"] = "Thu, 11 Jun 2026 05:29:20 GMT"
    assert find(tmp_path, http, order()) is not None
    min_ts = int(http.targets()[-1].partition("min_ts=")[2].partition("&")[0])
    assert abs(min_ts - (1_781_159_240 - 3_600)) <= 2


def test_look_up_when_the_venue_shows_no_such_order_then_there_is_none(tmp_path: Path) -> None:
    http = answering("GET", f"/portfolio/orders/{ORDER_ID}", NOT_FOUND)
    http.on("GET", "/portfolio/orders", page(listed("tg-0")))
    assert find(tmp_path, http, order()) is None


def test_look_up_when_an_order_in_the_list_is_unreadable_then_the_list_proves_nothing(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/orders", page(listed("tg-1", yes_price_dollars="low")))
    with pytest.raises(Retryable, match="can't be read"):
        find(tmp_path, http, order(venue_order_id=""))


def test_open_orders_when_listed_then_only_resting_ones_are_asked_for(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/orders", page(listed(), listed("tg-2")))
    found = with_gateway(tmp_path, http, lambda gateway: gateway.open_orders())
    assert [one.client_order_id for one in found] == ["tg-1", "tg-2"]
    assert "status=resting" in http.targets()[0]


def fill(number: int, created_time: str) -> dict[str, Any]:
    return {
        "trade_id": f"t{number}",
        "order_id": ORDER_ID,
        "ticker": TICKER,
        "count_fp": "1.00",
        "yes_price_dollars": "0.5200",
        "is_taker": True,
        "fee_cost": "0.017500",
        "book_side": "bid",
        "created_time": created_time,
    }


def test_fills_when_listed_newest_first_then_they_come_oldest_first(tmp_path: Path) -> None:
    http = ScriptedHttp()
    newest, oldest = fill(2, "2026-06-11T06:29:30.2Z"), fill(1, "2026-06-11T06:29:30.1Z")
    http.on("GET", "/portfolio/fills", (200, msgspec.json.encode({"fills": [newest, oldest], "cursor": ""})))
    found = with_gateway(tmp_path, http, lambda gateway: gateway.fills(1_781_159_370_000_000_000))
    assert [one.fill_id for one in found] == ["t1", "t2"]
    assert "min_ts=1781159250" in http.targets()[0]


def test_positions_when_flat_then_they_are_left_out(tmp_path: Path) -> None:
    rows = [{"ticker": TICKER, "position_fp": "-3.00"}, {"ticker": "FLAT-1-A", "position_fp": "0.00"}]
    http = ScriptedHttp()
    body = msgspec.json.encode({"market_positions": rows, "event_positions": [], "cursor": ""})
    http.on("GET", "/portfolio/positions", (200, body))
    (report,) = with_gateway(tmp_path, http, lambda gateway: gateway.positions())
    assert (report.instrument, report.size) == (f"kalshi:{TICKER}", -300)


@pytest.mark.parametrize(("subaccount", "named"), [(None, "subaccount=0"), (3, "subaccount=3")])
def test_lists_when_read_then_each_names_the_subaccount_because_some_would_be_of_all_of_them(
    tmp_path: Path, subaccount: int | None, named: str
) -> None:
    http = answering("GET", "/portfolio/orders", page())
    http.on("GET", "/portfolio/fills", (200, b'{"fills":[],"cursor":""}'))
    http.on("GET", "/portfolio/positions", (200, b'{"market_positions":[],"cursor":""}'))

    async def use(gateway: KalshiGateway) -> None:
        await gateway.open_orders()
        await gateway.find_order(order(venue_order_id=""))
        await gateway.fills(0)
        await gateway.positions()

    with_gateway(tmp_path, http, use, subaccount=subaccount)
    assert len(http.targets()) == 5
    assert [target for target in http.targets() if named not in target.replace("?", "&").split("&")] == []


def test_read_lag_when_asked_then_it_is_the_setting(tmp_path: Path) -> None:
    async def use(gateway: KalshiGateway) -> int:
        return gateway.read_lag_ms

    assert with_gateway(tmp_path, ScriptedHttp(), use) == 2_000


def test_reads_when_they_take_long_then_what_they_state_is_as_old_as_the_question(tmp_path: Path) -> None:
    http = ScriptedHttp()
    http.on("GET", "/portfolio/orders", page(listed()))
    http.on("GET", f"/portfolio/orders/{ORDER_ID}", (200, msgspec.json.encode({"order": listed()})))
    position = {"ticker": TICKER, "position_fp": "3.00", "last_updated_ts": "2026-06-11T06:29:20Z"}
    http.on("GET", "/portfolio/positions", (200, msgspec.json.encode({"market_positions": [position], "cursor": ""})))
    answer = http.send

    async def slowly(request: HttpRequest, *words: Any, **more: Any) -> HttpResponse:
        await asyncio.sleep(2)
        return await answer(request, *words, **more)

    async def use(gateway: KalshiGateway) -> list[tuple[int, int]]:
        ages = []
        known = order(venue_order_id=ORDER_ID)
        for read in (gateway.open_orders, gateway.positions, lambda: gateway.find_order(known)):
            asked_ns = gateway._clock.now_ns()
            answered: Any = await read()
            (fact,) = answered if isinstance(answered, tuple) else (answered,)
            ages.append((fact.ts_recv - asked_ns, gateway._clock.now_ns() - asked_ns))
        return ages

    http.send = slowly  # type: ignore[method-assign]
    ages = with_gateway(tmp_path, http, use)
    assert [age_ns for age_ns, _ in ages] == [0, 0, 0]
    assert all(took_ns >= 2_000_000_000 for _, took_ns in ages)
