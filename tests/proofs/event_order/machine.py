"""The acts of both sides, as rules of a Hypothesis state machine."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, precondition, rule

from framework.domain.orders import Order, OrderStatus
from tests.proofs.event_order.words import MARKETS, VENUE, End, Trade, VenueOrder
from tests.proofs.event_order.world import World

S = OrderStatus
OPEN_MAX = 7
CHANGEABLE = (S.WORKING, S.PARTIALLY_FILLED)
IN_DOUBT = (S.SENT, S.UNKNOWN, S.CANCEL_REQUESTED, S.AMEND_REQUESTED, S.ENDING)


def _own(world: World, statuses: Sequence[OrderStatus]) -> list[Order]:
    return [order for order in world.accounts.orders.open() if order.status in statuses]


def _at_venue(world: World) -> list[VenueOrder]:
    return [order for order in world.venue.orders.values() if order.is_open]


def _cancellable(world: World) -> list[Order]:
    return [
        order
        for order in world.accounts.orders.open()
        if not order.cancel_wanted and order.status not in (S.RECORDED, S.UNKNOWN)
    ]


def _with_trades(world: World) -> list[VenueOrder]:
    return [order for order in world.venue.orders.values() if any(not one.is_voided for one in order.trades)]


def _adoptable(world: World) -> list[VenueOrder]:
    known = {one.venue_order_id for one in world.accounts.external_orders(VENUE)}
    return [
        order
        for order in world.venue.orders.values()
        if not order.strategy and order.venue_order_id in known and order.name not in world.observer.orders
    ]


def _doubtful(world: World) -> list[Order]:
    """Orders that a reconciliation looks up; one of which nothing was heard yet is given some time as a rule."""
    doubtful = _own(world, IN_DOUBT)
    return [one for one in doubtful if world.venue.find(one.client_order_id) or world.network.step % 2 == 0]


def _trade(world: World, order: VenueOrder) -> None:
    left = order.size - order.traded
    size = left if world.rng.random() < 0.35 else world.rng.randrange(1, left + 1)
    is_hidden = bool(order.strategy) and world.rng.random() < 0.12
    world.say(world.venue.trade(order, size, is_hidden=is_hidden))


def _hidden(world: World) -> list[tuple[VenueOrder, Trade]]:
    return [(order, one) for order in world.venue.orders.values() for one in order.trades if one.is_hidden]


def _inferable(world: World) -> list[tuple[VenueOrder, Trade]]:
    orders = world.observer.orders
    return [(order, one) for order, one in _hidden(world) if not one.is_inferred and orders[order.name].is_linked]


def _over_fill(world: World, order: VenueOrder) -> None:
    size = order.size - order.traded + world.rng.randrange(1, 4)
    world.say(world.venue.trade(order, size))


def _bust(world: World, order: VenueOrder) -> None:
    trade = world.rng.choice([one for one in order.trades if not one.is_voided])
    world.say(world.venue.bust(order, trade))


def _say_now(world: World, order: VenueOrder) -> None:
    world.tell(world.venue.listing(order, has_client_id=world.rng.random() < 0.7))


CANDIDATES: dict[str, Callable[[World], Sequence[Any]]] = {
    "submit": lambda world: (
        [None] if len(world.accounts.orders.open()) < OPEN_MAX and len(world.venue.settled) < len(MARKETS) else []
    ),
    "cancel": _cancellable,
    "amend": lambda world: _own(world, CHANGEABLE),
    "look_up": _doubtful,
    "restart": lambda world: [None],
    "adopt": _adoptable,
    "trade": _at_venue,
    "over_fill": _at_venue,
    "end": _at_venue,
    "expire": _at_venue,
    "bust": _with_trades,
    "place_by_hand": lambda world: [None],
    "list": lambda world: list(world.venue.orders.values()),
    "list_as_it_was": lambda world: list(world.venue.orders.values()),
    "carry_out": lambda world: [one for one in _at_venue(world) if one.is_cancelling],
    "infer": _inferable,
    "list_hidden": lambda world: [(order, one) for order, one in _hidden(world) if one.is_inferred],
    "settle": lambda world: [one for one in MARKETS if one not in world.venue.settled],
}
DOING: dict[str, Callable[[World, Any], None]] = {
    "submit": lambda world, _: world.submit(),
    "cancel": lambda world, order: world.cancel(order),
    "amend": lambda world, order: world.amend(order),
    "look_up": lambda world, order: world.look_up(order),
    "restart": lambda world, _: world.restart(),
    "adopt": lambda world, order: world.adopt(order),
    "trade": _trade,
    "over_fill": _over_fill,
    "end": lambda world, order: world.say(world.venue.end(order, End.CANCELLED)),
    "expire": lambda world, order: world.say(world.venue.end(order, End.EXPIRED)),
    "bust": _bust,
    "place_by_hand": lambda world, _: world.say(world.venue.place_by_hand(has_client_id=world.rng.random() < 0.5)),
    "list": _say_now,
    "list_as_it_was": lambda world, order: world.say_old(order),
    "carry_out": lambda world, order: world.say(world.venue.end(order, End.CANCELLED)),
    "infer": lambda world, hidden: world.infer(*hidden),
    "list_hidden": lambda world, hidden: world.list_hidden(*hidden),
    "settle": lambda world, market: world.say(world.venue.settle(market, world.rng.choice([0, 40, 100]))),
}


class Tally:
    """What all machines of a run did together."""

    def __init__(self) -> None:
        self.steps = 0
        self.runs = 0
        self.reached: Counter[str] = Counter()


class EventOrder(RuleBasedStateMachine):
    """Both sides act, messages come as they come; every step is checked, and the end after healing.

    Hypothesis chooses the acts, the dice of the world the rest.
    """

    def __init__(self, tally: Tally, seed_of_run: int) -> None:
        super().__init__()
        self.tally = tally
        self.seed_of_run = seed_of_run
        self.world = World(random.Random(0), tally.reached)

    @initialize(dice=st.integers(0, 2**32 - 1))
    def begin(self, dice: int) -> None:
        self.world = World(random.Random(f"{self.seed_of_run}/{dice}"), self.tally.reached)
        self.tally.runs += 1

    def can(self, *acts: str) -> list[str]:
        return [act for act in acts if CANDIDATES[act](self.world)]

    def do(self, *acts: str) -> None:
        world = self.world
        act = world.rng.choice(self.can(*acts))
        DOING[act](world, world.rng.choice(CANDIDATES[act](world)))
        world.advance()
        self.tally.steps += 1

    @precondition(lambda self: self.can("submit"))
    @rule()
    def submit(self) -> None:
        self.do("submit")

    @precondition(lambda self: self.can("submit"))
    @rule()
    def submit_and_trade(self) -> None:
        self.do("submit")
        if self.can("trade"):
            self.do("trade")

    @precondition(lambda self: self.can("trade"))
    @rule()
    def trade(self) -> None:
        self.do("trade")

    @precondition(lambda self: self.can("cancel"))
    @rule()
    def cancel(self) -> None:
        self.do("cancel")

    @precondition(lambda self: self.can("amend"))
    @rule()
    def amend(self) -> None:
        self.do("amend")

    @precondition(lambda self: self.can("look_up"))
    @rule()
    def look_up(self) -> None:
        self.do("look_up")

    @precondition(lambda self: self.can("list"))
    @rule()
    def list_one(self) -> None:
        self.do("list", "list_as_it_was")

    @precondition(lambda self: self.can("infer", "list_hidden", "carry_out"))
    @rule()
    def come_to_light(self) -> None:
        self.do("infer", "list_hidden", "carry_out")

    @precondition(lambda self: self.can("end"))
    @rule()
    def end(self) -> None:
        self.do("end", "expire", "expire")

    @precondition(lambda self: self.can("bust", "over_fill", "adopt"))
    @rule()
    def surprise(self) -> None:
        self.do("bust", "over_fill", "adopt")

    @rule()
    def upheaval(self) -> None:
        self.do("restart", "place_by_hand", "restart", "place_by_hand", *self.can("settle"))

    def teardown(self) -> None:
        self.world.heal()


def run_machine(tally: Tally, *, seed_of_run: int, runs: int, steps_max: int = 50, is_shrunk: bool = True) -> None:
    """So many runs. Raises `Divergence`, after Hypothesis has looked for a shorter story where `is_shrunk`."""
    run = get_state_machine_test(
        partial(EventOrder, tally, seed_of_run),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps_max,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink) if is_shrunk else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    seed(seed_of_run)(run)()
