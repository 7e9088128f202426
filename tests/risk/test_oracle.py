"""The checks against an oracle that knows nothing of scaled integers: the rules once more, in decimals."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest

from framework.domain.account_events import BalanceReport, Scope, TradingState
from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderKind, OrderStatus, Side, TimeInForce, Trigger, TriggerKind
from framework.domain.ports import Check
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import RefusalCode, Refused
from risk.checks.funds import Funds
from risk.checks.max_open_orders import MaxOpenOrders
from risk.checks.max_order_notional import MaxOrderNotional
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.max_position import MaxPosition
from risk.checks.order_grid import OrderGrid
from risk.checks.price_collar import PriceCollar
from risk.checks.self_trade import SelfTrade
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
    ("funds", Funds(age_ms_max=30_000)),
    ("self_trade", SelfTrade()),
]
FLAGS = ("post_only", "reduce_only", "expires")
OFFERS = frozenset({"limit", "market", "stop", "take_profit", "amount", "gtc", "ioc", "fok", "amend", *FLAGS})
TIMES = ("gtc", "gtc", "gtc", "ioc", "fok")
STATES = (*[TradingState.ACTIVE] * 6, *[TradingState.REDUCING] * 3, TradingState.HALTED)
SCOPES = (*[frozenset({scope}) for scope in Scope], frozenset(Scope))


class OwnOrder(msgspec.Struct, frozen=True):
    """An order of the account on the other side: its price, and the one that an unanswered amend asks for. One that is
    not ours is listed by the venue."""

    price: Decimal
    asked: Decimal | None
    status: OrderStatus
    is_ours: bool


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
    is_market: bool
    time_in_force: str
    flags: frozenset[str]
    amount: Decimal
    trigger: str
    trigger_price: Decimal
    offers: frozenset[str]
    cash: Decimal
    taken: Decimal
    cash_age_s: Decimal
    opposite: tuple[OwnOrder, ...]

    @property
    def words(self) -> list[str]:
        """What a new order asks a venue for, in the order in which that is looked at."""
        words = ["market" if self.is_market else "limit", self.trigger, "amount" if self.amount else ""]
        words += ["" if self.is_market and self.time_in_force == "ioc" else self.time_in_force]
        return [word for word in [*words, *(flag for flag in FLAGS if flag in self.flags)] if word]

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
    if case.price <= 0 or case.size <= 0 or (case.before is None and not oracle_makes_sense(case)):
        return "INVALID_INTENT"
    asked = ["amend"] if case.before is not None else case.words
    if not case.offers.issuperset(asked):
        return "NOT_OFFERED"
    if case.before is not None and case.left <= 0:
        return "BAD_SIZE"
    no = oracle_state(case) or oracle_order(case) or oracle_collar(case) or oracle_account(case)
    return no or oracle_self_trade(case)


def oracle_makes_sense(case: Case) -> bool:
    if case.trigger and case.trigger_price <= 0:
        return False
    if "post_only" in case.flags and case.time_in_force != "gtc":
        return False
    if not case.is_market:
        return case.amount == 0
    return case.time_in_force != "gtc" and case.amount <= case.price * case.size


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
    prices = [case.price, case.trigger_price] if case.trigger and case.before is None else [case.price]
    if any(price % tick or (case.is_binary and price >= 1) for price in prices):
        return "OFF_GRID"
    if case.size % lot or case.size < least:
        return "BAD_SIZE"
    if not case.is_binary and case.price * case.left < 1:
        return "NOTIONAL_MIN"
    if case.closes(case.account) and case.closes(case.own):
        return ""
    is_smaller = case.before is not None and case.left < case.before
    # All that the order may come to over its life: what has traded of it, and what could.
    if case.size > (8 if case.is_binary else D("0.005")) and not is_smaller:
        return "ORDER_SIZE_MAX"
    value = case.value(case.price, case.left)
    is_cheaper = case.before is not None and value < case.value(case.price_before, case.before)
    return "ORDER_NOTIONAL_MAX" if value > (D("4.5") if case.is_binary else 200) and not is_cheaper else ""


def oracle_collar(case: Case) -> str:
    if case.trigger:
        mid, reference = oracle_mid(case), case.trigger_price
        has_mid = mid is not None and case.trigger == "take_profit"
        if has_mid and mid is not None and (mid < reference if case.side is Side.BUY else mid > reference):
            reference = mid
        beyond = case.price - reference if case.side is Side.BUY else reference - case.price
        return "PRICE_COLLAR" if beyond > reference * D("0.08") else ""
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


def oracle_mid(case: Case) -> Decimal | None:
    if case.bid is None or case.ask is None or case.bid >= case.ask:
        return None
    return (case.bid + case.ask) / 2


def oracle_account(case: Case) -> str:
    is_full = case.open_total >= 10 or case.open_own >= 6 or case.open_there >= 3
    has_exit_open = (case.own[1] if case.side is Side.BUY else case.own[2]) > 0
    if case.before is None and is_full and (has_exit_open or not case.closes(case.own)):
        return "OPEN_ORDERS_MAX"
    if case.before is not None and case.left < case.before:
        return oracle_funds(case)
    is_large = case.after(case.account) > 20 or case.after(case.own) > 14
    return "POSITION_MAX" if is_large else oracle_funds(case)


def oracle_self_trade(case: Case) -> str:
    """An order that the venue may have, or get, could match: at its price, or at one that it may have been given."""
    over = {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.ENDING}
    prices = [one.price for one in case.opposite if one.status not in over]
    prices += [one.asked for one in case.opposite if one.status not in over and one.asked is not None]
    if case.side is Side.BUY:
        return "SELF_TRADE" if any(case.price >= price for price in prices) else ""
    return "SELF_TRADE" if any(case.price <= price for price in prices) else ""


def oracle_funds(case: Case) -> str:
    """The account has as much of every currency, and orders have taken `taken` of it since that was said."""

    def worth(price: Decimal, size: Decimal) -> Decimal:
        if case.side is Side.BUY:
            return price * size
        return (1 - price) * size if case.is_binary else size

    more = worth(case.price, case.left) - (worth(case.price_before, case.before) if case.before is not None else 0)
    is_free = "reduce_only" in case.flags and case.before is None
    if more <= 0 or is_free or (case.closes(case.account) and case.closes(case.own)):
        return ""
    if case.cash_age_s > 30:
        return "FUNDS_UNKNOWN"
    fee = D("0.07") if case.is_binary else D(0)
    return "FUNDS" if more * (1 + fee) > case.cash - case.taken * (1 + fee) else ""


def draw_market(rng: Random, instrument: Instrument) -> tuple[int, int, int, int]:
    """Bid, ask, price and size, scaled."""
    if instrument is BINARY:
        bid = rng.randrange(100, 9_800, 100)
        ask = bid + rng.choice([100, 200, 300, 0, -100])
        price = rng.choice([bid, ask, rng.randrange(-100, 10_100, 50), bid + rng.randrange(-9, 9) * 100])
        size = rng.choice([rng.randrange(0, 1_000), 800, 801, 1, 0])
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
        cash=D(rng.choice([10**6, 10**6, rng.randrange(200), 4])) / rng.choice([1, 1, 1_000]),
        taken=D(rng.choice([0, 0, rng.randrange(-300, 300)])) / 100,
        cash_age_s=D(rng.choice([*["1", "30"] * 5, "30.000000001"])),
        opposite=tuple(draw_own(rng, prices(price), prices(max(bid // 100, 1))) for _ in range(rng.randrange(3))),
        **draw_terms(rng, instrument, prices(price), prices(bid), sizes(size)),
    )


def draw_own(rng: Random, price: Decimal, step: Decimal) -> OwnOrder:
    near = [price, price + step, price - step, price + 9 * step, price - 9 * step]
    is_ours = rng.random() < 0.8
    asked = rng.choice([None, rng.choice(near)]) if is_ours else None
    status = rng.choice(list(OrderStatus)) if is_ours else OrderStatus.WORKING
    return OwnOrder(rng.choice(near), asked, status, is_ours)


def draw_terms(rng: Random, instrument: Instrument, price: Decimal, bid: Decimal, size: Decimal) -> dict[str, Any]:
    """Half of the orders are plain ones; the others say more, which now and then makes no sense or is not offered."""
    is_plain, tick = rng.random() < 0.5, D("0.01") if instrument is BINARY else bid / 100
    is_market = not is_plain and rng.random() < 0.4
    trigger = "" if is_plain else rng.choice(["", "", "stop", "take_profit"])
    near = rng.choice([price, bid, bid + 5 * tick, bid - 5 * tick, price + D("0.005")])
    return {
        "is_market": is_market,
        "time_in_force": "gtc" if is_plain else rng.choice(["gtc", "ioc", "fok"]) if is_market else rng.choice(TIMES),
        "flags": frozenset(flag for flag in FLAGS if not is_plain and rng.random() < 0.1),
        "amount": rng.choice([D(0), price * size, price * size / 2, price * size + 1]) if is_market else D(0),
        "trigger": trigger,
        "trigger_price": near.quantize(D(1).scaleb(-instrument.price_decimals)) if trigger else D(0),
        "offers": OFFERS - ({rng.choice(sorted(OFFERS))} if rng.random() < 0.3 else set()),
    }


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
        venue_terms=as_terms(case.offers),
        counts={"": case.open_total, "mm": case.open_own},
    )
    paid_for = instrument.money_decimals if case.is_binary or case.side is Side.BUY else instrument.size_decimals
    view.taken = {(instrument.id, case.side): int(case.taken.scaleb(paid_for))}
    for currency in ("", "USD"):
        view.balances[instrument.venue, currency] = BalanceReport(
            venue=instrument.venue,
            currency=currency,
            amount=0,
            decimals=18,
            ts_recv=view.now_ns - int(case.cash_age_s * 10**9),
            available=int(case.cash.scaleb(18)),
        )
    if case.before is not None:
        view.orders = {"c1": as_order(case, instrument)}
    for number, one in enumerate(case.opposite):
        show_own(view, case, instrument, one, f"o{number}")
    return view


def show_own(view: StaticView, case: Case, instrument: Instrument, one: OwnOrder, name: str) -> None:
    price, asked = (
        None if each is None else Price(int(each.scaleb(instrument.price_decimals))) for each in (one.price, one.asked)
    )
    assert price is not None
    if one.is_ours:
        order = working_order(instrument, side=case.side.opposite, price=price, amend_price=asked, status=one.status)
        order.client_order_id = name
        view.own_prices.count(order, may_trade=order.status.may_trade)
    else:
        view.own_prices.count_external((instrument.venue, name), (instrument.id, case.side.opposite, price))


def as_terms(offers: frozenset[str]) -> VenueTerms:
    return VenueTerms(
        amend="amend" in offers,
        post_only="post_only" in offers,
        reduce_only="reduce_only" in offers,
        good_till_date="expires" in offers,
        quote_amounts="amount" in offers,
        times_in_force=tuple(one for one in TimeInForce if one.value in offers),
        order_kinds=tuple(one for one in OrderKind if one.value in offers),
        triggers=tuple(one for one in TriggerKind if one.value in offers),
    )


def as_order(case: Case, instrument: Instrument) -> Order:
    assert case.before is not None
    return working_order(
        instrument,
        side=case.side,
        price=Price(int(case.price_before.scaleb(instrument.price_decimals))),
        size=Size(int((case.before + case.filled).scaleb(instrument.size_decimals))),
        filled=Size(int(case.filled.scaleb(instrument.size_decimals))),
        trigger=as_trigger(case, instrument),
    )


def as_trigger(case: Case, instrument: Instrument) -> Trigger | None:
    price = Price(int(case.trigger_price.scaleb(instrument.price_decimals)))
    return Trigger(TriggerKind(case.trigger), price) if case.trigger else None


def as_intent(case: Case, instrument: Instrument) -> NewOrder | AmendOrder:
    price = int(case.price.scaleb(instrument.price_decimals))
    size = int(case.size.scaleb(instrument.size_decimals))
    if case.before is None:
        return new_order(
            instrument,
            case.side,
            price,
            size,
            kind=OrderKind.MARKET if case.is_market else OrderKind.LIMIT,
            time_in_force=TimeInForce(case.time_in_force),
            post_only="post_only" in case.flags,
            reduce_only="reduce_only" in case.flags,
            expires_ns=int("expires" in case.flags),
            quote_amount=Money(int(case.amount.scaleb(instrument.money_decimals))),
            trigger=as_trigger(case, instrument),
        )
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
    wanted |= {
        "PRICE_COLLAR",
        "POSITION_MAX",
        "OPEN_ORDERS_MAX",
        "FUNDS",
        "FUNDS_UNKNOWN",
        "TRADING_HALTED",
        "TRADING_REDUCING",
    }
    wanted |= {"NOT_OFFERED", "INVALID_INTENT", "SELF_TRADE"}
    assert wanted - never <= set(seen)
    assert set(seen) <= set(RefusalCode.__members__)
