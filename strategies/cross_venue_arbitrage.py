"""Cross-venue arbitrage: buys where it is cheaper and sells the same amount where it is dearer, both at once.

Its two instruments are the same coin at two venues: spot at both, or a perpetual at one or both. With a the price that
the last unit is bought at, b that it is sold at, f the taker fees and c what funding may cost, a unit is worth it when

    b * (1 - r * f_sell - c_sell)  >=  a * (1 + r * f_buy + c_buy + edge_bps_min / 10,000)

Between two spot venues r is 1: coins and money have changed places, and the profit is made. With a perpetual it is 2:
the position must be closed one day, and its opening pays for that. So it is closed as soon as b >= a the other way
round. c is `funding_periods` times the venue's rate, where the position would pay; what it would receive is left out.

Where the two are quoted in different money, as USD here and USDC there, that is a position in these currencies, too. It
trades such a pair only if you say that you take them as equal (`currencies_as_equal`), and by how much the one may be
worth less than the other (`currency_haircut_bps`): of whatever it would receive so much is left out as a cost.

Books count only as far as they are fresh, `depth_percent` of each level. `strategies.legs` sends the two orders and
brings them to even.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor, lcm
from typing import ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from framework.domain.account_events import Fill
from framework.domain.instruments import FeeModel, Instrument, InstrumentKind
from framework.domain.market_events import ConnectorStatus, MarkPrice
from framework.domain.numbers import Price, Size, format_scaled
from framework.domain.orders import Order, Side
from framework.domain.ports import Desk
from framework.domain.strategy import Strategy
from framework.domain.views import BookView
from strategies.legs import LEVELS, Exact, Leg, LegSettings, LegTrader, is_tradable, refuse_digits

_NS_PER_MS = 1_000_000
_CHECK = "check"
_CHECK_MS = 250
_BPS = 10_000


class CrossVenueSettings(BaseModel):
    """What it trades and how far it goes. Sizes are exact decimals in coins, times in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_max: Exact = Field(gt=0, allow_inf_nan=False, description="Largest size of one trade, at each venue.")
    position_max: Exact = Field(
        gt=0, allow_inf_nan=False, description="Largest own position at each venue, long or short."
    )
    inventory: dict[str, Exact] = Field(
        {},
        description="Coins that the account holds for this strategy, by spot instrument: it may sell so much more than "
        "it bought there.",
    )
    edge_bps_min: int = Field(5, ge=0, description="Least profit after all fees, in hundredths of a percent.")
    bound_bps: int = Field(
        20, ge=0, description="A leg is completed or flattened at most so much worse, in hundredths of a percent."
    )
    depth_percent: int = Field(50, ge=1, le=100, description="So much of each level of a book is counted on.")
    currencies_as_equal: tuple[str, ...] = Field(
        (), description="Currencies that you take as worth the same, such as USD and USDC. Empty: none."
    )
    currency_haircut_bps: int | None = Field(
        None,
        ge=0,
        lt=_BPS,
        description="By so much one of them may be worth less than another, in hundredths of a percent: a cost where "
        "the two instruments are quoted in different ones.",
    )
    funding_periods: int = Field(3, ge=0, description="So many payments of funding are counted as costs.")
    mark_age_ms_max: int = Field(
        60_000, gt=0, description="No position is opened in a perpetual whose funding rate is older or not known."
    )
    rest_max: Exact = Field(
        Decimal(0), ge=0, allow_inf_nan=False, description="So much may stay uneven from trade to trade."
    )
    legs: LegSettings = Field(LegSettings(), description="How the two orders are sent and brought to even.")

    @model_validator(mode="after")
    def _states_the_haircut(self) -> Self:
        """Nobody but the user knows what a currency may be worth less: there is no default."""
        if self.currencies_as_equal and self.currency_haircut_bps is None:
            equal = ", ".join(self.currencies_as_equal)
            raise ValueError(
                f"currency_haircut_bps: missing with currencies_as_equal={equal}; say by how many hundredths of a "
                "percent one may be worth less than another, 0 for none"
            )
        return self


class Match(NamedTuple):
    """What can be traded at once: the size, the worst prices, and the sums of price times size, all as the pair counts:
    with the finer decimals of its two instruments."""

    size: int = 0
    ask: int = 0
    bid: int = 0
    cost: int = 0
    proceeds: int = 0

    def edge(self, low: Fraction, high: Fraction) -> int:
        """What is left of the proceeds times `low` after the cost times `high`, rounded down."""
        return floor(self.proceeds * low - self.cost * high)


class Venue(NamedTuple):
    """One of the two instruments, with the factors that bring its prices and sizes to the decimals of the pair."""

    instrument: Instrument
    price_factor: int
    size_factor: int

    def levels(self, book: BookView, side: Side, percent: int) -> list[tuple[int, int]]:
        """Prices and counted sizes of a side, best first, as the pair counts."""
        return [
            (price * self.price_factor, size * percent // 100 * self.size_factor)
            for price, size in book.depth(side, LEVELS)
        ]

    def size(self, value: Decimal) -> int:
        """A size of the settings as the pair counts. Raises `ValueError` when it has more digits than the venue's."""
        return self.instrument.size(value) * self.size_factor


def match(
    asks: Sequence[tuple[int, int]], bids: Sequence[tuple[int, int]], low: Fraction, high: Fraction, size_max: int
) -> Match:
    """Buy from the asks and sell to the bids, at most `size_max`, while `bid * low >= ask * high`."""
    asks, bids, found = list(asks), list(bids), Match()
    while asks and bids and found.size < size_max and bids[0][0] * low >= asks[0][0] * high:
        (ask, offered), (bid, wanted) = asks[0], bids[0]
        if size := min(offered, wanted, size_max - found.size):
            cost, proceeds = found.cost + size * ask, found.proceeds + size * bid
            found = Match(found.size + size, ask, bid, cost, proceeds)
        asks[:1] = [(ask, offered - size)] if offered > size else []
        bids[:1] = [(bid, wanted - size)] if wanted > size else []
    return found


def pair_of(one: Instrument, other: Instrument, currencies_as_equal: Sequence[str] = ()) -> tuple[Venue, Venue]:
    """The two instruments with their common decimals. Raises `ValueError` when they are not the same coin at two
    venues, for the same money or for two currencies that are taken as equal."""
    for each in (one, other):
        if each.kind is InstrumentKind.BINARY or each.fees.model is not FeeModel.PROPORTIONAL:
            raise ValueError(f"instruments: {each.id} is {each.kind.value}; give a spot market or a perpetual")
    if one.venue == other.venue:
        raise ValueError(f"instruments: {one.id} and {other.id} are at one venue; give one of each of two venues")
    for name in ("base_currency", "quote_currency"):
        ours, theirs = getattr(one, name), getattr(other, name)
        if not ours or not theirs or ours == theirs:
            continue
        is_money = name == "quote_currency"
        if not is_money or not {ours, theirs} <= set(currencies_as_equal):
            remedy = f', or set currencies_as_equal = ["{ours}", "{theirs}"]' if is_money else ""
            said = f"{name} of {one.id} is {ours}, of {other.id} {theirs}"
            raise ValueError(f"instruments: {said}; give two of the same{remedy}")
    prices, sizes = max(one.price_decimals, other.price_decimals), max(one.size_decimals, other.size_decimals)
    first, second = (
        Venue(each, 10 ** (prices - each.price_decimals), 10 ** (sizes - each.size_decimals)) for each in (one, other)
    )
    return first, second


def has_two_currencies(one: Instrument, other: Instrument) -> bool:
    """Whether they are quoted in different money. A venue that does not say in which is believed to have the same."""
    return bool(one.quote_currency and other.quote_currency and one.quote_currency != other.quote_currency)


class CrossVenueArbitrage(Strategy[CrossVenueSettings]):
    """Trades the same coin at two venues against each other, spot or perpetual."""

    Settings: ClassVar[type[CrossVenueSettings]] = CrossVenueSettings

    def __init__(self, name: str, settings: CrossVenueSettings, desk: Desk) -> None:
        super().__init__(name, settings, desk)
        self._legs = LegTrader(self, settings.legs)
        self._pair: tuple[Venue, Venue] | None = None

    def on_start(self) -> None:
        """Take up what was under way. Raises `ValueError` for instruments that are no pair, and for settings that do
        not fit them."""
        self._find_pair()
        self._legs.resume()
        self.on_timer(_CHECK)

    def on_instrument(self, instrument: Instrument) -> None:
        """One of the two has opened, or settled."""
        self._find_pair()

    def on_timer(self, name: str) -> None:
        """Look after the legs: what is held or late sends no event."""
        self._legs.look()
        self.desk.set_timer(_CHECK, after_ms=_CHECK_MS)

    def on_book(self, book: BookView) -> None:
        """Trade when the two books have crossed far enough."""
        self._consider()

    def on_mark(self, mark: MarkPrice) -> None:
        """Trade when a new funding rate allows it."""
        self._consider()

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Look after the legs: one of them has traded."""
        self._legs.look()

    def on_order(self, order: Order) -> None:
        """Look after the legs: the order of one may have ended."""
        self._legs.look()

    def on_connector(self, status: ConnectorStatus) -> None:
        """Look after the legs: a venue is up again, or down."""
        self._legs.look()

    def _find_pair(self) -> None:
        named = self.desk.instruments
        if len(named) > 2:
            raise ValueError(f"instruments: {', '.join(named)}; give two, one at each venue")
        self._pair = None
        if len(named) == 2:
            one, other = (self.desk.instrument(name) for name in named)
            self._pair = pair_of(one, other, self.settings.currencies_as_equal)
            self._check_settings(self._pair)
        else:
            self.desk.log("waits until both of its instruments are open", instruments=", ".join(named))

    def _check_settings(self, pair: tuple[Venue, Venue]) -> None:
        settings, spot = self.settings, [one for one in pair if one.instrument.kind is InstrumentKind.SPOT]
        for one in pair:
            refuse_digits(one.instrument, settings, sizes=("size_max", "position_max", "rest_max"), prices=())
        for name, value in settings.inventory.items():
            if name not in [one.instrument.id for one in spot]:
                raise ValueError(f"inventory: {name} is none of its spot instruments; name one of them or none")
            next(one for one in spot if one.instrument.id == name).size(value)

    def _consider(self) -> None:
        if self._pair is None or not self._legs.is_idle:
            return
        # Status and fees may have changed since the pair was found.
        first, second = (one._replace(instrument=self.desk.instrument(one.instrument.id)) for one in self._pair)
        books = {one: self._legs.book(one.instrument) for one in (first, second)}
        for buy, sell in ((first, second), (second, first)):
            if (low := books[buy]) is not None and (high := books[sell]) is not None:
                percent = self.settings.depth_percent
                asks, bids = buy.levels(low, Side.SELL, percent), sell.levels(high, Side.BUY, percent)
                if asks and bids and bids[0][0] >= asks[0][0] and self._trade(buy, sell, asks, bids):
                    return

    def _trade(self, buy: Venue, sell: Venue, asks: Sequence[tuple[int, int]], bids: Sequence[tuple[int, int]]) -> bool:
        """Send both legs, if the books are worth it after all costs; whether they were sent."""
        closing = self._held(buy, sell)
        costs = (Fraction(1), Fraction(1)) if closing else self._costs(buy.instrument, sell.instrument)
        if costs is None:
            return False
        low, high = costs
        least = high if closing else high + Fraction(self.settings.edge_bps_min, _BPS)
        room = min(buy.size(self.settings.size_max), closing or self._room(buy, sell))
        step = lcm(buy.instrument.lot * buy.size_factor, sell.instrument.lot * sell.size_factor)
        size = match(asks, bids, low, least, room).size // step * step
        found = match(asks, bids, low, least, size)
        legs = [self._leg(buy, Side.BUY, found.ask, size), self._leg(sell, Side.SELL, found.bid, size)]
        if not all(is_tradable(self.desk.instrument(leg.instrument), leg.price, leg.size) for leg in legs):
            return False
        if not self._legs.begin(legs):
            return False
        self._say(legs, found.edge(low, high), "closes" if closing else "opens")
        return True

    def _held(self, buy: Venue, sell: Venue) -> int:
        """How much of an earlier position the trade would close; 0 when it opens one, and between two spot markets."""
        if InstrumentKind.PERPETUAL not in (buy.instrument.kind, sell.instrument.kind):
            return 0
        short, long = (self.desk.position(one.instrument.id).size * one.size_factor for one in (buy, sell))
        return max(min(-short, long), 0)

    def _costs(self, buy: Instrument, sell: Instrument) -> tuple[Fraction, Fraction] | None:
        """What of the proceeds is left, and what the cost grows to, by fees, funding and the haircut of the currency;
        None while a rate is not known."""
        rounds = 2 if InstrumentKind.PERPETUAL in (buy.kind, sell.kind) else 1
        factors = []
        for instrument, side in ((sell, Side.SELL), (buy, Side.BUY)):
            funding = self._funding(instrument, side)
            if funding is None:
                return None
            factors.append(1 + side.sign * (rounds * Fraction(instrument.fees.taker_rate) + funding))
        haircut = Fraction(self.settings.currency_haircut_bps or 0, _BPS)
        return factors[0] - (haircut if has_two_currencies(buy, sell) else 0), factors[1]

    def _funding(self, instrument: Instrument, side: Side) -> Fraction | None:
        """What funding may cost of the position's value: nothing where it would be received."""
        if instrument.kind is not InstrumentKind.PERPETUAL:
            return Fraction(0)
        mark = self.desk.mark(instrument.id)
        oldest_ns = self.desk.now_ns - self.settings.mark_age_ms_max * _NS_PER_MS
        if mark is None or not mark.funding_rate or mark.ts_recv < oldest_ns:
            return None
        # Who is long pays a positive rate, who is short a negative one.
        return max(side.sign * Fraction(mark.funding_rate), Fraction(0)) * self.settings.funding_periods

    def _room(self, buy: Venue, sell: Venue) -> int:
        """How much more may be bought at one and sold at the other venue."""
        bought, sold = (self.desk.position(one.instrument.id).size * one.size_factor for one in (buy, sell))
        room = min(buy.size(self.settings.position_max) - bought, sell.size(self.settings.position_max) + sold)
        if sell.instrument.kind is InstrumentKind.SPOT:
            room = min(room, sell.size(self.settings.inventory.get(sell.instrument.id, Decimal(0))) + sold)
        return max(room, 0)

    def _leg(self, one: Venue, side: Side, price: int, size: int) -> Leg:
        own = Price(price // one.price_factor)
        return Leg(
            instrument=one.instrument.id,
            side=side,
            price=own,
            size=Size(size // one.size_factor),
            slip=Price(own * self.settings.bound_bps // _BPS),
            rest=one.instrument.size(self.settings.rest_max),
        )

    def _say(self, legs: Sequence[Leg], edge: int, doing: str) -> None:
        first, second = legs
        buy, sell = (self.desk.instrument(leg.instrument) for leg in legs)
        decimals = max(buy.price_decimals, sell.price_decimals) + max(buy.size_decimals, sell.size_decimals)
        self.desk.log(
            f"{doing} a position across venues",
            buy=f"{buy.size_text(first.size)} {buy.id} at {buy.price_text(first.price)}",
            sell=f"{sell.size_text(second.size)} {sell.id} at {sell.price_text(second.price)}",
            edge=format_scaled(edge, decimals),
            currency=buy.quote_currency,
        )
