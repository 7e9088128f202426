from __future__ import annotations

import pytest
from pydantic import ValidationError

from framework.domain.numbers import Price, Size
from framework.domain.orders import Side, Trigger, TriggerKind
from framework.domain.verdicts import RefusalCode
from risk.checks.price_collar import PriceCollar
from tests.support.desk import QuotedBook
from tests.support.risk_view import BINARY, SPOT, Exposure, Propose, StaticView, book, working_order

TICKS = PriceCollar.model_validate({"band": {"ticks": 3}, "age_ms_max": 1_000})
BPS = PriceCollar.model_validate({"band": {"bps": 100}, "age_ms_max": 1_000})
BOTH = PriceCollar.model_validate({"band": {"bps": 100, "ticks": 3}, "age_ms_max": 1_000})


@pytest.mark.parametrize(
    ("collar", "side", "price", "passes"),
    [
        (TICKS, Side.BUY, 5_300, True),
        (TICKS, Side.BUY, 5_301, False),
        (TICKS, Side.BUY, 100, True),
        (TICKS, Side.SELL, 4_700, True),
        (TICKS, Side.SELL, 4_699, False),
        (TICKS, Side.SELL, 9_900, True),
        (BPS, Side.BUY, 5_050, True),
        (BPS, Side.BUY, 5_051, False),
        (BPS, Side.SELL, 4_950, True),
        (BPS, Side.SELL, 4_949, False),
        (BOTH, Side.BUY, 5_051, False),
        (BOTH, Side.SELL, 4_950, True),
    ],
)
def test_price_when_inside_at_and_beyond_the_band_then_only_beyond_is_refused(
    view: StaticView, propose: Propose, collar: PriceCollar, side: Side, price: int, passes: bool
) -> None:
    view.books = {BINARY.id: book(4_900, 5_100)}
    refusal = collar.check(propose(BINARY, side, price), view)
    assert (refusal is None) is passes
    if refusal is not None:
        assert refusal.code is RefusalCode.PRICE_COLLAR
        assert "mid=0.50000" in refusal.text


def test_price_when_the_mid_lies_between_two_integers_then_nothing_is_rounded(
    view: StaticView, propose: Propose
) -> None:
    view.books = {SPOT.id: QuotedBook(SPOT.id, [(10_000, 1)], [(10_001, 1)])}
    assert BPS.check(propose(SPOT, Side.BUY, 10_100, 10_000), view) is None
    assert BPS.check(propose(SPOT, Side.BUY, 10_101, 10_000), view) is not None
    assert BPS.check(propose(SPOT, Side.SELL, 9_901, 10_000), view) is None
    assert BPS.check(propose(SPOT, Side.SELL, 9_900, 10_000), view) is not None


@pytest.mark.parametrize(
    "reference",
    [
        None,
        book(is_fresh=False),
        book(5_100, 4_900),
        book(5_000, 5_000),
        book(-100, 100),
        book(age=1_000_000_001),
        book(age=-1),
        QuotedBook(BINARY.id, [(4_900, 1)], []),
        QuotedBook(BINARY.id, [], [(5_100, 1)]),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_price_when_there_is_no_good_reference_then_nothing_passes(
    view: StaticView, propose: Propose, side: Side, reference: QuotedBook | None
) -> None:
    view.books = {} if reference is None else {BINARY.id: reference}
    refusal = TICKS.check(propose(BINARY, side, 5_000), view)
    assert refusal is not None
    assert refusal.code is RefusalCode.NO_REFERENCE_PRICE


def test_reference_when_exactly_as_old_as_allowed_then_it_serves(view: StaticView, propose: Propose) -> None:
    view.books = {BINARY.id: book(age=1_000_000_000)}
    assert TICKS.check(propose(), view) is None


def test_band_when_an_instrument_has_its_own_then_that_replaces_the_general_one(
    view: StaticView, propose: Propose
) -> None:
    collar = PriceCollar.model_validate(
        {"band": {"bps": 1}, "age_ms_max": 1_000, "overrides": {"kalshi:*": {"ticks": 3}}}
    )
    view.books = {BINARY.id: book(), SPOT.id: QuotedBook(SPOT.id, [(9_999, 1)], [(10_001, 1)])}
    assert collar.check(propose(BINARY, Side.BUY, 5_300), view) is None
    assert collar.check(propose(SPOT, Side.BUY, 10_002, 10_000), view) is not None


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"band": {}, "age_ms_max": 1},
        {"band": {"ticks": 0}, "age_ms_max": 1},
        {"band": {"bps": -1}, "age_ms_max": 1},
        {"band": {"bps": "NaN"}, "age_ms_max": 1},
        {"band": {"ticks": 1}},
        {"band": {"ticks": 1}, "age_ms_max": 0},
        {"band": {"tick": 1}, "age_ms_max": 1},
    ],
)
def test_settings_when_a_width_or_age_is_missing_or_no_limit_then_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PriceCollar.model_validate(bad)


@pytest.mark.parametrize(
    ("bids", "asks", "side", "price", "held", "passes"),
    [
        ([(9_700, 1)], [], Side.SELL, 9_700, 1_000, True),
        ([(9_700, 1)], [], Side.SELL, 9_900, 1_000, True),
        ([(9_700, 1)], [], Side.SELL, 9_600, 1_000, False),
        ([(9_700, 1)], [], Side.SELL, 9_700, 999, False),
        ([(9_700, 1)], [], Side.SELL, 9_700, 0, False),
        ([(9_700, 1)], [], Side.BUY, 9_700, -1_000, False),
        ([], [(300, 1)], Side.BUY, 300, -1_000, True),
        ([], [(300, 1)], Side.BUY, 200, -1_000, True),
        ([], [(300, 1)], Side.BUY, 400, -1_000, False),
        ([], [], Side.BUY, 100, -1_000, False),
        ([(5_000, 1)], [(4_900, 1)], Side.SELL, 5_000, 1_000, False),
    ],
)
def test_exit_when_one_side_is_empty_then_passes_at_or_behind_the_best_of_the_other(
    view: StaticView,
    propose: Propose,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    side: Side,
    price: int,
    held: int,
    passes: bool,
) -> None:
    view.account = view.own = Exposure(Size(held))
    view.books = {BINARY.id: QuotedBook(BINARY.id, bids, asks)}
    assert (TICKS.check(propose(BINARY, side, price), view) is None) is passes
    for bad in ({"age": 1_000_000_001}, {"is_fresh": False}):
        view.books = {BINARY.id: QuotedBook(BINARY.id, bids, asks, **bad)}  # type: ignore[arg-type]
        assert TICKS.check(propose(BINARY, side, price), view) is not None


def trigger_at(price: int, kind: TriggerKind = TriggerKind.STOP) -> Trigger:
    return Trigger(kind, Price(price))


@pytest.mark.parametrize(
    ("side", "trigger", "price", "passes"),
    [
        (Side.BUY, trigger_at(8_000), 8_080, True),
        (Side.BUY, trigger_at(8_000), 8_081, False),
        (Side.SELL, trigger_at(2_000), 1_980, True),
        (Side.SELL, trigger_at(2_000), 1_979, False),
        (Side.BUY, trigger_at(2_000, TriggerKind.TAKE_PROFIT), 2_020, True),
        (Side.BUY, trigger_at(2_000, TriggerKind.TAKE_PROFIT), 2_021, False),
        (Side.SELL, trigger_at(8_000, TriggerKind.TAKE_PROFIT), 7_920, True),
        (Side.SELL, trigger_at(8_000, TriggerKind.TAKE_PROFIT), 7_919, False),
    ],
)
@pytest.mark.parametrize("has_book", [True, False])
def test_order_with_a_trigger_when_judged_then_by_its_trigger_and_not_by_the_book(
    view: StaticView, propose: Propose, side: Side, trigger: Trigger, price: int, passes: bool, has_book: bool
) -> None:
    view.books = {BINARY.id: book(4_900, 5_100)} if has_book else {}
    assert (BPS.check(propose(BINARY, side, price, trigger=trigger), view) is None) is passes


@pytest.mark.parametrize(("side", "worst"), [(Side.BUY, 5_050), (Side.SELL, 4_950)])
def test_take_profit_when_the_book_meets_its_condition_already_then_judged_by_the_mid(
    view: StaticView, propose: Propose, side: Side, worst: int
) -> None:
    met = trigger_at(9_000 if side is Side.BUY else 1_000, TriggerKind.TAKE_PROFIT)
    view.books = {BINARY.id: book(4_900, 5_100)}
    assert BPS.check(propose(BINARY, side, worst, trigger=met), view) is None
    assert BPS.check(propose(BINARY, side, worst + side.sign, trigger=met), view) is not None


def test_amend_when_its_order_has_a_trigger_then_judged_by_that(view: StaticView, propose_change: Propose) -> None:
    order = working_order(trigger=trigger_at(8_000))
    view.books = {BINARY.id: book(4_900, 5_100)}
    assert BPS.check(propose_change(order, price=8_080), view) is None
    assert BPS.check(propose_change(order, price=8_081), view) is not None


def test_band_in_ticks_when_the_order_has_a_trigger_then_the_tick_is_that_of_the_trigger(
    view: StaticView, propose: Propose
) -> None:
    assert TICKS.check(propose(BINARY, Side.BUY, 8_300, trigger=trigger_at(8_000)), view) is None
    assert TICKS.check(propose(BINARY, Side.BUY, 8_400, trigger=trigger_at(8_000)), view) is not None
