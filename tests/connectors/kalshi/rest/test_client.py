"""Reads: pages, retries, budgets and the venue's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.client.rest import SignedRest
from connectors.client.venue_time import VenueTime
from connectors.client.wire.calls import Call
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as CutOff
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from tests.connectors.kalshi.support import settings_for, tier_budget
from tests.connectors.support import START_NS, LoopClock, ScriptedHttp, answering, run_jumping

EXPIRED = b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}'
BAD_KEY = b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}'
LIMITED = b'{"error":"too many requests"}'
STATUS = b'{"exchange_active":true,"trading_active":true}'
KEYS = b'{"api_keys":[]}'
PATH = "/exchange/status"


def rest_of(http: ScriptedHttp, clock: LoopClock, tmp_path: Path, **changes: Any) -> SignedRest:
    settings = settings_for(tmp_path, **changes)
    signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
    turn = tier_budget(settings, clock).turn
    return kalshi_rest(http, signer, settings, clock=clock, time=VenueTime(clock), turn=turn)


def read_status(http: ScriptedHttp, tmp_path: Path, **changes: Any) -> tuple[bool, float]:
    async def main(clock: LoopClock) -> tuple[bool, float]:
        status = await queries.get_exchange_status(rest_of(http, clock, tmp_path, **changes))
        return status.trading_active, clock.monotonic_ns() / 1e9

    return run_jumping(main)


def orders_page(ids: list[str], cursor: str) -> tuple[int, bytes]:
    orders = [
        {
            "order_id": one,
            "ticker": "T",
            "status": "resting",
            "yes_price_dollars": "0.0100",
            "fill_count_fp": "0.00",
            "remaining_count_fp": "1.00",
            "initial_count_fp": "1.00",
        }
        for one in ids
    ]
    return 200, msgspec.json.encode({"orders": orders, "cursor": cursor})


def read_keys(http: ScriptedHttp, tmp_path: Path) -> None:
    async def main(clock: LoopClock) -> None:
        await queries.get_api_keys(rest_of(http, clock, tmp_path))

    run_jumping(main)


def test_read_when_signed_then_key_time_and_prefix_are_there(tmp_path: Path) -> None:
    http = answering("GET", "/api_keys", (200, KEYS))
    read_keys(http, tmp_path)
    (request,) = http.requests
    headers = dict(request.headers)
    assert request.target == "/trade-api/v2/api_keys"
    assert abs(int(headers["KALSHI-ACCESS-TIMESTAMP"]) - START_NS // 1_000_000) < 2_000
    assert headers["KALSHI-ACCESS-SIGNATURE"]


def test_status_when_asked_then_it_is_unsigned_for_the_venues_clock_may_not_be_known_yet(tmp_path: Path) -> None:
    http = answering("GET", PATH, (200, STATUS))
    assert read_status(http, tmp_path)[0]
    (request,) = http.requests
    assert (request.target, request.headers) == ("/trade-api/v2/exchange/status", ())


@pytest.mark.parametrize("failure", [(500, b""), (503, b"<html>"), CutOff("reset"), NotSent("refused"), (200, b"{")])
def test_read_when_it_fails_and_passes_then_it_is_tried_again(
    tmp_path: Path, failure: tuple[int, bytes] | Exception
) -> None:
    http = answering("GET", PATH, failure, failure, (200, STATUS))
    assert read_status(http, tmp_path)[0]
    assert len(http.requests) == 3


def test_read_when_it_keeps_failing_then_it_gives_up_after_three_tries(tmp_path: Path) -> None:
    http = answering("GET", PATH, (500, b""))
    with pytest.raises(Retryable):
        read_status(http, tmp_path)
    assert len(http.requests) == 3


def test_read_when_the_key_is_refused_then_it_is_fatal_at_once(tmp_path: Path) -> None:
    http = answering("GET", PATH, (401, BAD_KEY))
    with pytest.raises(AccountRefused, match="key"):
        read_status(http, tmp_path)
    assert len(http.requests) == 1


def test_read_when_limited_then_the_budget_is_emptied_before_the_next_try(tmp_path: Path) -> None:
    http = answering("GET", PATH, (429, LIMITED), (200, STATUS))
    _, elapsed_s = read_status(http, tmp_path, tier="basic")
    assert elapsed_s > 0.3


def test_timestamp_when_refused_then_the_venues_date_is_used_for_the_next_try(tmp_path: Path) -> None:
    http = ScriptedHttp()
    http.headers["date"] = "Thu, 11 Jun 2026 07:29:20 GMT"
    http.on("GET", "/api_keys", (401, EXPIRED), (200, KEYS))

    async def main(clock: LoopClock) -> None:
        rest = rest_of(http, clock, tmp_path)
        rest.time.sample_ms(START_NS // 1_000_000, sent_ns=0, received_ns=1)
        await queries.get_api_keys(rest)

    run_jumping(main)
    stamps = [int(dict(request.headers)["KALSHI-ACCESS-TIMESTAMP"]) for request in http.requests]
    assert abs(stamps[0] - 1_781_159_360_000) < 2_000
    assert abs(stamps[1] - 1_781_162_960_000) < 2_000


def test_pages_when_there_are_several_then_all_are_read_and_the_cursor_is_passed_on(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/orders", orders_page(["a", "b"], "c1"), orders_page(["c"], ""))

    async def main(clock: LoopClock) -> list[str]:
        listed = await queries.get_orders(rest_of(http, clock, tmp_path), status="resting")
        return [one.order_id for one in listed]

    assert run_jumping(main) == ["a", "b", "c"]
    assert http.targets() == [
        "/trade-api/v2/portfolio/orders?status=resting&limit=1000",
        "/trade-api/v2/portfolio/orders?status=resting&limit=1000&cursor=c1",
    ]


def test_pages_when_cursors_run_in_a_circle_or_never_end_then_it_is_an_error(tmp_path: Path) -> None:
    circle = answering("GET", "/portfolio/orders", orders_page(["a"], "c1"))
    endless = answering("GET", "/portfolio/orders", *[orders_page(["a"], f"c{number}") for number in range(9)])
    for http, code in ((circle, "cursor_circle"), (endless, "list_too_long")):

        async def main(clock: LoopClock, http: ScriptedHttp = http) -> object:
            return await queries.get_orders(rest_of(http, clock, tmp_path, pages_max=4))

        with pytest.raises(RefusedByVenue, match=code):
            run_jumping(main)


def test_balance_when_read_often_then_it_waits_for_its_own_second(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/balance", (200, b'{"balance":9801,"balance_dollars":"98.0186"}'))

    async def main(clock: LoopClock) -> float:
        rest = rest_of(http, clock, tmp_path, tier="basic")
        for _ in range(4):
            await queries.get_balance(rest)
        return clock.monotonic_ns() / 1e9

    assert run_jumping(main) > 4


@pytest.mark.parametrize(("failure", "kind"), [(NotSent("refused"), Retryable), (CutOff("reset"), OutcomeUnknown)])
def test_write_when_the_network_fails_then_only_what_never_left_may_be_sent_again(
    tmp_path: Path, failure: Exception, kind: type[Exception]
) -> None:
    http = answering("POST", "/portfolio/events/orders", failure)

    async def main(clock: LoopClock) -> None:
        rest = rest_of(http, clock, tmp_path)
        await rest.send(rest.signed(Call("POST", "/portfolio/events/orders", b"{}")))

    with pytest.raises(kind):
        run_jumping(main)
    assert len(http.requests) == 1


ONE_MARKET = {"ticker": "KXTIDE-1-A", "event_ticker": "KXTIDE-1", "status": "active"}
SOME_READS: list[tuple[Any, str, dict[str, Any], Any]] = [
    (
        lambda rest: queries.get_api_keys(rest),
        "/api_keys",
        {"api_keys": [{"api_key_id": "a", "scopes": ["read"]}]},
        lambda answer: answer[0].scopes == ("read",),
    ),
    (
        lambda rest: queries.get_market(rest, "KXTIDE-1-A"),
        "/markets/KXTIDE-1-A",
        {"market": ONE_MARKET},
        lambda answer: answer.ticker == "KXTIDE-1-A",
    ),
    (
        lambda rest: queries.get_settlements(rest, since_s=5),
        "/portfolio/settlements",
        {"settlements": [{"ticker": "A", "market_result": "yes", "value": 100}], "cursor": ""},
        lambda answer: answer.rows[0].value == 100,
    ),
]


@pytest.mark.parametrize(("read", "path", "body", "is_right"), SOME_READS, ids=[row[1] for row in SOME_READS])
def test_read_when_answered_as_documented_then_it_is_decoded(
    tmp_path: Path, read: Any, path: str, body: dict[str, Any], is_right: Any
) -> None:
    http = answering("GET", path, (200, msgspec.json.encode(body)))

    async def main(clock: LoopClock) -> Any:
        reading: Coroutine[Any, Any, Any] = read(rest_of(http, clock, tmp_path))
        return await reading

    assert is_right(run_jumping(main))


def test_balance_when_limited_then_its_own_bucket_is_empty_and_not_that_of_the_other_reads(tmp_path: Path) -> None:
    http = answering("GET", "/portfolio/balance", (429, LIMITED))
    http.on("GET", "/api_keys", (200, KEYS))

    async def main(clock: LoopClock) -> int:
        rest = rest_of(http, clock, tmp_path, tier="basic")
        await asyncio.sleep(10)
        with pytest.raises(Retryable):
            await queries.get_balance(rest)
        before_ns = clock.monotonic_ns()
        await queries.get_api_keys(rest)
        return clock.monotonic_ns() - before_ns

    assert run_jumping(main) == 0


def test_names_when_they_hold_odd_characters_then_each_is_one_part_of_the_path(tmp_path: Path) -> None:
    http, odd, quoted = ScriptedHttp(), "KX TIDE/../#1?", "KX%20TIDE%2F..%2F%231%3F"
    not_found = (404, b'{"error":{"code":"not_found","message":"not found"}}')
    paths = ("/markets/{}", "/series/{}", "/events/{}", "/portfolio/orders/{}")
    for path in paths:
        http.on("GET", path.format(quoted), not_found)

    async def main(clock: LoopClock) -> None:
        rest = rest_of(http, clock, tmp_path)
        for query in (
            queries.get_market,
            queries.get_series,
            queries.get_event,
            queries.get_order,
        ):
            with pytest.raises(RefusedByVenue, match="not_found"):
                await query(rest, odd)

    run_jumping(main)
    assert len(http.requests) == len(paths)


def write_key(http: ScriptedHttp, tmp_path: Path) -> object:
    async def main(clock: LoopClock) -> object:
        return await rest_of(http, clock, tmp_path).write(Call("POST", "/api_keys", b"{}"), msgspec.json.decode)

    return run_jumping(main)


@pytest.mark.parametrize("failure", [NotSent("refused"), (429, LIMITED), (401, EXPIRED)])
def test_write_once_when_nothing_was_done_then_it_is_tried_again_with_a_signature_of_its_own(
    tmp_path: Path, failure: tuple[int, bytes] | Exception
) -> None:
    http = answering("POST", "/api_keys", failure, failure, (201, b"7"))
    assert write_key(http, tmp_path) == 7
    signatures = {dict(request.headers)["KALSHI-ACCESS-TIMESTAMP"] for request in http.requests}
    assert len(http.requests) == len(signatures) == 3
    limited = answering("POST", "/api_keys", failure)
    with pytest.raises(Retryable):
        write_key(limited, tmp_path)
    assert len(limited.requests) == 5


@pytest.mark.parametrize("failure", [CutOff("reset"), (500, b""), (408, b"{}"), (302, b""), (201, b"{")])
def test_write_once_when_something_may_have_been_done_then_it_is_not_sent_again(
    tmp_path: Path, failure: tuple[int, bytes] | Exception
) -> None:
    http = answering("POST", "/api_keys", failure)
    with pytest.raises(OutcomeUnknown):
        write_key(http, tmp_path)
    assert len(http.requests) == 1


def test_write_once_when_it_is_refused_then_it_is_not_sent_again(tmp_path: Path) -> None:
    http = answering("POST", "/api_keys", (400, b'{"error":{"code":"invalid_parameters"}}'))
    with pytest.raises(RefusedByVenue, match="invalid_parameters"):
        write_key(http, tmp_path)
    assert len(http.requests) == 1
