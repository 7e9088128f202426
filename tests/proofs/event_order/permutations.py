"""Whole lives of orders, told in any order: as they happened, and as a network may make of them.

What our own side records keeps its order, nothing is told before the request that caused it was recorded, and an
answer comes before the next request of its kind. All else is shuffled; in most tellings facts are dropped or repeated.
"""

from __future__ import annotations

import random
from collections import Counter

import msgspec

from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.orders import Side
from framework.state.accounts import Accounts
from tests.proofs.event_order.checks import Divergence, check_market, check_order
from tests.proofs.event_order.network import DROPPED, REPEATED
from tests.proofs.event_order.venue import Venue
from tests.proofs.event_order.words import MARKETS, VENUE, Ask, End, Request, Telling, VenueOrder, approved_of
from tests.proofs.event_order.world import STRATEGIES, World

ACTS_MAX = 12
ORDERS_MAX = 2


class Fact(msgspec.Struct, kw_only=True):
    """Something that becomes known. `after` and `before` bound its place among what our own side records; `telling` is
    None where a request is approved; `is_own` marks what our own side records."""

    name: str
    at_ns: int
    after: float
    before: float = float("inf")
    telling: Telling | None = None
    request: Request | None = None
    is_own: bool = False
    is_kept: bool = False


class Life:
    """One or two orders from their approval on, with everything that is ever told of them."""

    def __init__(self, rng: random.Random) -> None:
        self.venue = Venue(rng)
        self.facts: list[Fact] = []
        self.requests: list[Request] = []
        self._rng = rng
        self._own_count = 0
        self._answers: dict[int, list[Fact]] = {}
        self._settle_in = rng.randrange(4, 60)
        self._live()

    def _live(self) -> None:
        for number in range(self._rng.randrange(4, ACTS_MAX)):
            names = {request.name for request in self.requests}
            if not names or (len(names) < ORDERS_MAX and self._rng.random() < 0.15):
                self._submit(f"c{len(names) + 1}")
                continue
            order = self.venue.find(self._rng.choice(sorted(names)))
            if order is not None:
                self._act(order)
            if number == self._settle_in:
                self._tell(self.venue.settle(MARKETS[0], 100))

    def _submit(self, name: str) -> None:
        request = self._request(Ask.NEW, name)
        if self._rng.random() < 0.2:
            self._own(self._report(name, ReportKind.UNKNOWN))
        if self._rng.random() < 0.12:
            self._own(self._report(name, ReportKind.NEVER_ARRIVED))
            if self._rng.random() < 0.5:
                return
        self._tell(self.venue.take(request))

    def _act(self, order: VenueOrder) -> None:
        dice = self._rng.random()
        left = order.size - order.traded
        trades = [trade for trade in order.trades if not trade.is_voided]
        if order.is_open and dice < 0.4:
            self._tell(self.venue.trade(order, self._rng.randrange(1, left + 1)))
        elif dice < 0.5 and not order.is_cancelling:
            request = self._request(Ask.CANCEL, order.name)
            self._tell(self.venue.take(request))
        elif order.is_open and dice < 0.65:
            self._tell(self.venue.take(self._request(Ask.AMEND, order.name)))
        elif order.is_open and dice < 0.72:
            self._tell(self.venue.end(order, self._rng.choice([End.CANCELLED, End.EXPIRED])))
        elif trades and dice < 0.78:
            self._tell(self.venue.bust(order, self._rng.choice(trades)))
        elif order.is_open and dice < 0.8:
            self._tell(self.venue.trade(order, left + 1))
        else:
            version = self._rng.randrange(len(order.versions))
            self._tell([self.venue.listing(order, version=version, has_client_id=self._rng.random() < 0.7)])

    def _request(self, ask: Ask, name: str) -> Request:
        first = next((request for request in self.requests if request.name == name), None)
        order = self.venue.find(name)
        # Its answer came, or none of this kind would be made.
        for fact in self._answers.pop(self._last(ask, name), []):
            fact.before, fact.is_kept = self._own_count, True
        request = Request(
            number=len(self.requests) + 1,
            ask=ask,
            name=name,
            strategy=first.strategy if first else self._rng.choice(STRATEGIES),
            market=first.market if first else self._rng.choice(MARKETS),
            side=first.side if first else self._rng.choice(list(Side)),
            price=self._rng.randrange(20, 80),
            size=self._rng.randrange(1, 8) + (order.traded if order is not None else 1),
        )
        if order is not None and (request.price, request.size) == (order.price, order.size):
            request.price += 1
        self.requests.append(request)
        self._add(Fact(name=name, at_ns=0, after=self._own_count, request=request, is_own=True))
        self._own(self._report(name, ReportKind.SENT))
        return request

    def _last(self, ask: Ask, name: str) -> int:
        return max((one.number for one in self.requests if (one.ask, one.name) == (ask, name)), default=0)

    def _report(self, name: str, kind: ReportKind) -> Telling:
        return Telling(record=OrderReport(venue=VENUE, client_order_id=name, kind=kind, ts_recv=0), name=name)

    def _own(self, telling: Telling) -> None:
        self._add(Fact(name=telling.name, at_ns=0, after=self._own_count, telling=telling, is_own=True))

    def _tell(self, tellings: list[Telling]) -> None:
        for telling in tellings:
            fact = Fact(name=telling.name, at_ns=0, after=self._own_count - 1, telling=telling)
            self._add(fact)
            if telling.request is not None:
                self._answers.setdefault(telling.request.number, []).append(fact)

    def _add(self, fact: Fact) -> None:
        fact.at_ns = 10 + len(self.facts)
        if fact.telling is not None:
            fact.telling.record = msgspec.structs.replace(fact.telling.record, ts_recv=fact.at_ns)
        self._own_count += fact.is_own
        self.facts.append(fact)


def in_some_order(life: Life, rng: random.Random, *, dropped: float, repeated: float) -> tuple[list[Fact], bool]:
    """The facts as they may arrive, and whether all of them do."""
    last = sum(fact.is_own for fact in life.facts) + 2
    placed: list[tuple[float, int, Fact]] = []
    is_whole = True
    for number, fact in enumerate(life.facts):
        if fact.is_own:
            placed.append((fact.after, number, fact))
        elif rng.random() < dropped and not fact.is_kept:
            is_whole = False
        else:
            for _ in range(2 if rng.random() < repeated else 1):
                place = rng.uniform(fact.after, min(fact.before, last))
                placed.append((place, number, fact))
    return [fact for _, _, fact in sorted(placed, key=lambda one: one[:2])], is_whole


def hear(world: World, facts: list[Fact], requests: list[Request]) -> None:
    """Take the facts in, in this order."""
    fresh = {one.number: msgspec.structs.replace(one, is_answered=False) for one in requests}
    for fact in facts:
        if fact.telling is None and fact.request is not None:
            world.approve(fresh[fact.request.number], now_ns=fact.at_ns)
        elif fact.telling is not None:
            asked = fact.telling.request
            request = fresh[asked.number] if asked is not None else None
            told = Telling(record=fact.telling.record, name=fact.telling.name, request=request)
            world.hear(told, now_ns=fact.at_ns)


def digest_as_it_happened(life: Life) -> str:
    """The state after everything was told once, in order."""
    accounts = Accounts()
    for fact in life.facts:
        if fact.telling is not None:
            accounts.apply(fact.telling.record, fact.at_ns)
        elif fact.request is not None:
            accounts.apply(approved_of(fact.request, now_ns=fact.at_ns), fact.at_ns)
    return accounts.digest()


def run_permutations(reached: Counter[str], *, seed_of_run: int, permutations: int, per_life: int = 10) -> int:
    """Tell lives in `permutations` orders in all; of each life one whole order and many with losses and repetitions.

    Returns in how many orders everything was told. Raises `Divergence`, naming life and order.
    """
    whole = 0
    for number in range(permutations):
        life_number, order = divmod(number, per_life)
        if order == 0:
            life = Life(random.Random(f"{seed_of_run}/life/{life_number}"))
            digest = digest_as_it_happened(life)
        rng = random.Random(f"{seed_of_run}/order/{number}")
        facts, is_whole = in_some_order(life, rng, dropped=DROPPED if order % 3 else 0, repeated=REPEATED)
        world = World(rng, reached)
        try:
            hear(world, facts, life.requests)
            if is_whole and world.accounts.digest() != digest:
                raise Divergence("another order of the same facts ends in another state (I8)")
            for name in world.observer.orders:
                check_order(world.accounts, world.observer, world.venue, name)
            for market in MARKETS:
                check_market(world.accounts, world.observer, market)
            world.venue = life.venue
            world.heal()
        except Divergence as e:
            raise Divergence(f"life {life_number}, order {number} of seed {seed_of_run}: {e}") from e
        whole += is_whole
    return whole
