from __future__ import annotations

import re
from itertools import count
from typing import Any

import msgspec
import pytest

from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.ports import Check
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, Refusal, RefusalCode, Refused
from framework.domain.views import Proposal, RiskView
from risk.gate import Gate
from tests.support.risk_view import BINARY, Exposure, StaticView, new_order, working_order


class Answering:
    """A check that answers what it was given, and keeps what it was asked."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked: list[Proposal] = []

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        self.asked.append(proposal)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


@pytest.fixture
def view() -> StaticView:
    return StaticView(orders={"c1": working_order()})


def gate(*checks: Check) -> Gate:
    numbers = count(1)
    named = [(f"check{n}", check) for n, check in enumerate(checks)]
    return Gate(named, next_client_order_id=lambda: f"t-{next(numbers)}")


def refused(verdict: Approved | Refused) -> Refused:
    assert isinstance(verdict, Refused), verdict
    return verdict


def amend(price: int = 5_100, size: int = 1_000, **fields: Any) -> AmendOrder:
    intent = AmendOrder(strategy="mm", client_order_id="c1", price=Price(price), size=Size(size))
    return msgspec.structs.replace(intent, **fields)


def test_new_order_when_every_check_agrees_then_approved_under_the_next_id(view: StaticView) -> None:
    judged, intent = gate(Answering(), Answering()), new_order()
    verdict = judged.judge(intent, view)
    assert verdict == Approved(
        intent=intent, venue="kalshi", client_order_id="t-1", request_kind=RequestKind.NEW, ts_ns=view.now_ns
    )
    assert isinstance(second := judged.judge(intent, view), Approved)
    assert second.client_order_id == "t-2"


def test_new_order_when_checks_refuse_then_the_first_one_wins_and_no_id_is_used(view: StaticView) -> None:
    first, last = Refusal(RefusalCode.ORDER_SIZE_MAX, size=5, max_size=4), Refusal(RefusalCode.PLUGIN_CHECK)
    after = Answering()
    judged = gate(Answering(), Answering(first), Answering(last), after)
    verdict = refused(judged.judge(new_order(), view))
    assert (verdict.code, verdict.check, verdict.detail) == (first.code, "check1", "size=5 max_size=4")
    assert after.asked == []
    assert isinstance(approved := gate(Answering()).judge(new_order(), view), Approved)
    assert approved.client_order_id == "t-1"


@pytest.mark.parametrize(
    "answer",
    [
        ValueError("boom"),
        KeyError("x"),
        RecursionError(),
        SystemExit(3),
        KeyboardInterrupt(),
        True,
        False,
        "no",
        0,
        Approved,
        object(),
    ],
)
def test_check_when_it_raises_or_answers_nonsense_then_the_gate_fails_shut_and_names_it(
    view: StaticView, answer: object
) -> None:
    verdict = refused(gate(Answering(), Answering(answer)).judge(new_order(), view))
    assert (verdict.code, verdict.check) == (RefusalCode.CHECK_FAILED, "check1")


def test_check_when_its_error_has_odd_text_then_the_record_of_it_can_be_written(view: StaticView) -> None:
    verdict = refused(gate(Answering(ValueError("\ud800" * 10_000))).judge(new_order(), view))
    assert len(msgspec.msgpack.encode(verdict)) < 1_000


def test_check_when_its_error_has_no_text_then_the_gate_fails_shut_all_the_same(view: StaticView) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    verdict = refused(gate(Answering(Mute())).judge(new_order(), view))
    assert verdict.code is RefusalCode.CHECK_FAILED
    # File and line as well, without the folder: the same verdict wherever the program is installed.
    assert re.fullmatch(r"error=Mute: .*can't be read.* at test_gate\.py:\d+", verdict.detail)


def test_view_when_it_breaks_then_the_gate_fails_shut(view: StaticView) -> None:
    view.account = None  # type: ignore[assignment]
    verdict = refused(gate().judge(new_order(), view))
    assert (verdict.code, verdict.check) == (RefusalCode.CHECK_FAILED, "gate")


def test_ids_when_they_run_out_then_the_gate_fails_shut(view: StaticView) -> None:
    verdict = refused(Gate([], next_client_order_id=iter(()).__next__).judge(new_order(), view))
    assert verdict.code is RefusalCode.CHECK_FAILED


BAD_FIELDS: list[Any] = [
    ("price", 5_000.0),
    ("price", True),
    ("price", -1),
    ("price", 0),
    ("price", None),
    ("price", "5000"),
    ("price", 2**63),
    ("price", float("nan")),
    pytest.param("price", 1 << 20_000, id="price-huge"),
    ("size", 1.0),
    ("size", False),
    ("size", -5),
    ("size", 0),
    ("size", float("inf")),
    ("size", 2**70),
    ("deadline_ns", -1),
    ("deadline_ns", 1.5),
    ("strategy", ""),
    ("strategy", None),
    ("strategy", "\ud800"),
    ("strategy", "s" * 257),
]
BAD_NEW_FIELDS: list[Any] = [
    ("instrument", ""),
    ("instrument", None),
    ("instrument", ["kalshi:X"]),
    ("instrument", "a\nb"),
    ("side", "buy"),
    ("side", 1),
    ("time_in_force", "gtc"),
    ("post_only", 1),
    ("reduce_only", None),
    ("expires_ns", -1),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS + BAD_NEW_FIELDS)
def test_new_order_when_a_field_makes_no_sense_then_named_and_the_record_can_be_written_and_read(
    view: StaticView, field: str, value: object
) -> None:
    check = Answering()
    verdict = refused(gate(check).judge(msgspec.structs.replace(new_order(), **{field: value}), view))
    assert verdict.code is RefusalCode.INVALID_INTENT
    assert verdict.detail.startswith(f"why={field} is ")
    assert check.asked == []
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(verdict), type=Refused) == verdict


@pytest.mark.parametrize(("field", "value"), [*BAD_FIELDS, ("client_order_id", ""), ("client_order_id", 7)])
def test_amend_when_a_field_makes_no_sense_then_named(view: StaticView, field: str, value: Any) -> None:
    verdict = refused(gate().judge(amend(**{field: value}), view))
    assert verdict.code is RefusalCode.INVALID_INTENT
    assert field in verdict.detail


class Hostile:
    """Not an intent, and not even polite about it."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")


@pytest.mark.parametrize(
    "thing",
    [
        None,
        5,
        "buy",
        {},
        NewOrder,
        pytest.param(Hostile(), id="hostile"),
        CancelOrder(strategy="mm", client_order_id=None),  # type: ignore[arg-type]
        CancelAll(strategy="mm", venue=""),
        CancelAll(strategy=3, venue="kalshi"),  # type: ignore[arg-type]
    ],
)
def test_thing_when_it_is_no_intent_then_nonsense(view: StaticView, thing: object) -> None:
    verdict = refused(gate().judge(thing, view))
    assert verdict.code is RefusalCode.INVALID_INTENT
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(verdict), type=Refused) == verdict


def test_new_order_when_nobody_defined_the_instrument_then_refused(view: StaticView) -> None:
    view.instruments = {}
    assert refused(gate().judge(new_order(), view)).code is RefusalCode.UNKNOWN_INSTRUMENT
    assert refused(gate().judge(amend(), view)).code is RefusalCode.UNKNOWN_INSTRUMENT


def test_order_when_the_venue_is_down_then_refused_but_cancels_pass(view: StaticView) -> None:
    view.down = ("kalshi",)
    assert refused(gate().judge(new_order(), view)).code is RefusalCode.VENUE_DOWN
    assert refused(gate().judge(amend(), view)).code is RefusalCode.VENUE_DOWN
    assert isinstance(gate().judge(CancelOrder(strategy="mm", client_order_id="c1"), view), Approved)


@pytest.mark.parametrize("intent", [amend(), CancelOrder(strategy="mm", client_order_id="c1")])
@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"strategy": "other"}, RefusalCode.UNKNOWN_ORDER),
        ({"status": OrderStatus.FILLED}, RefusalCode.ORDER_FINAL),
        ({"status": OrderStatus.CANCELLED}, RefusalCode.ORDER_FINAL),
        ({"status": OrderStatus.EXPIRED}, RefusalCode.ORDER_FINAL),
        ({"status": OrderStatus.REJECTED}, RefusalCode.ORDER_FINAL),
    ],
)
def test_change_when_the_order_is_not_ours_or_over_then_refused(
    view: StaticView, intent: AmendOrder | CancelOrder, facts: dict[str, Any], code: RefusalCode
) -> None:
    view.orders = {"c1": working_order(**facts)}
    assert refused(gate().judge(intent, view)).code is code
    view.orders = {}
    assert refused(gate().judge(intent, view)).code is RefusalCode.UNKNOWN_ORDER


@pytest.mark.parametrize(
    "facts",
    [
        {"status": OrderStatus.RECORDED},
        {"status": OrderStatus.SENT},
        {"status": OrderStatus.UNKNOWN},
        {"status": OrderStatus.CANCEL_REQUESTED},
        {"status": OrderStatus.AMEND_REQUESTED},
        {"cancel_wanted": True},
        {"amend_price": Price(5_200)},
        {"amend_size": Size(900)},
    ],
)
def test_change_when_the_order_is_busy_then_amends_are_refused_and_cancels_pass(
    view: StaticView, facts: dict[str, Any]
) -> None:
    view.orders = {"c1": working_order(**facts)}
    assert refused(gate().judge(amend(), view)).code is RefusalCode.ORDER_BUSY
    verdict = gate(Answering(Refusal(RefusalCode.TRADING_HALTED))).judge(
        CancelOrder(strategy="mm", client_order_id="c1"), view
    )
    assert isinstance(verdict, Approved), "no check and no limit holds a cancel back"
    assert (verdict.client_order_id, verdict.request_kind) == ("c1", RequestKind.CANCEL)


def test_cancel_all_when_asked_then_approved_for_the_venue(view: StaticView) -> None:
    verdict = gate(Answering(Refusal(RefusalCode.TRADING_HALTED))).judge(CancelAll(strategy="mm", venue="kalshi"), view)
    assert isinstance(verdict, Approved)
    assert (verdict.venue, verdict.client_order_id, verdict.request_kind) == ("kalshi", "", RequestKind.CANCEL)


@pytest.mark.parametrize("size", [400, 399])
def test_amend_when_nothing_would_be_left_to_trade_then_refused(view: StaticView, size: int) -> None:
    view.orders = {"c1": working_order(filled=Size(400))}
    assert refused(gate().judge(amend(size=size), view)).code is RefusalCode.BAD_SIZE
    assert isinstance(gate().judge(amend(size=401), view), Approved)


def test_amend_when_judged_then_checks_see_the_open_part_and_the_growth(view: StaticView) -> None:
    view.orders = {"c1": working_order(filled=Size(400))}
    check = Answering()
    verdict = gate(check).judge(amend(size=1_500), view)
    assert isinstance(verdict, Approved)
    assert (verdict.client_order_id, verdict.request_kind) == ("c1", RequestKind.AMEND)
    proposal = check.asked[0]
    assert (proposal.open_size, proposal.increase, proposal.side) == (1_100, 500, Side.BUY)
    gate(check).judge(amend(size=500), view)
    assert (check.asked[1].open_size, check.asked[1].increase) == (100, 0)


@pytest.mark.parametrize(
    ("account", "own", "side", "reduces"),
    [
        (Exposure(Size(1_000)), Exposure(Size(1_000)), Side.SELL, True),
        (Exposure(Size(999)), Exposure(Size(1_000)), Side.SELL, False),
        (Exposure(Size(1_000)), Exposure(Size(999)), Side.SELL, False),
        (Exposure(Size(1_000)), Exposure(Size(1_000)), Side.BUY, False),
        (Exposure(Size(1_000), open_sell=Size(1)), Exposure(Size(1_000)), Side.SELL, False),
        (Exposure(Size(1_000), open_buy=Size(500)), Exposure(Size(1_000)), Side.SELL, True),
        (Exposure(Size(-1_000)), Exposure(Size(-1_000)), Side.BUY, True),
        (Exposure(Size(-1_000), open_buy=Size(1)), Exposure(Size(-1_000)), Side.BUY, False),
        (Exposure(Size(0)), Exposure(Size(0)), Side.SELL, False),
        (Exposure(Size(-1_000)), Exposure(Size(1_000)), Side.SELL, False),
    ],
)
def test_new_order_when_it_can_only_shrink_both_positions_then_it_reduces(
    view: StaticView, account: Exposure, own: Exposure, side: Side, reduces: bool
) -> None:
    view.account, view.own = account, own
    check = Answering()
    verdict = gate(check).judge(new_order(side=side), view)
    assert isinstance(verdict, Approved)
    assert check.asked[0].is_reducing is reduces
    assert verdict.request_kind is (RequestKind.REDUCE if reduces else RequestKind.NEW)


def test_amend_when_it_reduces_then_it_is_still_priced_as_an_amend(view: StaticView) -> None:
    order = working_order(side=Side.SELL)
    view.orders = {"c1": order}
    view.account = view.own = Exposure(Size(1_000), open_sell=order.remaining_worst)
    check = Answering()
    verdict = gate(check).judge(amend(), view)
    assert isinstance(verdict, Approved)
    assert check.asked[0].is_reducing
    assert verdict.request_kind is RequestKind.AMEND


def test_gate_when_used_then_only_its_instruments_venue_is_named() -> None:
    view = StaticView(instruments={BINARY.id: msgspec.structs.replace(BINARY, venue="elsewhere")})
    assert isinstance(verdict := gate().judge(new_order(), view), Approved)
    assert verdict.venue == "elsewhere"
