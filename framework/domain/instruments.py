"""Instruments: what is traded, on which grid, at what cost."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import NewType

import msgspec

from framework.domain.numbers import DECIMALS_MAX, Money, Price, Size, format_scaled, parse_scaled, to_decimal

InstrumentId = NewType("InstrumentId", str)
"""`venue:symbol`, for example `kalshi:KXTIDE-26NOV21-B25`. `venue` is the connector's name in the configuration."""


class InstrumentKind(Enum):
    """What a contract is; decides collateral, complement and settlement."""

    BINARY = "binary"
    """Pays one unit of the quote currency, a part of it, or nothing; prices lie strictly inside (0, 1)."""
    SPOT = "spot"
    PERPETUAL = "perpetual"


class InstrumentStatus(Enum):
    """Stages of an instrument, in order. The allow-list lets new orders and amends through in ACTIVE only."""

    UNOPENED = "unopened"
    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"
    SETTLED = "settled"

    @property
    def is_over(self) -> bool:
        """Whether nothing trades in it any more: its book stands as it last was, and nothing proves it again."""
        return self in (InstrumentStatus.CLOSED, InstrumentStatus.SETTLED)


class FeeModel(Enum):
    """How a fee follows from price and size."""

    PROPORTIONAL = "proportional"
    """rate x price x size."""
    QUADRATIC = "quadratic"
    """rate x price x (1 - price) x size: binary markets."""


class FeeSchedule(msgspec.Struct, frozen=True, gc=False):
    """Rates of an instrument. Rates are exact decimals as text (`"0.07"`), so that they survive serialisation."""

    model: FeeModel = FeeModel.PROPORTIONAL
    taker_rate: str = "0"
    maker_rate: str = "0"


class StrikeRange(msgspec.Struct, frozen=True, gc=False):
    """The outcomes for which a binary market pays: from `low` to `high`, exact decimals as text, empty where there is
    no such bound. `includes_low` and `includes_high` say whether the bound itself is one of them."""

    low: str = ""
    high: str = ""
    includes_low: bool = False
    includes_high: bool = False


class TickBand(msgspec.Struct, frozen=True, gc=False):
    """Prices from `start` to `end` (both included) lie on multiples of `step` counted from `start`."""

    start: Price
    end: Price
    step: Price


NOTIONAL_LIMIT = 2**62
"""An order's price times its size must stay below: records hold 64 bits with a sign, and amounts are added up."""

SIZE_MAX_DEFAULT = 1
"""So many whole units must fit where an instrument's largest order is not known."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One tradable contract. Immutable: a change of status or grid is a new `Instrument`.

    `tick_bands` are in ascending order without gaps. `lot` is the granularity of sizes, `size_min` the smallest
    order, `notional_min` the smallest order value (0 = none). `close_ns` and `settle_ns` are wall times
    (0 = none). `shard` is the venue's own partition of its engine, if it has any.

    `size_max` is the largest order (0 = not known). Of a perpetual: `leverage_max` (0 = not known),
    `maintenance_margin` as a part of the position's value, and `settle_currency`, in which profit is paid.
    `price_deviation_max` is how far from the last price an order may be, as a part of it. Rates are exact decimals as
    text, empty where they are not known.

    Of a binary market: `event` is the venue's name of the event that decides it (empty = not known), `is_exclusive`
    says that at most one market of that event pays, `strike` for which outcomes this one does. Strikes of one event are
    about the same figure; a market of another one has no `strike`.

    Raises `ValueError` when an order at the highest price and of the largest size (or of one unit where
    that is not known) is worth more than the integers of a record can hold, and for decimals below 0 or that add up to
    more than 24.
    """

    id: InstrumentId
    venue: str
    symbol: str
    kind: InstrumentKind
    price_decimals: int
    size_decimals: int
    tick_bands: tuple[TickBand, ...]
    lot: Size = Size(1)
    size_min: Size = Size(1)
    notional_min: Money = Money(0)
    base_currency: str = ""
    quote_currency: str
    fees: FeeSchedule = FeeSchedule()
    status: InstrumentStatus = InstrumentStatus.ACTIVE
    close_ns: int = 0
    settle_ns: int = 0
    shard: int = 0
    size_max: Size = Size(0)
    leverage_max: int = 0
    maintenance_margin: str = ""
    settle_currency: str = ""
    price_deviation_max: str = ""
    event: str = ""
    is_exclusive: bool = False
    strike: StrikeRange | None = None

    def __post_init__(self) -> None:
        self._refuse_scales(max(self.price_decimals, self.size_decimals))
        size_max = self.size_max or SIZE_MAX_DEFAULT * 10**self.size_decimals
        price_max = self.tick_bands[-1].end if self.tick_bands else 0
        if price_max * size_max >= NOTIONAL_LIMIT:
            raise ValueError(
                f"{self.id}: a price of {price_max} (price_decimals={self.price_decimals}) times a size of {size_max} "
                f"(size_decimals={self.size_decimals}) passes 2^62; take the scales from tick and step"
            )
        self._refuse_scales(self.money_decimals)

    def _refuse_scales(self, most: int) -> None:
        if most > DECIMALS_MAX or min(self.price_decimals, self.size_decimals) < 0:
            raise ValueError(
                f"{self.id}: price_decimals={self.price_decimals} and size_decimals={self.size_decimals} must not be "
                f"below 0, nor add up to more than {DECIMALS_MAX}; take the scales from tick and step"
            )

    @property
    def money_decimals(self) -> int:
        """Decimals of `Money` amounts of this instrument: price and size decimals added, as `price * size` needs."""
        return self.price_decimals + self.size_decimals

    @property
    def unit(self) -> Price:
        """The price 1 as a scaled integer: what the winning side of a binary contract is paid."""
        return Price(10**self.price_decimals)

    def price(self, value: str | int | Decimal) -> Price:
        """An exact price, scaled by `price_decimals`, from a decimal: `price("0.56")`. The grid is not checked.

        Raises `ValueError` for a float, for what is no finite decimal number, and for more digits than the scale has.
        """
        return Price(parse_scaled(value, self.price_decimals, field=f"{self.id} price"))

    def size(self, value: str | int | Decimal) -> Size:
        """An exact size, scaled by `size_decimals`, from a decimal number of contracts or coins: `size(10)` is ten.

        Raises `ValueError` like `price`.
        """
        return Size(parse_scaled(value, self.size_decimals, field=f"{self.id} size"))

    def amount(self, value: str | int | Decimal) -> Money:
        """An exact amount, scaled by `money_decimals`, from a decimal of the quote currency: `amount("25.50")`.

        Raises `ValueError` like `price`.
        """
        return Money(parse_scaled(value, self.money_decimals, field=f"{self.id} amount"))

    def price_text(self, price: Price) -> str:
        """A price as plain digits with all `price_decimals`: `"0.5600"` for 5600 at four decimals."""
        return format_scaled(price, self.price_decimals)

    def size_text(self, size: Size) -> str:
        """A size as plain digits with all `size_decimals`: `"10.00"` for 1000 at two decimals."""
        return format_scaled(size, self.size_decimals)

    def money(self, amount: Money) -> Decimal:
        """An amount, scaled by `money_decimals`, as an exact decimal in the quote currency."""
        return to_decimal(amount, self.money_decimals)

    def complement_price(self, price: Price) -> Price:
        """The NO price of a YES price and the reverse. Raises `ValueError` unless the instrument is binary."""
        if self.kind is not InstrumentKind.BINARY:
            raise ValueError(f"{self.id}: only binary instruments have a complement, this one is {self.kind.value}")
        return Price(self.unit - price)

    def is_on_grid(self, price: Price) -> bool:
        """Whether an order may rest at `price` (scaled): inside a tick band, on its grid; on a binary market also
        strictly between 0 and 1."""
        if self.kind is InstrumentKind.BINARY and not 0 < price < self.unit:
            return False
        if price <= 0:
            return False
        for band in self.tick_bands:
            if band.start <= price <= band.end and (price - band.start) % band.step == 0:
                return True
        return False

    def tick_at(self, price: Price) -> Price:
        """The grid's step around `price`, both scaled; the finer one where two bands meet.

        Raises `ValueError` when the price lies outside every band.
        """
        steps = [band.step for band in self.tick_bands if band.start <= price <= band.end]
        if not steps:
            raise ValueError(f"{self.id}: price {self.price_text(price)} lies outside every tick band")
        return min(steps)

    @property
    def price_max(self) -> Price:
        """The highest price (scaled) inside the grid's outer bounds: on a binary market below 1. It need not be on the
        grid; `round_down` of it is."""
        end = self.tick_bands[-1].end
        return Price(min(end, self.unit - 1)) if self.kind is InstrumentKind.BINARY else end

    def round_down(self, price: Price) -> Price:
        """The highest grid price at or below `price`, both scaled: use it for bids. Raises `ValueError` below the
        grid."""
        for band in reversed(self.tick_bands):
            top = min(price, band.end, self.price_max)
            floor = Price(top - (top - band.start) % band.step)
            if floor >= band.start and self.is_on_grid(floor):
                return floor
        raise ValueError(f"{self.id}: no grid price at or below {self.price_text(price)}")

    def round_up(self, price: Price) -> Price:
        """The lowest grid price at or above `price`, both scaled: use it for asks. Raises `ValueError` above the
        grid."""
        for band in self.tick_bands:
            bottom = max(price, band.start, 1)
            ceiling = Price(bottom + (band.start - bottom) % band.step)
            if ceiling <= band.end and self.is_on_grid(ceiling):
                return ceiling
        raise ValueError(f"{self.id}: no grid price at or above {self.price_text(price)}")


def instrument_id(venue: str, symbol: str) -> InstrumentId:
    """The identifier of a venue's `symbol`: `venue:symbol`, where `venue` is the connector's name in the
    configuration."""
    return InstrumentId(f"{venue}:{symbol}")
