"""The checks against an oracle that knows nothing of scaled integers: the rules once more, in decimals."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import msgspec
import pytest

from framework.domain.account_events import Scope, TradingState
from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.ports import Check
from framework.domain.verdicts import RefusalCode, Refused
from risk.checks.max_open_orders import MaxOpenOrders
from risk.checks.max_order_notional import MaxOrderNotional
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.max_position import MaxPosition
from risk.checks.order_grid import OrderGrid
from risk.checks.price_collar import PriceCollar
from risk.checks.trading_state import TradingStateCheck
from risk.gate import Gate
from tests.support.desk import QuotedBook
from tests.support.risk_view import BINARY, SPOT, Exposure, StaticView, new_order, working_order

D = Decimal
CHECKS: list[tuple[str, Check]] = [
    ("state", TradingStateCheck()),
    ("grid", OrderGrid()),
    ("size", MaxOrderSize.model_validate({"max_size": "8", "overrides": {"coin:*": "0.005"}})),
    ("notional", MaxOrderNotional.model_validate({"max_notional": "4.5", "overrides": {"coin:*": "200"}})),
    ("collar", PriceCollar.model_validate({"band": {"bps": 800}, "age_ms_max": 2_000})),
    ("count", MaxOpenOrders(max_total=10, max_per_strategy=6, max_per_instrument=3)),
    ("position", MaxPosition.model_validate({"max_position": "20", "max_strategy_position": "14"})),
]
STATES = (*[TradingState.ACTIVE] * 6, *[TradingState.REDUCING] * 3, TradingState.HALTED)
SCOPES = (*[frozenset({scope}) for scope in Scope], frozenset(Scope))


class Case(msgspec.Struct, kw_only=True):
    """One question in decimals. `before` and `price_before` are of the order that an amend changes, None for a new
    order; exposures are (position, open buys, open sells), with the amended order in them."""

    is_binary: bool
    side: Side
    price: Decimal
    size: Decimal
    filled: Decimal
    before: Decimal | None
    price_before: Decimal
    bid: Decimal | None
    ask: Decimal | None
    age_s: Decimal
    account: tuple[Decimal, Decimal, Decimal]
    own: tuple[Decimal, Decimal, Decimal]
    state: TradingState
    scopes: frozenset[Scope]
    open_total: int
    open_own: int
    open_there: int

    @property
    def left(self) -> Decimal:
        return self.size - self.filled

    @property
    def more(self) -> Decimal:
        return max(self.left - (self.before or 0), D(0))

    def after(self, who: tuple[Decimal, Decimal, Decimal]) -> Decimal:
        """The position on the order's side if all of that side trades; below 0 is still on the other side."""
        position, buys, sells = who
        return position + buys + self.more if self.side is Side.BUY else sells + self.more - position

    def closes(self, who: tuple[Decimal, Decimal, Decimal]) -> bool:
        holds_other_side = who[0] < 0 if self.side is Side.BUY else who[0] > 0
        return holds_other_side and self.after(who) <= 0

    @property
    def only_shrinks(self) -> bool:
        is_eager = self.price > self.price_before if self.side is Side.BUY else self.price < self.price_before
        return self.before is not None and self.left <= self.before and not is_eager

    def value(self, price: Decimal, size: Decimal) -> Decimal:
        prices = [price]
        if self.bid is not None and self.ask is not None and self.bid < self.ask:
            prices.append((self.bid + self.ask) / 2)
        return (1 - min(prices) if self.is_binary and self.side is Side.SELL else max(prices)) * size


def oracle(case: Case) -> str:
    """Which rule is broken first; empty: none."""
    if case.price <= 0 or case.size <= 0:
        return "INVALID_INTENT"
    if case.before is not None and case.left <= 0:
        return "BAD_SIZE"
    return oracle_state(case) or oracle_order(case) or oracle_collar(case) or oracle_account(case)


def oracle_state(case: Case) -> str:
    if case.state is TradingState.HALTED:
        return "TRADING_HALTED"
    if case.state is TradingState.REDUCING:
        if case.only_shrinks:
            return ""
        judged = [case.own if scope is Scope.STRATEGY else case.account for scope in case.scopes]
        return "" if all(case.closes(who) for who in judged) else "TRADING_REDUCING"
    return ""


def oracle_order(case: Case) -> str:
    tick, lot, least = (D("0.01"), D("0.01"), D("0.01")) if case.is_binary else (D("0.01"), D("0.00001"), D("0.0001"))
    if case.price % tick or (case.is_binary and case.price >= 1):
        return "OFF_GRID"
    if case.size % lot or case.size < least:
        return "BAD_SIZE"
    if not case.is_binary and case.price * case.left < 1:
        return "NOTIONAL_MIN"
    if case.closes(case.account) and case.closes(case.own):
        return ""
    is_smaller = case.before is not None and case.left < case.before
    if case.left > (8 if case.is_binary else D("0.005")) and not is_smaller:
        return "ORDER_SIZE_MAX"
    value = case.value(case.price, case.left)
    is_cheaper = case.before is not None and value < case.value(case.price_before, case.before)
    return "ORDER_NOTIONAL_MAX" if value > (D("4.5") if case.is_binary else 200) and not is_cheaper else ""


def oracle_collar(case: Case) -> str:
    if case.age_s > 2:
        return "NO_REFERENCE_PRICE"
    if case.bid is None or case.ask is None:
        is_exit = case.closes(case.account) and case.closes(case.own)
        best = case.bid if case.side is Side.SELL else case.ask
        is_behind = best is not None and (case.price >= best if case.side is Side.SELL else case.price <= best)
        return "" if is_exit and is_behind else "NO_REFERENCE_PRICE"
    if case.bid >= case.ask:
        return "NO_REFERENCE_PRICE"
    mid = (case.bid + case.ask) / 2
    beyond = case.price - mid if case.side is Side.BUY else mid - case.price
    return "PRICE_COLLAR" if beyond > mid * D("0.08") else ""


def oracle_account(case: Case) -> str:
    is_full = case.open_total >= 10 or case.open_own >= 6 or case.open_there >= 3
    has_exit_open = (case.own[1] if case.side is Side.BUY else case.own[2]) > 0
    if case.before is None and is_full and (has_exit_open or not case.closes(case.own)):
        return "OPEN_ORDERS_MAX"
    if case.before is not None and case.left < case.before:
        return ""
    return "POSITION_MAX" if case.after(case.account) > 20 or case.after(case.own) > 14 else ""


def draw_market(rng: Random, instrument: Instrument) -> tuple[int, int, int, int]:
    """Bid, ask, price and size, scaled."""
    if instrument is BINARY:
        bid = rng.randrange(100, 9_800, 100)
        ask = bid + rng.choice([100, 200, 300, 0, -100])
        price = rng.choice([bid, ask, rng.randrange(-100, 10_100, 50), bid + rng.randrange(-9, 9) * 100])
        size = rng.choice([rng.randrange(0, 1_000), 800, 801, 1])
    else:
        bid = rng.randrange(30_000_00, 60_000_00)
        ask = bid + rng.choice([1, 500, 0])
        price = rng.choice([bid, bid * 108 // 100, bid * 92 // 100, rng.randrange(1, 90_000_00)])
        size = rng.choice([rng.randrange(0, 60_000) * 10, 500_000, 501_000, 10_000, 9_000])
    return bid, ask, price, size


def draw_case(rng: Random, instrument: Instrument) -> Case:
    unit, is_amend = 10**instrument.size_decimals, rng.random() < 0.3
    bid, ask, price, size = draw_market(rng, instrument)
    side, empty = rng.choice(list(Side)), rng.choice([None, None, None, "bid", "ask"])
    before = rng.choice([size, size + unit, rng.randrange(1, 15 * unit)]) if is_amend else 0
    filled = rng.choice([0, unit]) if is_amend else 0

    def prices(value: int) -> Decimal:
        return D(value).scaleb(-instrument.price_decimals)

    def sizes(value: int) -> Decimal:
        return D(value).scaleb(-instrument.size_decimals)

    def exposure() -> tuple[Decimal, Decimal, Decimal]:
        opens = {way: rng.choice([0, 0, rng.randrange(0, 9 * unit)]) for way in Side}
        opens[side] += before
        held = rng.choice([0, -side.sign * rng.randrange(0, 22 * unit), rng.randrange(-22 * unit, 22 * unit)])
        return sizes(held), sizes(opens[Side.BUY]), sizes(opens[Side.SELL])

    return Case(
        is_binary=instrument is BINARY,
        side=side,
        price=prices(price),
        size=sizes(size + filled if is_amend else size),
        filled=sizes(filled),
        before=sizes(before) if is_amend else None,
        price_before=prices(rng.choice([bid, max(price, 1)])),
        bid=None if empty == "bid" else prices(bid),
        ask=None if empty == "ask" else prices(ask),
        age_s=D(rng.choice(["0", "1", "2", "2.000000001", "9"])),
        account=exposure(),
        own=exposure(),
        state=rng.choice(STATES),
        scopes=rng.choice(SCOPES),
        open_total=rng.choice([0, 9, 10]),
        open_own=rng.choice([0, 5, 6]),
        open_there=rng.choice([0, 2, 3]),
    )


def as_view(case: Case, instrument: Instrument) -> StaticView:
    def scaled(who: tuple[Decimal, Decimal, Decimal], count: int) -> Exposure:
        position, buys, sells = (Size(int(each.scaleb(instrument.size_decimals))) for each in who)
        return Exposure(position, buys, sells, count)

    levels = [
        [] if best is None else [(int(best.scaleb(instrument.price_decimals)), 500)] for best in (case.bid, case.ask)
    ]
    view = StaticView(
        books={instrument.id: QuotedBook(instrument.id, *levels, age=int(case.age_s * 10**9))},
        account=scaled(case.account, case.open_there),
        own=scaled(case.own, 0),
        state=case.state,
        scopes=case.scopes,
        counts={"": case.open_total, "mm": case.open_own},
    )
    if case.before is not None:
        view.orders = {"c1": as_order(case, instrument)}
    return view


def as_order(case: Case, instrument: Instrument) -> Order:
    assert case.before is not None
    return working_order(
        instrument,
        side=case.side,
        price=Price(int(case.price_before.scaleb(instrument.price_decimals))),
        size=Size(int((case.before + case.filled).scaleb(instrument.size_decimals))),
        filled=Size(int(case.filled.scaleb(instrument.size_decimals))),
    )


def as_intent(case: Case, instrument: Instrument) -> NewOrder | AmendOrder:
    price = int(case.price.scaleb(instrument.price_decimals))
    size = int(case.size.scaleb(instrument.size_decimals))
    if case.before is None:
        return new_order(instrument, case.side, price, size)
    return AmendOrder(strategy="mm", client_order_id="c1", price=Price(price), size=Size(size))


@pytest.mark.parametrize("instrument", [BINARY, SPOT])
def test_gate_when_asked_at_random_then_it_agrees_with_the_oracle(instrument: Instrument) -> None:
    rng, gate = Random(11), Gate(CHECKS, next_client_order_id=lambda: "t")
    seen: dict[str, int] = {}
    exits = 0
    for _ in range(12_000):
        case = draw_case(rng, instrument)
        verdict = gate.judge(as_intent(case, instrument), as_view(case, instrument))
        said = verdict.code.value if isinstance(verdict, Refused) else ""
        assert said == oracle(case), (instrument.id, case)
        seen[said] = seen.get(said, 0) + 1
        exits += said == "" and (case.left > (8 if case.is_binary else D("0.005")) or None in (case.bid, case.ask))
    assert seen.pop("") > 200
    assert exits > 20, "exits of any size and on one-sided books are among them"
    never = {"NOTIONAL_MIN"} if instrument is BINARY else {"OFF_GRID"}
    wanted = {"OFF_GRID", "BAD_SIZE", "NOTIONAL_MIN", "ORDER_SIZE_MAX", "ORDER_NOTIONAL_MAX", "NO_REFERENCE_PRICE"}
    wanted |= {"PRICE_COLLAR", "POSITION_MAX", "OPEN_ORDERS_MAX", "TRADING_HALTED", "TRADING_REDUCING"}
    assert wanted - never <= set(seen)
    assert set(seen) <= set(RefusalCode.__members__)
