"""REST of a venue that signs queries and gives no codes: tries, turns, clocks and what is said of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import pytest

from connectors.client.pages import by_last_id, by_offset
from connectors.client.rest import SignedRest, or_none, request_of
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as CutOff
from connectors.transport.ports import HttpRequest, HttpResponse
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError
from framework.domain.rate_limits import RequestKind
from tests.connectors.client.toy_rest import KEY, Turns, rest_of
from tests.connectors.support import START_NS, LoopClock, ScriptedHttp, answering, run_jumping

T = TypeVar("T")
PATH = "/v1/balance"
GOOD = (200, b'{"cash":"1.00"}')
LIMITED = (429, b'{"error":"Rate limit exceeded"}')
EXPIRED = (401, b'{"error":"Invalid timestamp"}')
FORBIDDEN = (403, b'{"error":"Forbidden"}')
OPEN = "/v1/status"


class Orders(msgspec.Struct):
    """A page of a list."""

    orders: tuple[int, ...]
    total: int


def using(http: ScriptedHttp, use: Callable[[SignedRest], Awaitable[T]], turns: Turns | None = None) -> tuple[T, float]:
    async def main(clock: LoopClock) -> tuple[T, float]:
        found = await use(rest_of(http, clock, turns or Turns()))
        return found, clock.monotonic_ns() / 1e9

    return run_jumping(main)


async def balance(rest: SignedRest) -> dict[str, str]:
    return await rest.get("/balance", dict[str, str], [("asset", "USDT"), ("none", None)])


def test_read_when_tried_again_then_each_try_has_a_signature_and_a_time_of_its_own() -> None:
    http = answering("GET", PATH, (503, b""), GOOD)
    assert using(http, balance)[0] == {"cash": "1.00"}
    first, second = http.targets()
    assert first != second
    for target in (first, second):
        query, _, signature = target.partition("?")[2].partition("&signature=")
        assert query.startswith("asset=USDT&timestamp=")
        assert signature == KEY.hex(query.encode())


def test_read_when_the_venue_says_how_long_to_wait_then_that_is_waited() -> None:
    http = answering("GET", PATH, LIMITED, GOOD)
    http.headers["retry-after"] = "7"
    assert using(http, balance)[1] >= 7


def test_turn_when_a_read_ends_then_it_is_said_what_became_of_its_tokens() -> None:
    http, turns = answering("GET", PATH, NotSent("refused"), LIMITED, GOOD), Turns()
    using(http, balance, turns)
    assert turns.asked == [(RequestKind.QUERY, "/balance", 1)] * 3
    assert turns.ends == ["not sent", "limited", "spent"]


def test_turn_when_an_answer_was_lost_then_its_tokens_are_spent() -> None:
    http, turns = answering("GET", PATH, CutOff("reset"), (500, b""), (404, b'{"error":"no"}')), Turns()
    with pytest.raises(RefusedByVenue):
        using(http, balance, turns)
    assert turns.ends == ["spent"] * 3


def test_turn_when_a_read_has_a_cost_of_its_own_then_it_is_asked_for_by_that_name_and_weight() -> None:
    http, turns = answering("GET", "/v1/book/BTC", (200, b"{}")), Turns()
    using(http, lambda rest: rest.get("/book/BTC", dict[str, str], endpoint="/book/*", weight=5), turns)
    assert turns.asked == [(RequestKind.QUERY, "/book/*", 5)]


def test_timestamp_when_refused_by_a_text_then_the_clock_is_measured_anew() -> None:
    http = answering("GET", PATH, EXPIRED, GOOD)
    http.headers["date"] = "Thu, 11 Jun 2026 07:29:20 GMT"

    async def use(rest: SignedRest) -> int:
        rest.time.sample_ms(START_NS // 1_000_000, sent_ns=0, received_ns=1)
        await balance(rest)
        return rest.time.now_ms()

    assert abs(using(http, use)[0] - 1_781_162_960_000) < 2_000


@pytest.mark.parametrize(
    ("body", "kind", "tries"), [(b'{"cash":1}', UnreadableAnswer, 1), (b"{", Retryable, 3), (b"\xff", Retryable, 3)]
)
def test_answer_when_it_is_of_another_form_then_it_is_not_asked_for_again_and_a_cut_one_is(
    body: bytes, kind: type[Exception], tries: int
) -> None:
    http = answering("GET", PATH, (200, body))
    with pytest.raises(kind, match="GET /balance: the answer can't be read"):
        using(http, balance)
    assert len(http.requests) == tries


@pytest.mark.parametrize(("failure", "kind"), [(NotSent("refused"), Retryable), (CutOff("reset"), OutcomeUnknown)])
def test_error_when_a_request_fails_then_its_signed_query_is_not_in_the_text(
    failure: Exception, kind: type[Exception]
) -> None:
    async def use(rest: SignedRest) -> None:
        await rest.send(rest.signed(Call("POST", "/orders", b"{}")))

    with pytest.raises(kind) as caught:
        using(answering("POST", "/v1/orders", failure), use)
    assert "POST /v1/orders: " in str(caught.value)
    assert "signature" not in str(caught.value)


def test_list_when_it_has_pages_then_each_is_asked_for_behind_the_last_and_odd_rows_are_kept_apart() -> None:
    pages = [(200, b'{"orders":[1,"x"],"total":3}'), (200, b'{"orders":[3],"total":3}')]
    http = answering("GET", "/v1/orders", *pages)
    found, _ = using(http, lambda rest: rest.listing("/orders", Orders, by_offset, [("status", "NEW")]))
    assert (found.rows, [row.row for row in found.bad]) == ([1, 3], ["x"])
    assert [target.partition("&timestamp")[0] for target in http.targets()] == [
        "/v1/orders?status=NEW",
        "/v1/orders?status=NEW&offset=2",
    ]


def test_list_when_its_first_page_begins_at_a_place_then_a_later_one_names_its_own_only() -> None:
    http = answering("GET", "/v1/orders", (200, b'{"orders":[7,8],"total":0}'), (200, b'{"orders":[],"total":0}'))
    pages = by_last_id("fromId", int)
    using(http, lambda rest: rest.listing("/orders", Orders, pages, [("fromId", 7), ("symbol", "A")]))
    assert [target.partition("&timestamp")[0] for target in http.targets()] == [
        "/v1/orders?fromId=7&symbol=A",
        "/v1/orders?symbol=A&fromId=9",
    ]


def test_unsigned_read_when_asked_then_it_carries_no_key() -> None:
    http = answering("GET", "/v1/time", (200, b"{}"))

    async def main(clock: LoopClock) -> None:
        await rest_of(http, clock, Turns(), unsigned=frozenset({"/time"})).get("/time", dict[str, str])

    run_jumping(main)
    (request,) = http.requests
    assert (request.target, request.headers) == ("/v1/time", ())


@pytest.mark.parametrize(("text", "is_none"), [("Not found", True), ("Forbidden", False)])
def test_object_when_the_venue_does_not_know_it_then_there_is_none(text: str, is_none: bool) -> None:
    http = answering("GET", PATH, (404, msgspec.json.encode({"error": text})))
    if is_none:
        assert using(http, lambda rest: or_none(balance(rest)))[0] is None
    else:
        with pytest.raises(RefusedByVenue, match="forbidden"):
            using(http, lambda rest: or_none(balance(rest)))


def test_key_when_it_is_refused_then_the_clock_is_measured_anew_for_it_may_have_been_the_timestamp() -> None:
    http = answering("GET", PATH, (401, b'{"error":"Invalid or expired token"}'))

    async def use(rest: SignedRest) -> int:
        rest.time.sample_ms(START_NS // 1_000_000 - 3_600_000, sent_ns=0, received_ns=0)
        http.headers["date"] = "Thu, 11 Jun 2026 06:29:20 GMT"
        with pytest.raises(AccountRefused):
            await balance(rest)
        return rest.time.now_ns() - START_NS

    off_ns, _ = using(http, use)
    assert abs(off_ns) <= 2_000_000_000


async def tried(rest: SignedRest, method: str) -> Exception | None:
    """What a read, or a write, raises."""
    try:
        if method == "GET":
            await balance(rest)
        else:
            await rest.write(Call("POST", "/balance", b"{}"), msgspec.json.decode)
    except TidegateError as e:
        return e
    return None


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([FORBIDDEN], AccountRefused),
        ([(403, b"<html>")], AccountRefused),
        ([(200, b"{}")], RefusedByVenue),
        ([(404, b'{"error":"Not found"}')], RefusedByVenue),
        ([CutOff("reset")], RefusedByVenue),
    ],
)
def test_forbidden_when_what_anybody_may_read_is_forbidden_too_then_the_account_is_refused_else_the_request(
    method: str, answers: list[tuple[int, bytes] | Exception], kind: type[Exception]
) -> None:
    http, turns = answering(method, PATH, FORBIDDEN), Turns()
    http.on("GET", OPEN, *answers)

    async def main(clock: LoopClock) -> Exception | None:
        rest = rest_of(http, clock, turns, unsigned=frozenset({"/status"}), open_path="/status")
        return await tried(rest, method)

    failure = run_jumping(main)
    assert type(failure) is kind
    assert http.targets("GET")[-1] == OPEN
    assert turns.asked[-1] == (RequestKind.QUERY, "/status", 1)


def test_forbidden_when_the_venue_has_no_read_for_anybody_then_the_request_is_refused() -> None:
    http = answering("GET", PATH, FORBIDDEN)
    assert type(using(http, lambda rest: tried(rest, "GET"))[0]) is RefusedByVenue
    assert len(http.requests) == 1


def test_rest_when_shown_then_it_is_its_address() -> None:
    async def main(clock: LoopClock) -> str:
        return repr(rest_of(ScriptedHttp(), clock, Turns()))

    assert run_jumping(main) == "<SignedRest https://toy/v1>"


def test_write_when_it_may_be_repeated_then_it_has_a_turn_a_signature_for_each_try_and_the_same_body() -> None:
    http, turns = answering("POST", "/v1/orders", CutOff("reset"), (201, b'{"cash":"1.00"}')), Turns()
    call = Call("POST", "/orders", b'{"client_order_id":"c"}')
    using(http, lambda rest: rest.ask(call, msgspec.json.decode, endpoint="/orders"), turns)
    assert [request.body for request in http.requests] == [call.body] * 2
    assert len(set(http.targets("POST"))) == 2
    assert turns.asked == [(RequestKind.QUERY, "/orders", 1)] * 2


def test_answer_when_it_comes_then_the_venue_sees_its_headers_whatever_its_status() -> None:
    http, seen = answering("GET", PATH, LIMITED, GOOD), []
    http.slow_s, http.headers["x-ratelimit-remaining"] = 0.5, "7"

    def see(request: HttpRequest, answer: HttpResponse, took_ns: int) -> None:
        seen.append((request.method, answer.status, answer.headers["x-ratelimit-remaining"], took_ns))

    async def main(clock: LoopClock) -> None:
        await balance(rest_of(http, clock, Turns(), on_answer=see))

    run_jumping(main)
    assert seen == [("GET", 429, "7", 500_000_000), ("GET", 200, "7", 500_000_000)]


def test_request_when_its_venue_always_names_json_then_that_header_is_there_once() -> None:
    json = ("Content-Type", "application/json")
    assert request_of(Call("POST", "/orders", b"{}")).headers == (json,)
    assert request_of(Call("POST", "/orders", b"{}"), (json,)).headers == (json,)
    assert request_of(Call("GET", "/orders"), (json,)).headers == (json,)
