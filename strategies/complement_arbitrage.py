"""Complement arbitrage: sets of contracts on one event that pay more than they cost, whatever happens.

Each contract pays 1 or nothing; selling YES at p is buying NO at 1 - p. Relations between the markets of one event say
what a set pays at least:

    exclusive    at most one market pays: sell YES of k of them; at least k - 1 of the NOs pay
    exhaustive   at least one market pays: buy YES of all; 1
    contains     all outcomes of the inner market are the outer one's, too: buy the outer, sell the inner; 1
    disjoint     no outcome is in both: sell both; 1
    covers       every outcome is in one of them: buy both; 1

The first is stated by the venue (`Instrument.is_exclusive`), the last three follow from the strikes, the second is
known to nobody but the operator (`exhaustive`). YES and NO of one market are one book, which is never crossed. A set is
worth it when it pays `edge_min` more than its prices and taker fees. It is held until the event is decided.

Books count only as far as they are fresh, `depth_percent` of their best level. `strategies.legs` sends the orders and
brings them to even.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import permutations
from math import lcm
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.account_events import Fill
from framework.domain.instruments import FeeModel, Instrument, InstrumentId, InstrumentKind, StrikeRange
from framework.domain.market_events import ConnectorStatus
from framework.domain.numbers import Price, Size, format_scaled
from framework.domain.orders import Order, Side
from framework.domain.ports import Desk
from framework.domain.strategy import Strategy
from framework.domain.views import BookView
from strategies.legs import Exact, Leg, LegSettings, LegTrader, is_tradable, refuse_digits

_NS_PER_MS = 1_000_000
_CHECK = "check"
_CHECK_MS = 250

Kind = Literal["exclusive", "strikes"]


class ComplementSettings(BaseModel):
    """What it trades and how far it goes. Sizes are exact decimals in contracts, prices in the quote currency, times in
    milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_max: Exact = Field(gt=0, allow_inf_nan=False, description="Largest size of one set, in each of its markets.")
    position_max: Exact = Field(
        gt=0, allow_inf_nan=False, description="Largest own position in each market, long or short."
    )
    relations: tuple[Kind, ...] = Field(
        ("exclusive",),
        description='What is believed: "exclusive", that the venue says that one market pays at most; "strikes", that '
        "all strikes of an event are about the same figure.",
    )
    exhaustive: dict[str, int] = Field(
        {},
        description="Events of which one market surely pays, with the number of their markets: 'EVENT = 5'. Nothing is "
        "bought while one of these is missing.",
    )
    legs_max: int = Field(6, ge=2, description="Most markets of a set that is sold.")
    edge_min: Exact = Field(
        Decimal("0.01"), ge=0, allow_inf_nan=False, description="Least profit of one set after all fees."
    )
    bound: Exact = Field(
        Decimal("0.03"), ge=0, allow_inf_nan=False, description="A leg is completed or flattened at most so much worse."
    )
    depth_percent: int = Field(50, ge=1, le=100, description="So much of the best level of a book is counted on.")
    stop_before_close_ms: int = Field(60_000, ge=0, description="No new set in a market that closes sooner.")
    legs: LegSettings = Field(LegSettings(), description="How the orders are sent and brought to even.")


class Relation(NamedTuple):
    """Markets of one event whose contracts pay something whatever happens: YES of `buys` and NO of `sells`. Of an open
    relation that holds for any two or more of `sells`."""

    name: str
    buys: tuple[InstrumentId, ...]
    sells: tuple[InstrumentId, ...]
    is_open: bool = False


class Contract(NamedTuple):
    """One contract of a market now: the price of YES, the cost of the contract with its taker fee, both scaled, and how
    many there are."""

    instrument: Instrument
    side: Side
    price: Price
    cost: int
    size: int


def outcomes_of(strike: StrikeRange) -> tuple[tuple[Decimal, int], tuple[Decimal, int]]:
    """A range of outcomes as two cuts of the line of numbers: (n, 0) lies just before n, (n, 1) just after it."""
    low = (Decimal(strike.low), 0 if strike.includes_low else 1) if strike.low else (Decimal("-Infinity"), 0)
    high = (Decimal(strike.high), 1 if strike.includes_high else 0) if strike.high else (Decimal("Infinity"), 1)
    return low, high


def relations_by_strike(one: Instrument, other: Instrument) -> Iterator[Relation]:
    """What the strikes of two markets of one event say of them, seen from the first: call it for both orders."""
    if one.strike is None or other.strike is None:
        return
    (low, high), (other_low, other_high) = outcomes_of(one.strike), outcomes_of(other.strike)
    if low <= other_low and other_high <= high:
        yield Relation("contains", (one.id,), (other.id,))
    if high <= other_low:
        yield Relation("disjoint", (), (one.id, other.id))
    if not one.strike.low and not other.strike.high and other_low <= high:
        yield Relation("covers", (one.id, other.id), ())


def relations_of(markets: Sequence[Instrument], settings: ComplementSettings) -> Iterator[Relation]:
    """Everything that is believed of the markets of one event."""
    exclusive = tuple(one.id for one in markets if one.is_exclusive)
    if "exclusive" in settings.relations and len(exclusive) > 1:
        yield Relation("exclusive", (), exclusive, is_open=True)
    if settings.exhaustive.get(markets[0].event) == len(markets):
        yield Relation("exhaustive", tuple(one.id for one in markets), ())
    if "strikes" in settings.relations:
        for one, other in permutations(markets, 2):
            yield from relations_by_strike(one, other)


def fee_of(instrument: Instrument, price: Price) -> int:
    """The taker fee of one contract, as a scaled price, rounded up."""
    over, under = _ratio(instrument.fees.taker_rate)
    if instrument.fees.model is FeeModel.QUADRATIC:
        over, under = over * (instrument.unit - price), under * instrument.unit
    return -(-over * price // under)


@lru_cache
def _ratio(rate: str) -> tuple[int, int]:
    """An exact decimal as a fraction: every change of a book asks for the fees of many markets."""
    return Decimal(rate).as_integer_ratio()


class ComplementArbitrage(Strategy[ComplementSettings]):
    """Buys sets of contracts on one event that pay more than they cost, whatever happens."""

    Settings: ClassVar[type[ComplementSettings]] = ComplementSettings

    def __init__(self, name: str, settings: ComplementSettings, desk: Desk) -> None:
        super().__init__(name, settings, desk)
        self._legs = LegTrader(self, settings.legs)
        self._relations: dict[InstrumentId, list[Relation]] = {}

    def on_start(self) -> None:
        """Take up what was under way. Raises `ValueError` for settings with more digits than a market has."""
        self._relate()
        self._legs.resume()
        self.on_timer(_CHECK)

    def on_instrument(self, instrument: Instrument) -> None:
        """A market has opened or settled: what its event's markets say of each other has changed."""
        self._relate()
        self._legs.look()

    def on_timer(self, name: str) -> None:
        """Look after the legs: what is held or late sends no event."""
        self._legs.look()
        self.desk.set_timer(_CHECK, after_ms=_CHECK_MS)

    def on_book(self, book: BookView) -> None:
        """Trade the best set with this market, if there is one that is worth it."""
        if self._legs.is_idle:
            self._consider(book.instrument)

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Look after the legs: one of them has traded."""
        self._legs.look()

    def on_order(self, order: Order) -> None:
        """Look after the legs: the order of one may have ended."""
        self._legs.look()

    def on_connector(self, status: ConnectorStatus) -> None:
        """Look after the legs: the venue is up again, or down."""
        self._legs.look()

    def _relate(self) -> None:
        events: dict[tuple[str, str], list[Instrument]] = {}
        for name in self.desk.instruments:
            one = self.desk.instrument(name)
            if one.kind is InstrumentKind.BINARY and one.event:
                events.setdefault((one.venue, one.event), []).append(one)
                sizes, prices = ("size_max", "position_max"), ("edge_min", "bound")
                refuse_digits(one, self.settings, sizes=sizes, prices=prices)
        self._relations = {}
        for markets in events.values():
            for relation in relations_of(markets, self.settings):
                for each in (*relation.buys, *relation.sells):
                    self._relations.setdefault(each, []).append(relation)

    def _consider(self, changed: InstrumentId) -> None:
        contracts: dict[tuple[InstrumentId, Side], Contract | None] = {}
        found = [(self._priced(relation, contracts), relation) for relation in self._relations.get(changed, ())]
        worth = [(priced, relation) for priced, relation in found if priced is not None]
        # The best one may have reached its largest position.
        for (profit, chosen), relation in sorted(worth, key=lambda one: -one[0][0]):
            if self._trade(profit, relation, chosen):
                return

    def _priced(
        self, relation: Relation, contracts: dict[tuple[InstrumentId, Side], Contract | None]
    ) -> tuple[int, Sequence[Contract]] | None:
        """What one set brings after all costs, as a scaled price, and of which contracts it is; None when that is less
        than the least, or a market has no usable book."""
        found = [
            contracts.setdefault(key, self._contract(*key)) if key not in contracts else contracts[key]
            for side, names in ((Side.BUY, relation.buys), (Side.SELL, relation.sells))
            for key in ((name, side) for name in names)
        ]
        chosen = [one for one in found if one is not None]
        if relation.is_open:
            gains = [one for one in chosen if one.cost < one.instrument.unit]
            chosen = sorted(gains, key=lambda one: one.cost)[: self.settings.legs_max]
        elif len(chosen) < len(found):
            return None
        if len(chosen) < 2:
            return None
        pays = 1 if relation.buys else len(chosen) - 1
        first = chosen[0].instrument
        profit = pays * first.unit - sum(one.cost for one in chosen)
        if profit <= 0 or profit < first.price(self.settings.edge_min):
            return None
        is_alike = all(one.instrument.money_decimals == first.money_decimals for one in chosen)
        return (profit, chosen) if is_alike else None

    def _contract(self, name: InstrumentId, side: Side) -> Contract | None:
        instrument = self.desk.instrument(name)
        last_ns = instrument.close_ns - self.settings.stop_before_close_ms * _NS_PER_MS
        book = self._legs.book(instrument)
        if book is None or (instrument.close_ns and self.desk.now_ns >= last_ns):
            return None
        for price, size in book.depth(side.opposite, 1):
            cost = price if side is Side.BUY else instrument.unit - price
            counted = size * self.settings.depth_percent // 100
            return Contract(instrument, side, price, cost + fee_of(instrument, price), counted)
        return None

    def _trade(self, profit: int, relation: Relation, contracts: Sequence[Contract]) -> bool:
        """Send the legs of one set; whether they were sent."""
        size = min(self._room(one) for one in contracts)
        size -= size % lcm(*(one.instrument.lot for one in contracts))
        if not all(is_tradable(one.instrument, one.price, size) for one in contracts):
            return False
        legs = [
            Leg(
                instrument=one.instrument.id,
                side=one.side,
                price=one.price,
                size=Size(size),
                slip=one.instrument.price(self.settings.bound),
            )
            for one in contracts
        ]
        if not self._legs.begin(legs):
            return False
        self._say(profit * size, relation, contracts, Size(size))
        return True

    def _say(self, edge: int, relation: Relation, contracts: Sequence[Contract], size: Size) -> None:
        first = contracts[0].instrument
        legs = [
            f"{one.side.value} {one.instrument.symbol} at {one.instrument.price_text(one.price)}" for one in contracts
        ]
        self.desk.log(
            "buys a set that pays whatever happens",
            relation=relation.name,
            decided_by=first.event,
            size=first.size_text(size),
            legs=", ".join(legs),
            edge=format_scaled(edge, first.money_decimals),
            currency=first.quote_currency,
        )

    def _room(self, contract: Contract) -> int:
        """How much of a market may be traded: what is counted on, within the largest size and position."""
        most, held = contract.instrument.size, self.desk.position(contract.instrument.id).size
        room = most(self.settings.position_max) - contract.side.sign * held
        return max(min(contract.size, most(self.settings.size_max), room), 0)
