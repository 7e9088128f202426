"""Whatever is asked of the engine in whatever order, money is conserved and no book is crossed."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kalshi.sandbox.groups import OrderGroups
from connectors.kalshi.sandbox.listings import TAPERED_DECI_CENT
from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.events import BookChange
from connectors.sandbox.engine.model import FeeModel, MarketSpec, OrderRequest, TimeInForce
from tests.connectors.sandbox.engine.venue import Venue

MAKER_FEES = FeeModel(maker_ppm=17_500)
SPECS = (
    MarketSpec(market_id="M", fees=MAKER_FEES),
    MarketSpec(market_id="N", bands=TAPERED_DECI_CENT, fees=FeeModel(maker_ppm=17_500, balance_step=10_000)),
)
TIFS: tuple[TimeInForce, ...] = ("gtc", "gtc", "gtc", "ioc", "fok")
ACTS = ("submit",) * 12 + ("amend", "decrease", "cancel", "cancel_all", "wait", "halt")


def submit(venue: Venue, rng: random.Random, group_id: str) -> None:
    """A random order: mostly plain, sometimes with each of the special flags, near enough to others to trade."""
    tif: TimeInForce = rng.choice(TIFS)
    account = rng.choice("ABC")
    request = OrderRequest(
        account=account,
        market_id=rng.choice("MN"),
        side=rng.choice(("bid", "ask")),
        price=rng.choice((100 * rng.randint(44, 56), 100 * rng.randint(44, 56), 10 * rng.randint(1, 99))),
        size=rng.choice((rng.randint(1, 99), rng.randint(1, 5_000), rng.randint(1, 120_000))),
        tif=tif,
        self_trade=rng.choice(("taker_at_cross", "maker")),
        post_only=tif == "gtc" and rng.randrange(6) == 0,
        reduce_only=tif == "ioc" and rng.randrange(3) == 0,
        cancel_on_pause=rng.randrange(6) == 0,
        group_id=group_id if account == "A" and rng.randrange(3) == 0 else "",
        expiration_ns=venue.now_ns + rng.randint(2, 50) * 1_000_000 if tif == "gtc" and rng.randrange(6) == 0 else 0,
    )
    venue.exchange.submit(request, venue.tick())


def halt(venue: Venue, rng: random.Random) -> None:
    """Pause the exchange or a market and open it again; rarely end a market for good."""
    exchange = venue.exchange
    if rng.randrange(3):
        exchange.set_phase(rng.choice(("trading_paused", "exchange_paused")), venue.tick())
        exchange.set_phase("open", venue.tick())
    elif rng.randrange(4):
        exchange.set_market(rng.choice("MN"), "pause", now_ns=venue.tick())
        for market_id in "MN":
            exchange.set_market(market_id, "resume", now_ns=venue.tick())
    else:
        exchange.set_market("N", rng.choice(("close", "determine", "settle")), now_ns=venue.tick())


def act(venue: Venue, rng: random.Random, groups: OrderGroups, group_id: str) -> None:
    """Ask one random thing of the exchange."""
    exchange = venue.exchange
    orders = [order for account in "ABC" for order in exchange.ledger.orders_of(account)][-40:]
    kind = rng.choice(ACTS)
    if kind == "submit" or not orders:
        submit(venue, rng, group_id)
        return
    order = rng.choice(orders)
    match kind:
        case "amend":
            venue.amend(order, rng.randint(44, 56), rng.randint(1, 1_500))
        case "decrease":
            exchange.decrease(order.account, order.order_id, now_ns=venue.tick(), reduce_by=rng.randint(1, 500))
        case "cancel":
            venue.cancel(order)
        case "cancel_all":
            exchange.cancel_all(order.account, venue.tick())
            groups.reset("A", group_id, now_ns=venue.tick())
        case "wait":
            exchange.advance(venue.tick(rng.randint(1, 20)))
        case "halt":
            halt(venue, rng)


def assert_orders_are_sound(venue: Venue) -> None:
    books = venue.exchange.state.books.values()
    resting = {order.order_id for book in books for side in ("bid", "ask") for order in book.orders(side)}
    sizes: dict[str, int] = {}
    fees: dict[str, int] = {}
    for fill in venue.exchange.ledger.fills:
        assert fill.fee >= 0
        sizes[fill.order_id] = sizes.get(fill.order_id, 0) + fill.size
        fees[fill.order_id] = fees.get(fill.order_id, 0) + fill.fee
    for order in venue.exchange.ledger.orders.values():
        assert order.filled + order.remaining <= order.initial
        assert (order.remaining > 0) == (order.status == "open") == (order.order_id in resting)
        assert sizes.get(order.order_id, 0) == order.filled
        assert fees.get(order.order_id, 0) == order.taker_fees + order.maker_fees


def walk(seed: int, steps: int) -> Venue:
    """Do `steps` random acts; after each, everything adds up and the events describe the engine's book."""
    rng = random.Random(seed)
    venue = Venue(*SPECS)
    groups = OrderGroups(venue.exchange)
    group = groups.create("A", 50_000, now_ns=venue.tick())
    levels: dict[tuple[str, Any, int], int] = {}
    for _ in range(steps):
        act(venue, rng, groups, group.group_id)
        assert audit_report.problems(venue.exchange) == []
        for account in venue.exchange.state.accounts.values():
            assert account.available("USD") >= 0
        for change in venue.events(BookChange):
            key = (change.market_id, change.side, change.price)
            levels[key] = levels.get(key, 0) + change.delta
            assert levels[key] == change.total >= 0
    for market_id, side, price in levels:
        assert venue.exchange.state.books[market_id].total(side, price) == levels[market_id, side, price]
    assert_orders_are_sound(venue)
    return venue


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 150))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_engine_when_anything_is_asked_in_any_order_then_everything_adds_up(seed: int, steps: int) -> None:
    walk(seed, steps)


def test_random_walk_when_it_is_long_then_it_reaches_every_way_an_order_can_end() -> None:
    reached = {
        (order.status, order.reason) for seed in range(6) for order in walk(seed, 400).exchange.ledger.orders.values()
    }
    ends = ("filled", "unfilled", "cancelled", "self_trade", "reduce_only", "expired", "halted", "closed")
    assert reached >= {("ended", reason) for reason in ends}
