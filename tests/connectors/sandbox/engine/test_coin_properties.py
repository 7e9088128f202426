"""Whatever is asked of spot markets and perpetuals in whatever order: money is conserved, no balance is overdrawn."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.events import CashFlowEvent
from connectors.sandbox.engine.model import AmendRequest, FeeModel, OrderRequest, Trigger
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.engine.state import INSURANCE
from tests.connectors.sandbox.engine.coins import MS_NS, USDT, Coins, perpetual_spec, spot_spec, terms

RULES = (
    Rules(),
    Rules(self_trade="maker", cancel_min_ns=2 * MS_NS, cancel_max_ns=9 * MS_NS, resume_cancels="all"),
    Rules(self_trade="taker_at_cross", refuses_unfillable_fok=True, pause_cancels="marked"),
)
FEES = (
    FeeModel("notional", taker_ppm=500, maker_ppm=200, rounding="up"),
    FeeModel("notional", taker_ppm=1_500, maker_ppm=-100, rounding="up", asset="received"),
    FeeModel("notional", taker_ppm=2_000, maker_ppm=0, rounding="up", asset="other", currency="KLX"),
    FeeModel("notional", taker_ppm=700, maker_ppm=300, balance_step=100),
)
ACTS = ("submit",) * 14 + ("amend", "decrease", "cancel", "cancel", "cancel_all", "wait", "halt", "deposit")
PERPETUAL_ACTS = ("mark",) * 4 + ("fund", "leverage", "liquidate")


def exchange_of(rng: random.Random) -> Coins:
    perpetual = terms(funding_interval_ns=500 * MS_NS, leverage_default=rng.choice((5, 25, 125)))
    specs = (
        spot_spec(fees=rng.choice(FEES), market_margin_ppm=rng.choice((0, 50_000))),
        perpetual_spec(perpetual=perpetual, fees=FEES[0]),
    )
    coins = Coins(*specs, rules=rng.choice(RULES))
    for account in "ABC":
        coins.exchange.deposit(account, "KLX", rng.choice((0, 100 * USDT)), now_ns=coins.tick())
    coins.exchange.set_mark("P", 630_000, now_ns=coins.tick())
    return coins


def size_of(rng: random.Random) -> int:
    return rng.choice((rng.randint(1, 20), rng.randint(1, 900), rng.randint(1, 9_000)))


def submit(coins: Coins, rng: random.Random) -> None:
    """A random order: mostly plain, sometimes of each other kind, near enough to others to trade."""
    kind: Any = rng.choice(("limit", "limit", "limit", "limit", "market"))
    tif: Any = rng.choice(("ioc", "fok")) if kind == "market" else rng.choice(("gtc",) * 5 + ("ioc", "fok"))
    by_amount = kind == "market" and rng.randrange(3) == 0
    trigger = None
    if rng.randrange(8) == 0:
        by: Any = rng.choice(("last", "mark"))
        trigger = Trigger(rng.choice(("stop", "take_profit")), 1_000 * rng.randint(600, 660), by)
    request = OrderRequest(
        account=rng.choice("ABC"),
        market_id=rng.choice("SPP"),
        side=rng.choice(("bid", "ask")),
        price=0 if kind == "market" else rng.choice((1_000 * rng.randint(625, 635), rng.randint(610_000, 650_000))),
        size=0 if by_amount else size_of(rng),
        kind=kind,
        quote_amount=rng.randint(1, 50_000 * USDT) if by_amount else 0,
        tif=tif,
        trigger=trigger,
        post_only=tif == "gtc" and rng.randrange(6) == 0,
        reduce_only=rng.randrange(5) == 0,
        cancel_on_pause=rng.randrange(6) == 0,
        expiration_ns=coins.now_ns + rng.randint(2, 50) * MS_NS if tif == "gtc" and rng.randrange(6) == 0 else 0,
    )
    coins.exchange.submit(request, coins.tick())


def act_on_an_order(coins: Coins, rng: random.Random, kind: str) -> None:
    exchange = coins.exchange
    orders = [order for account in "ABC" for order in exchange.ledger.orders_of(account)[-20:]]
    if not orders:
        return
    order = rng.choice(orders)
    match kind:
        case "amend":
            price, size = 1_000 * rng.randint(620, 640), size_of(rng)
            request = AmendRequest(account=order.account, order_id=order.order_id, price=price, size=size)
            exchange.amend(request, coins.tick())
        case "decrease":
            exchange.decrease(order.account, order.order_id, now_ns=coins.tick(), reduce_by=rng.randint(1, 500))
        case "cancel":
            exchange.cancel(order.account, order.order_id, now_ns=coins.tick())
        case _:
            exchange.cancel_all(order.account, coins.tick())


def act_on_the_perpetual(coins: Coins, rng: random.Random, kind: str) -> None:
    exchange, now_ns = coins.exchange, coins.tick()
    match kind:
        case "mark":
            near = exchange.state.markets["P"].mark_price + rng.randint(-6_000, 6_000)
            exchange.set_mark("P", rng.choice((near, near, near, rng.randint(400_000, 900_000))), now_ns=now_ns)
        case "fund":
            exchange.fund("P", now_ns=now_ns, rate_ppm=rng.choice((None, 0, rng.randint(-20_000, 20_000))))
        case "leverage":
            leverage, force = rng.randint(1, 125), rng.randrange(2) == 0
            exchange.set_leverage(rng.choice("ABC"), "P", leverage, now_ns=now_ns, force=force)
        case _:
            exchange.liquidate(rng.choice("ABC"), "P", now_ns=now_ns)


def act(coins: Coins, rng: random.Random) -> None:
    """Ask one random thing of the exchange."""
    kind = rng.choice(ACTS + PERPETUAL_ACTS)
    if kind == "submit":
        submit(coins, rng)
    elif kind in PERPETUAL_ACTS:
        act_on_the_perpetual(coins, rng, kind)
    elif kind == "wait":
        coins.exchange.advance(coins.tick(rng.randint(1, 60)))
    elif kind == "deposit":
        amount = rng.randint(-20_000 * USDT, 20_000 * USDT)
        coins.exchange.deposit(rng.choice("ABC"), "USDT", amount, now_ns=coins.tick())
    elif kind == "halt":
        for halt in ("pause", "resume"):
            coins.exchange.set_market(rng.choice("SP"), halt, now_ns=coins.tick())  # type: ignore[arg-type]
    else:
        act_on_an_order(coins, rng, kind)


def assert_no_balance_is_overdrawn(coins: Coins) -> None:
    for name in "ABC":
        account = coins.exchange.state.accounts[name]
        for currency in account.cash:
            assert account.available(currency) >= 0, (name, currency)
        for position in account.positions.values():
            assert position.margin >= 0
            assert (position.net == 0) <= (position.margin == 0)


def assert_money_is_conserved(coins: Coins) -> None:
    """By another way than the report: all that came in is in the balances, in the fees, or owed between positions."""
    state = coins.exchange.state
    positions = [account.position("P") for account in state.accounts.values()]
    cash = sum(account.cash.get("USDT", 0) for account in state.accounts.values())
    deposited = sum(account.deposits.get("USDT", 0) for account in state.accounts.values())
    assert sum(position.net for position in positions) == 0
    # A perpetual makes nothing out of nothing: what is realized and what is open add up to nothing at any price.
    for mark in (1, 630_000, 10_000_000):
        assert sum(one.realized + one.net * mark - one.cost for one in positions) == 0
    assert cash + state.fees_collected.get("USDT", 0) - sum(one.cost for one in positions) == deposited
    assert sum(account.transfers.get("USDT", 0) for account in state.accounts.values()) == 0


def assert_flows_tell_every_transfer(coins: Coins, seen: dict[tuple[str, str], int]) -> None:
    for event in coins.events(CashFlowEvent):
        flow = event.flow
        if flow.kind != "transfer":
            seen[flow.account, flow.currency] = seen.get((flow.account, flow.currency), 0) + flow.amount
    for name in "ABC":
        for currency, amount in coins.exchange.state.accounts[name].transfers.items():
            assert seen.get((name, currency), 0) == amount


def assert_orders_are_sound(coins: Coins) -> None:
    state = coins.exchange.state
    resting = {
        order.order_id for book in state.books.values() for side in ("bid", "ask") for order in book.orders(side)
    }
    sizes: dict[str, int] = {}
    for fill in coins.exchange.ledger.fills:
        sizes[fill.order_id] = sizes.get(fill.order_id, 0) + fill.size
    for order in coins.exchange.ledger.orders.values():
        assert order.filled + order.remaining <= order.initial
        assert (order.status in ("open", "cancelling")) == (order.order_id in resting)
        assert (order.status == "pending_trigger") == (order.order_id in state.pending)
        assert (order.status == "ended") <= (order.remaining == 0)
        assert sizes.get(order.order_id, 0) == order.filled
        assert (order.reason == "filled") <= (order.filled == order.initial or order.filled > 0)


def walk(seed: int, steps: int) -> Coins:
    """Do `steps` random acts; after each, everything adds up."""
    rng = random.Random(seed)
    coins = exchange_of(rng)
    flows: dict[tuple[str, str], int] = {}
    for _ in range(steps):
        act(coins, rng)
        assert audit_report.problems(coins.exchange) == []
        assert_no_balance_is_overdrawn(coins)
        assert_money_is_conserved(coins)
        assert_flows_tell_every_transfer(coins, flows)
    assert_orders_are_sound(coins)
    return coins


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 150))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_coins_when_anything_is_asked_in_any_order_then_everything_adds_up(seed: int, steps: int) -> None:
    walk(seed, steps)


def test_random_walk_when_it_is_long_then_it_reaches_every_end_and_every_flow() -> None:
    reasons, kinds, insured = set(), set(), False
    for seed in range(6):
        coins = walk(seed, 300)
        reasons |= {order.reason for order in coins.exchange.ledger.orders.values() if order.status == "ended"}
        kinds |= {flow.kind for flow in coins.exchange.ledger.cash_flows}
        insured = insured or coins.cash(INSURANCE) < 0
    expected = "filled unfilled cancelled self_trade reduce_only expired halted liquidated"
    assert reasons >= set(expected.split())
    assert kinds == {"transfer", "funding", "liquidation"}
    assert insured


@given(
    prices=st.lists(st.integers(1, 2_000_000), min_size=1, max_size=12),
    sizes=st.lists(st.integers(-500, 500).filter(bool), min_size=12, max_size=12),
    leverage=st.integers(1, 125),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_position_when_built_and_closed_at_any_prices_then_profit_is_what_was_sold_less_what_was_bought(
    prices: list[int], sizes: list[int], leverage: int
) -> None:
    spec, rules = perpetual_spec(), COLLATERAL["perpetual"]
    position = Coins().position("A")
    position.leverage = leverage
    balance = traded = 0
    trades = list(zip(prices, sizes, strict=False))
    trades.append((700_000, -sum(size for _, size in trades)))
    for price, size in trades:
        if size:
            flows = rules.fill(spec, position, side="bid" if size > 0 else "ask", price=price, size=abs(size))
            balance += flows["USDT"]
            traded -= price * size
        assert balance == position.realized
        assert position.margin >= 0
    assert (position.net, position.cost, position.margin) == (0, 0, 0)
    assert balance == traded
