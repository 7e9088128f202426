"""Funds by REST: what is compared before a move is signed, and answers that prove nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from connectors.client.gateway import digest_of
from connectors.client.rest import SignedRest, request_of
from connectors.client.usual.funds import FundTable, RestFunds, plain_amount
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call
from connectors.client.wire.rows import Row
from framework.domain.errors import ConfigurationError, OutcomeUnknown
from framework.domain.venue import FundMove, FundMoveState, FundVerb, SignedMove
from tests.connectors.client.toy_rest import rules
from tests.connectors.support import LoopClock, ScriptedHttp, run_jumping

MOVE = FundMove(verb=FundVerb.TRANSFER, asset="A/B", amount="007.500", to="x")


def state_of(_verb: FundVerb, move_id: str, row: Row) -> FundMoveState:
    return FundMoveState(id=move_id, status=row["how"], is_final=True)


TABLE = FundTable(
    call_of=lambda move: Call("POST", "/out", f"{move.amount}".encode()),
    ids={FundVerb.TRANSFER: "id"},
    paths={FundVerb.TRANSFER: "/out/{id}"},
    state_of=state_of,
    holding="/held/{asset}",
    available="free",
    decimals="digits",
    page=Row,
    next_page=lambda *_: None,
    lists={},
    digest_of=digest_of,
    digest_in=str,
)


def ask(http: ScriptedHttp, question: Callable[[RestFunds], Awaitable[object]]) -> object:
    async def main(clock: LoopClock) -> object:
        rest = SignedRest(http, request_of, rules(), clock=clock, time=VenueTime(clock))
        return await question(RestFunds(rest, TABLE))

    return run_jumping(main)


def holding(balance: bytes, *answers: tuple[int, bytes]) -> ScriptedHttp:
    http = ScriptedHttp()
    http.on("GET", "/v1/held/A%2FB", (200, balance))
    http.on("POST", "/v1/out", *(answers or ((200, b'{"id":"t-1","how":"DONE"}'),)))
    return http


async def moved(mover: RestFunds) -> FundMoveState:
    return await mover.send(await mover.sign(MOVE))


def test_move_when_all_that_there_is_leaves_then_the_amount_is_sent_in_its_shortest_form() -> None:
    http = holding(b'{"free":"7.5","digits":1}')
    assert ask(http, moved) == FundMoveState(id="t-1", status="DONE", is_final=True)
    assert http.requests[-1].body == b"7.5"


@pytest.mark.parametrize(
    ("balance", "message"),
    [
        (b'{"free":"7.49","digits":2}', "--amount: 7.5 is more than the 7.49 A/B that are available"),
        (b'{"free":"9","digits":0}', "--amount: 7.5 is finer than the 0 decimals of A/B"),
    ],
)
def test_move_when_the_balance_does_not_cover_it_then_nothing_is_sent(balance: bytes, message: str) -> None:
    http = holding(balance)
    with pytest.raises(ConfigurationError) as refused:
        ask(http, moved)
    assert str(refused.value) == message
    assert http.targets("POST") == []


@pytest.mark.parametrize("balance", [b"{}", b'{"free":9,"digits":2}', b'{"free":"NaN","digits":2}', b'{"free":"9"}'])
def test_move_when_the_balance_can_not_be_read_then_nothing_is_sent(balance: bytes) -> None:
    http = holding(balance)
    with pytest.raises(UnreadableAnswer, match="/held/A%2FB: the balance can't be read"):
        ask(http, moved)
    assert http.targets("POST") == []


@pytest.mark.parametrize("body", [b"{}", b'{"id":7,"how":"DONE"}', b'{"id":"t-1"}', b"<html>", b"[]", b"\xff"])
def test_move_when_its_answer_can_not_be_read_then_it_may_have_left(body: bytes) -> None:
    http = holding(b'{"free":"9","digits":2}', (200, body))
    with pytest.raises(OutcomeUnknown):
        ask(http, moved)
    assert len(http.targets("POST")) == 1


@pytest.mark.parametrize("status", [500, 408, 302, 503])
def test_move_when_an_answer_proves_nothing_then_it_may_have_left_and_is_not_sent_again(status: int) -> None:
    http = holding(b'{"free":"9","digits":2}', (status, b'{"error":"late"}'))
    with pytest.raises(OutcomeUnknown, match="this proves nothing"):
        ask(http, moved)
    assert len(http.targets("POST")) == 1


def test_move_when_it_is_looked_up_then_its_id_is_one_part_of_the_path() -> None:
    http = ScriptedHttp()
    http.on("GET", "/v1/out/t%2F1", (200, b'{"how":"LATE"}'))
    found = ask(http, lambda mover: mover.look_up(FundVerb.TRANSFER, "t/1"))
    assert found == FundMoveState(id="t/1", status="LATE", is_final=True)


def test_move_when_no_list_shows_it_or_another_signed_it_then_that_is_said() -> None:
    async def signed(mover: RestFunds) -> None:
        assert (await mover.sign(MOVE)).digest == ""
        assert await mover.find(FundVerb.TRANSFER, "d") is None
        with pytest.raises(TypeError, match="bytes was not signed by this mover"):
            await mover.send(SignedMove(move=MOVE, wire=b""))

    ask(holding(b'{"free":"9","digits":2}'), signed)


@pytest.mark.parametrize(
    ("amount", "plain"),
    [("100", "100"), ("100.50", "100.5"), ("0100.0", "100"), (f"{'9' * 30}.{'1' * 30}0", f"{'9' * 30}.{'1' * 30}")],
)
def test_amount_when_it_is_written_shortly_then_no_digit_is_lost(amount: str, plain: str) -> None:
    assert plain_amount(amount) == plain
    assert msgspec.json.encode(plain) == f'"{plain}"'.encode()
