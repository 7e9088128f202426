"""Faults and the administrator's side: each fault strikes as described, and the audit report shows what happened."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from connectors.sandbox.serving.admin import Admin, is_local
from tests.connectors.kalshi.sandbox.signed_client import Client, StartClient, Stream, TurnedClock

ORDERS_PATH = {"match": {"path": "*/portfolio/events/orders*"}}


class PeerTransport(asyncio.Transport):
    """A connection from another machine."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("10.0.0.7", 4000) if name == "peername" else default


async def book_stream(client: Client, *channels: str) -> Stream:
    """A stream that has its acknowledgements and the book's first snapshot."""
    stream = await client.stream()
    params = {"channels": ["orderbook_delta", *channels], "market_tickers": [client.ticker]}
    await stream.send({"id": 1, "cmd": "subscribe", "params": params})
    await stream.until("orderbook_snapshot")
    return stream


async def plan(client: Client, **fault: Any) -> int:
    """Plan one fault; its id."""
    answer = await client.admin("POST", "/faults", fault)
    assert answer.status == 201, answer.body
    number: int = answer.body["fault_ids"][0]
    return number


async def test_truth_when_orders_were_placed_then_ids_states_and_arrivals(client: Client) -> None:
    before_ns = time.time_ns()
    await client.place(client_order_id="rests")
    gone = await client.place(client_order_id="goes")
    await client.call("DELETE", f"/portfolio/events/orders/{gone.body['order_id']}")
    report = await client.audit_report()
    states = {order["client_order_id"]: order["status"] for order in report["orders"]}
    assert states == {"rests": "resting", "goes": "canceled"}
    assert all(before_ns < order["arrival_ns"] < time.time_ns() for order in report["orders"])
    assert report["requests"]["POST /portfolio/events/orders"] == 2
    assert report["requests"]["DELETE /portfolio/events/orders/{order_id}"] == 1
    assert (report["rate_limited"], report["refused_signatures"], report["server_errors"]) == (0, 0, 0)
    assert report["problems"] == []


@pytest.mark.parametrize("kind", ["lost_response", "lost_request"])
async def test_connection_when_cut_then_only_a_lost_response_has_done_the_act(client: Client, kind: str) -> None:
    await plan(client, kind=kind, **ORDERS_PATH)
    with pytest.raises(aiohttp.ClientError):
        await client.place(client_order_id="unsure")
    accepted = [order["client_order_id"] for order in (await client.audit_report())["orders"]]
    assert accepted == (["unsure"] if kind == "lost_response" else [])
    assert (await client.place()).status == 201


async def test_error_after_accept_when_it_strikes_then_5xx_and_the_order_stands(client: Client) -> None:
    await plan(client, kind="error_after_accept", status=503, **ORDERS_PATH)
    answer = await client.place(client_order_id="unsure")
    assert (answer.status, answer.body["error"]["code"]) == (503, "service_unavailable")
    report = await client.audit_report()
    assert [order["status"] for order in report["orders"]] == ["resting"]
    assert (report["server_errors"], report["faults_struck"]) == (1, {"error_after_accept": 1})


async def test_storm_when_it_strikes_then_429_without_the_act(client: Client) -> None:
    await plan(client, kind="rate_limit_storm", count=2, **ORDERS_PATH)
    answers = [await client.place() for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 201]
    assert answers[0].body == {"error": "too many requests"}
    report = await client.audit_report()
    assert (report["rate_limited"], len(report["orders"])) == (2, 1)


async def test_delay_when_it_strikes_then_the_act_is_done_and_the_answer_late(client: Client) -> None:
    await plan(client, kind="delay", delay_ms=200, **ORDERS_PATH)
    began_ns = time.monotonic_ns()
    assert (await client.place()).status == 201
    assert time.monotonic_ns() - began_ns >= 200_000_000
    arrival_ns = (await client.audit_report())["orders"][0]["arrival_ns"]
    assert time.time_ns() - arrival_ns >= 200_000_000


async def test_address_when_it_is_refused_then_every_read_write_and_stream_is_forbidden(client: Client) -> None:
    fault = await plan(client, kind="ip_refused", count=-1)
    for method, path in (
        ("GET", "/exchange/status"),
        ("GET", "/portfolio/balance"),
        ("POST", "/portfolio/events/orders"),
    ):
        refused = await client.call(method, path)
        assert (refused.status, refused.body["error"]["code"]) == (403, "forbidden")
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.stream()
    assert caught.value.status == 403
    await client.admin("DELETE", f"/faults/{fault}")
    assert (await client.call("GET", "/portfolio/balance")).status == 200


async def test_skew_when_the_venues_clock_is_off_then_signatures_fail_and_its_times_tell(client: Client) -> None:
    fault = await plan(client, kind="clock_skew", skew_ms=60_000)
    refused = await client.call("GET", "/portfolio/orders")
    assert refused.body["error"]["code"] == "header_timestamp_expired"
    shown_s = parsedate_to_datetime(refused.headers["Date"]).timestamp()
    assert 55 < shown_s - time.time() < 65
    assert (await client.call("GET", "/portfolio/orders", skew_ms=60_000)).status == 200
    await client.admin("DELETE", f"/faults/{fault}")
    assert (await client.call("GET", "/portfolio/orders")).status == 200


async def test_gap_when_it_strikes_then_one_number_is_missing(client: Client) -> None:
    stream = await book_stream(client)
    await plan(client, kind="sequence_gap")
    await client.place(price="0.0100")
    await client.place(price="0.0200")
    frame = await stream.next()
    assert (frame["seq"], frame["msg"]["price_dollars"]) == (3, "0.0200")


async def test_mute_when_it_strikes_then_a_channel_says_nothing_of_a_market_and_no_number_is_missing(
    client: Client,
) -> None:
    stream = await book_stream(client)
    await plan(client, kind="mute", match={"channel": "orderbook_delta", "market": client.ticker})
    await client.place(price="0.0100")
    await client.place(price="0.0200")
    frame = await stream.next()
    assert (frame["seq"], frame["msg"]["price_dollars"]) == (2, "0.0200")


async def test_duplicate_when_it_strikes_then_the_same_frame_twice(client: Client) -> None:
    stream = await book_stream(client)
    await plan(client, kind="duplicate_frame", match={"type": "orderbook_delta"})
    await client.place()
    assert await stream.next() == await stream.next()


async def test_drop_when_planned_then_a_quiet_stream_is_cut_without_goodbye(client: Client) -> None:
    stream = await book_stream(client)
    await plan(client, kind="drop_connection")
    message = await stream.socket.receive(timeout=5)
    assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSING}
    assert stream.socket.close_code in {None, 1006}
    await book_stream(client)


async def test_silence_when_it_strikes_then_socket_stays_and_nothing_comes_not_even_pings(start: StartClient) -> None:
    client = await start(tier="prestige", heartbeat_s=0.02)
    stream = await client.stream(autoping=False)
    await plan(client, kind="silent_stream")
    params = {"channels": ["ticker"], "market_tickers": [client.ticker], "send_initial_snapshot": True}
    # Pings sent before the fault may still be read; after a pause nothing more may come.
    for _ in range(50):
        try:
            message = await stream.socket.receive(timeout=0.2)
        except TimeoutError:
            break
        assert message.type is aiohttp.WSMsgType.PING
    else:
        pytest.fail("the stream still pings")
    await stream.send({"id": 1, "cmd": "subscribe", "params": params})
    with pytest.raises(TimeoutError):
        await stream.socket.receive(timeout=0.2)
    assert not stream.socket.closed
    await client.admin("DELETE", "/faults")
    assert (await stream.socket.receive(timeout=5)).type is aiohttp.WSMsgType.PING


async def test_pause_of_a_market_when_it_ends_then_resting_orders_were_canceled(client: Client) -> None:
    placed = await client.place()
    fault = await plan(client, kind="pause", scope="market", match={"market": client.ticker})
    market = (await client.call("GET", f"/markets/{client.ticker}")).body["market"]
    assert market["status"] == "inactive"
    await client.admin("DELETE", f"/faults/{fault}")
    order = (await client.call("GET", f"/portfolio/orders/{placed.body['order_id']}")).body["order"]
    assert order["status"] == "canceled"


async def test_pause_when_its_time_is_over_then_trading_resumes_by_itself(client: Client) -> None:
    await plan(client, kind="pause", duration_ms=100)
    assert (await client.place()).status == 409
    deadline = time.monotonic() + 5
    while (answer := await client.place()).status == 409:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert answer.status == 201


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"kind": "earthquake"}, "earthquake"),
        ({"kind": "delay", "delay_ms": "long"}, "delay_ms"),
        ({"kind": "pause", "scope": "everything"}, "everything"),
        ({"kind": "settle", "value": 20_000}, "20000"),
        ({"kind": "delay", "probability": 2}, "probability"),
        ([1], "object"),
    ],
)
async def test_fault_when_described_wrongly_then_400_names_it_and_nothing_is_planned(
    client: Client, fault: Any, named: str
) -> None:
    answer = await client.admin("POST", "/faults", fault)
    assert answer.status == 400
    assert named in answer.body["error"]
    assert (await client.admin("GET", "/faults")).body["faults"] == []


async def test_fault_when_removed_twice_then_404_the_second_time(client: Client) -> None:
    fault = await plan(client, kind="rate_limit_storm", count=-1)
    assert (await client.admin("DELETE", f"/faults/{fault}")).status == 200
    assert (await client.admin("DELETE", f"/faults/{fault}")).status == 404


def test_admin_when_asked_from_elsewhere_then_refused() -> None:
    assert [is_local(remote) for remote in ("127.0.0.1", "127.9.9.9", "::1", "10.0.0.7", "::2", None)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


async def test_admin_when_the_peer_is_not_local_then_403_on_every_endpoint(client: Client) -> None:
    app = web.Application()
    Admin(lambda: client.sandbox.venue, client.sandbox).add_routes(app)
    routes = [route for route in app.router.routes() if route.resource is not None]
    assert len(routes) >= 6
    for route in routes:
        assert route.resource is not None
        request = make_mocked_request(route.method, route.resource.canonical, transport=PeerTransport())
        answer = await route.handler(request)
        assert isinstance(answer, web.Response)
        assert answer.status == 403


async def test_reset_when_called_then_streams_are_cut_and_nothing_is_left_but_the_keys(client: Client) -> None:
    stream = await book_stream(client)
    await client.place()
    await stream.until("orderbook_delta")
    await plan(client, kind="rate_limit_storm", count=-1)
    assert (await client.admin("POST", "/reset")).status == 200
    message = await stream.socket.receive(timeout=5)
    assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSING}
    report = await client.audit_report()
    assert (report["orders"], report["fills"], report["faults_struck"]) == ([], [], {})
    assert (await client.place()).status == 201


async def test_flow_when_running_then_a_quote_at_the_touch_is_filled_and_the_books_add_up(start: StartClient) -> None:
    client = await start(tier="prestige", speed=30.0, seed=3)
    stream = await client.stream()
    await stream.send({"id": 1, "cmd": "subscribe", "params": {"channels": ["fill"]}})
    await stream.until("subscribed")
    filled = 0
    deadline = time.monotonic() + 20
    while filled < 3:
        assert time.monotonic() < deadline
        market = (await client.call("GET", f"/markets/{client.ticker}")).body["market"]
        await client.call("DELETE", "/portfolio/events/orders")
        for side, price in (("bid", market["yes_bid_dollars"]), ("ask", market["yes_ask_dollars"])):
            await client.place(side=side, price=price, count="5.00", post_only=True)
        try:
            await stream.next(0.3)
        except TimeoutError:
            continue
        filled += 1
    report = await client.audit_report()
    assert len(report["fills"]) >= 3
    assert report["problems"] == []


async def test_short_lived_markets_when_their_time_has_come_then_closed_and_settled(start: StartClient) -> None:
    clock = TurnedClock()
    client = await start(tier="prestige", markets=1, close_after_s=1, now_ns=clock)
    stream = await client.stream()
    await stream.send({"id": 1, "cmd": "subscribe", "params": {"channels": ["market_lifecycle_v2"]}})
    await stream.until("subscribed")
    assert (await client.place()).status == 201
    clock.ns += 2_000_000_000
    assert (await client.place()).body["error"]["code"] == "market_closed"
    assert (await client.call("GET", f"/markets/{client.ticker}")).body["market"]["status"] == "closed"
    for seconds, kind, status in ((5, "determined", "closed"), (11, "settled", "settled")):
        clock.ns += seconds * 1_000_000_000
        assert (await stream.next())["msg"]["event_type"] == kind
        listed = await client.call("GET", f"/markets?status={status}", headers={})
        assert [one["ticker"] for one in listed.body["markets"]] == [client.ticker]
