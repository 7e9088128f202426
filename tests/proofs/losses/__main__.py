"""Random sessions whose true loss is known: does the loss limit trip at once, never without a cause, and once?

    python -m tests.proofs.losses [--sessions 1000] [--seed 1] [--mutant stale-mid|no-record|at-cost]

A session is a day or two of trades of two strategies in three binary markets, with quotes, gaps, empty books, public
trades, settlements, instruments that leave, restarts (also over midnight) and people who resume. The state is the real
one. What is truly lost is worked out apart, in fractions, from the list of trades alone: cash, and each open position
at the price that its book allows. After every event the limit must have tripped exactly when that loss passed it since
the day began, or since a person resumed; for a fall from the peak after a restart it may be a hundredth of the limit
early. Prints one JSON object; exits 1 when a promise was broken. A mutant must be found out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

from framework.domain.account_events import (
    ControlSaved,
    InstrumentDefined,
    InstrumentPurged,
    InstrumentSettled,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.market_events import BookSnapshot, BookStale, TradePrint
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.views import BookView, PositionView
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.risk_view import View
from risk.checks.loss_limit import Losses, LossLimit
from tests.support import state_records

MARKETS = [
    msgspec.structs.replace(state_records.INSTRUMENT, id=InstrumentId(f"tide:{one}"), symbol=one) for one in "ABC"
]
STRATEGIES = ("maker", "taker")
S = 10**9
MIDNIGHT_NS = 1_700_006_400 * S
"""2023-11-15 00:00 UTC."""
LOSS, FALL = 25, 40
EARLY = Fraction(FALL, 100)
STEPS = 120
DAY_NS = 86_400 * S
MUTANTS = ("stale-mid", "no-record", "at-cost")


class Quote(NamedTuple):
    """A book as last told."""

    bid: int | None = None
    ask: int | None = None
    is_fresh: bool = False


class Ledger:
    """What is truly so, from trades and quotes alone, in fractions of a dollar. No code of the limit is used."""

    def __init__(self) -> None:
        self.cash: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self.size: Counter[tuple[str, str]] = Counter()
        self.quotes: defaultdict[str, Quote] = defaultdict(Quote)
        self.last: dict[str, int] = {}

    def trade(self, strategy: str, market: str, *, change: int, price: int, fee: int) -> None:
        """A trade at a price in cents, with a fee in cents."""
        self.cash[strategy, market] -= Fraction(change * price + fee, 100)
        self.size[strategy, market] += change

    def settle(self, market: str, value: int) -> None:
        """Every position is paid out."""
        for strategy in STRATEGIES:
            self.cash[strategy, market] += Fraction(self.size.pop((strategy, market), 0) * value, 100)

    def worth(self, market: str, size: int) -> Fraction | None:
        """What one contract is worth to who holds `size` of them, None when nothing is known."""
        quote, last = self.quotes[market], self.last.get(market)
        if quote.is_fresh and quote.bid is not None and quote.ask is not None and quote.bid < quote.ask:
            return Fraction(quote.bid + quote.ask, 200)
        mine = quote.bid if size > 0 else quote.ask
        known = [price for price in (mine, last) if price is not None]
        if known:
            return Fraction(min(known) if size > 0 else max(known), 100)
        return Fraction(0 if size > 0 else 1) if quote.is_fresh else None

    def profit(self, strategy: str) -> Fraction | None:
        """Of all time, None while an open position has no price."""
        total = Fraction(0)
        for (whose, market), cash in self.cash.items():
            if whose == strategy:
                size = self.size[whose, market]
                worth = self.worth(market, size) if size else Fraction(0)
                if worth is None:
                    return None
                total += cash + size * worth
        return total


class Judge:
    """When the limit must trip, by the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.began: dict[str, Fraction] = {}
        self.peak: dict[str, Fraction] = {}
        self.slack: dict[str, Fraction] = {}
        self.stopped: set[str] = set()

    def begin_day(self) -> None:
        """All are counted anew from what is known now, or from when it is."""
        self.began, self.peak, self.slack = {}, {}, {}
        for strategy in STRATEGIES:
            self.begin_anew(strategy)

    def begin_anew(self, strategy: str) -> None:
        """Count a strategy from here on."""
        has_traded, now = any(whose == strategy for whose, _ in self.ledger.cash), self.ledger.profit(strategy)
        if has_traded and now is not None:
            self.began[strategy] = self.peak[strategy] = now
            self.slack[strategy] = Fraction(0)

    def first_trade(self, strategy: str) -> None:
        """Before its very first trade a strategy has nothing to lose."""
        if not any(whose == strategy for whose, _ in self.ledger.cash):
            self.began[strategy] = self.peak[strategy] = Fraction(0)
            self.slack[strategy] = Fraction(0)

    def must_trip(self, strategy: str) -> tuple[bool, bool]:
        """Whether it must have tripped by now, and whether it may have."""
        now = self.ledger.profit(strategy)
        if now is None:
            return False, False
        if strategy not in self.began:
            self.begin_anew(strategy)
            return False, False
        self.peak[strategy] = max(self.peak[strategy], now)
        lost, fallen = self.began[strategy] - now, self.peak[strategy] - now
        is_over = lost > LOSS or fallen > FALL
        return is_over, is_over or fallen > FALL - self.slack[strategy]


class AtStaleMids(Losses):
    """Takes the mid of a book whether it is fresh or not."""

    def _mark_twice(self, position: PositionView, book: BookView | None, instrument: Instrument) -> int | None:
        if book is not None and book.mid_twice is not None:
            return book.mid_twice
        return super()._mark_twice(position, book, instrument)


class AtCost(Losses):
    """Counts an open position at what it cost."""

    def _mark_twice(self, position: PositionView, book: BookView | None, instrument: Instrument) -> int | None:
        return 2 * position.cost // position.size


WITHOUT: dict[str, type[Losses]] = {"stale-mid": AtStaleMids, "at-cost": AtCost}


class Session:
    """One session: the state, the limit at work on it, and the ledger beside it."""

    def __init__(self, seed: int, mutant: str) -> None:
        self.rng = random.Random(seed)
        self.mutant = mutant
        settings = {"currency": "USD", "loss_max": LOSS, "drawdown_max": FALL}
        self.limits = LossLimit.model_validate(settings)
        self.ledger = Ledger()
        self.judge = Judge(self.ledger)
        self.accounts, self.now_ns = Accounts(), MIDNIGHT_NS + 10**9
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.tripped: set[str] = set()
        self.number = 0
        self.settled: set[str] = set()
        self.next_day_ns = MIDNIGHT_NS + DAY_NS
        for market in MARKETS:
            self.accounts.apply(InstrumentDefined(market, self.now_ns), self.now_ns)
        self.start()

    def start(self) -> None:
        """A run begins on the state as it is; books are not known yet."""
        self.books = Books()
        self.view = View(books=self.books, accounts=self.accounts, budgets={})
        self.losses = WITHOUT.get(self.mutant, Losses)(self.limits)
        self.is_new_run = True
        self.ledger.quotes.clear()
        self.ledger.last.clear()

    def restart(self) -> None:
        """As after a crash: what was recorded is there, and nothing else."""
        self.counts["restarts"] += 1
        if self.mutant == "no-record":
            self.accounts.control_states.clear()
        self.accounts = Accounts.from_snapshot(self.accounts.to_snapshot())
        self.start()
        for strategy in self.judge.slack:
            self.judge.slack[strategy] = EARLY

    def tell(self, event: Event, note: Callable[[], object] = lambda: None) -> None:
        """Tell ledger and limit of an event that the state knows of already."""
        is_new_day = self.now_ns >= self.next_day_ns
        if is_new_day:
            self.next_day_ns += DAY_NS
            self.counts["midnights"] += 1
        # A day begins with what all was worth before its first event; of a run that begins with it, only after.
        if is_new_day and not self.is_new_run:
            self.judge.begin_day()
        note()
        if is_new_day and self.is_new_run:
            self.judge.begin_day()
        self.is_new_run = False
        self.view.now_ns = self.now_ns
        for action in self.losses.follow(event, self.view):
            if isinstance(action, ControlSaved):
                self.accounts.apply(action, self.now_ns)
            elif isinstance(action, TradingStateChanged):
                self.trip(action)

    def trip(self, action: TradingStateChanged) -> None:
        self.counts["trips"] += 1
        self.accounts.apply(action, self.now_ns)
        if action.target in self.tripped:
            self.broken.append(f"{action.target} is stopped twice: {action.reason}")
        self.tripped.add(action.target)

    def look(self, what: str) -> None:
        """Compare after an event."""
        for strategy in STRATEGIES:
            must, may = self.judge.must_trip(strategy)
            if must and strategy not in self.judge.stopped:
                self.judge.stopped.add(strategy)
                if strategy not in self.tripped:
                    self.broken.append(f"{strategy} is not stopped after {what}")
            elif strategy in self.tripped and strategy not in self.judge.stopped:
                self.judge.stopped.add(strategy)
                if not may:
                    self.broken.append(f"{strategy} is stopped after {what} without a cause")

    def step(self) -> None:
        """Something happens."""
        acts: Sequence[tuple[int, Callable[[], str]]] = (
            (30, self.quote), (30, self.trade), (8, self.gap), (10, self.print), (3, self.settle),
            (3, self.restart_now), (2, self.over_midnight), (4, self.resume),
        )  # fmt: skip
        (act,) = self.rng.choices([act for _, act in acts], [weight for weight, _ in acts])
        self.now_ns += self.rng.randrange(1, 60) * S
        self.look(act())

    def open_market(self) -> Instrument | None:
        """Some market that has not settled."""
        return self.rng.choice([one for one in MARKETS if one.id not in self.settled] or [None])  # type: ignore[list-item]

    def quote(self) -> str:
        if (market := self.open_market()) is None:
            return "nothing"
        bid = self.rng.randrange(1, 95)
        ask = self.rng.randrange(bid + 1, 99)
        sides = self.rng.choices(["both", "bid", "ask", "none"], [20, 2, 2, 1])[0]
        quote = Quote(bid if sides in ("both", "bid") else None, ask if sides in ("both", "ask") else None, True)
        bids = ((Price(bid), Size(10)),) if quote.bid is not None else ()
        asks = ((Price(ask), Size(10)),) if quote.ask is not None else ()
        snapshot = BookSnapshot(market.id, self.now_ns, self.now_ns, bids, asks)
        self.books.apply(snapshot, self.now_ns)
        self.tell(snapshot, lambda: self.ledger.quotes.update({market.id: quote}))
        return f"quote {quote} in {market.id}"

    def gap(self) -> str:
        if (market := self.open_market()) is None:
            return "nothing"
        stale = BookStale(market.id, "gap", self.now_ns)
        self.books.apply(stale, self.now_ns)
        quote = self.ledger.quotes[market.id]._replace(is_fresh=False)
        self.tell(stale, lambda: self.ledger.quotes.update({market.id: quote}))
        return f"gap in {market.id}"

    def print(self) -> str:
        if (market := self.open_market()) is None:
            return "nothing"
        price = self.rng.randrange(1, 99)
        trade = TradePrint(market.id, self.now_ns, self.now_ns, "t", Price(price), Size(1), Side.BUY)
        self.tell(trade, lambda: self.ledger.last.update({market.id: price}))
        return f"print {price} in {market.id}"

    def trade(self) -> str:
        if (market := self.open_market()) is None:
            return "nothing"
        strategy, side = self.rng.choice(STRATEGIES), self.rng.choice(list(Side))
        price, size, fee = self.rng.randrange(1, 99), self.rng.randrange(1, 30), self.rng.randrange(4)
        self.number += 1
        name = f"c{self.number}"
        approved = state_records.new(name, side=side, price=price, size=size, strategy=strategy)
        intent = msgspec.structs.replace(approved.intent, instrument=market.id)
        self.accounts.apply(msgspec.structs.replace(approved, intent=intent), self.now_ns)
        fill = state_records.fill(
            f"f{self.number}", name=name, venue_order_id=f"v{self.number}", side=side, price=price, size=size, fee=fee,
            at=self.now_ns, instrument=market.id,
        )  # fmt: skip
        self.accounts.apply(fill, self.now_ns)
        change = side.sign * size

        def note() -> None:
            self.judge.first_trade(strategy)
            self.ledger.trade(strategy, market.id, change=change, price=price, fee=fee)

        self.tell(fill, note)
        return f"trade of {strategy}: {change} at {price}, fee {fee}"

    def settle(self) -> str:
        market = self.open_market()
        if market is None or self.rng.random() < 0.5:
            return "nothing"
        self.settled.add(market.id)
        self.counts["settlements"] += 1
        value = self.rng.choice([0, 100])
        event = InstrumentSettled(market.id, Price(value), self.now_ns, self.now_ns)
        self.accounts.apply(event, self.now_ns)
        self.tell(event, lambda: self.ledger.settle(market.id, value))
        if self.rng.random() < 0.7:
            leaves = InstrumentPurged(market.id, self.now_ns)
            self.accounts.apply(leaves, self.now_ns)
            self.tell(leaves)
        return f"settlement of {market.id} at {value}"

    def restart_now(self) -> str:
        self.restart()
        return "restart"

    def over_midnight(self) -> str:
        self.now_ns = max(self.now_ns, self.next_day_ns + self.rng.randrange(3_600) * S)
        if self.rng.random() < 0.5:
            self.restart()
        return "midnight"

    def resume(self) -> str:
        strategy = self.rng.choice(STRATEGIES)
        event = TradingStateChanged(
            scope=Scope.STRATEGY, target=strategy, state=TradingState.ACTIVE, reason="r", ts_recv=self.now_ns
        )
        self.accounts.apply(event, self.now_ns)
        self.tell(event)
        if strategy in self.judge.stopped:
            self.counts["resumed"] += 1
            self.judge.stopped.discard(strategy)
            self.tripped.discard(strategy)
            self.judge.began.pop(strategy, None)
            self.judge.begin_anew(strategy)
        return f"resume of {strategy}"


def play(seed: int, mutant: str) -> Session:
    """One session to its end, or to the first promise that is broken."""
    session = Session(seed, mutant)
    # A daemon hears of books before it trades for the first time.
    session.look(session.quote())
    for _ in range(STEPS):
        session.step()
        if session.broken:
            break
    return session


def prove(sessions: int, seed: int, mutant: str = "") -> dict[str, Any]:
    """All sessions, counted."""
    counts: Counter[str] = Counter()
    broken: list[str] = []
    for number in range(sessions):
        played = play(seed * 1_000_003 + number, mutant)
        counts += played.counts
        broken += [f"session {number}: {one}" for one in played.broken]
    return {"sessions": sessions, "seed": seed, **counts, "broken": len(broken), "examples": broken[:5]}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=MUTANTS, default="")
    options = parser.parse_args()
    figures = prove(options.sessions, options.seed, options.mutant)
    print(json.dumps(figures, indent=1))
    return 1 if figures["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
