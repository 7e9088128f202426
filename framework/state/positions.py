"""Positions and their profit and loss, from fills and fees alone, in exact integers.

Average cost: closing a part of a position takes the same part of its cost, rounded towards zero, and the remainder
stays in the open part, so that no unit is ever lost; closing all takes all. At any time
`realised == cash + cost`, where cash is what sales brought less what purchases took. Binary markets speak of YES:
a position in NO is short, with negative size and cost.

What average cost realises depends on the order of the trades. A position is therefore a function of the *set* of its
fills in order of venue time, whatever the order in which they became known (I8).

Prices, sizes and money are integers, scaled by the instrument's decimals; money is a price times a size. A fee in the
base currency makes the position smaller, one in a third currency moves neither (`trade_of`). What a position is worth
by its book is computed from it (`profit_and_loss`) and changes nothing.
"""

from __future__ import annotations

from bisect import insort
from typing import NamedTuple

import msgspec

from framework.domain.account_events import Fill
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.market_events import MarkPrice
from framework.domain.numbers import Money, Price, Size, as_recorded
from framework.domain.views import BookView

TRADES_KEPT_MAX = 256
"""A position keeps between half and all of so many newest trades: a late one takes its place by venue time among them.
Older ones are only summed up."""


class Trade(msgspec.Struct, frozen=True, gc=False, order=True, array_like=True):
    """What a position keeps of a fill; the order of trades is that of the fields. `ts_ns` is venue time, `change` the
    signed size (buys > 0), `fee` money. `cost` is the signed money that it cost, None for `change` times `price`."""

    ts_ns: int
    fill_id: str
    change: int
    price: int
    fee: int
    cost: int | None = None


Amounts = tuple[int, int, int, int]
"""Signed size, cost, realised profit, fees."""

PositionSnapshot = tuple[tuple[int | str, int | str, int | str, int | str], list[Trade], int | None]
"""A position as it is written: amounts before the kept trades (as text where they pass 64 bits), the kept trades, the
settlement's price if any."""


class PositionsSnapshot(msgspec.Struct, array_like=True):
    """Every position that ever traded, and the prices of settlements, as they are written, in canonical order."""

    account: list[tuple[InstrumentId, PositionSnapshot]]
    strategies: list[tuple[str, InstrumentId, PositionSnapshot]]
    settled: list[tuple[InstrumentId, Price]]


def add_trade(amounts: Amounts, trade: Trade) -> Amounts:
    """The amounts after one more trade: average cost, realised when it closes."""
    size, cost, realised, fees = amounts
    change, fees = trade.change, fees + trade.fee
    value = change * trade.price if trade.cost is None else trade.cost
    if size == 0 or (size > 0) == (change > 0):
        return size + change, cost + value, realised, fees
    if abs(change) >= abs(size):
        closing = -_part_of(value, size, change)
        return size + change, value + closing, realised + closing - cost, fees
    taken = _part_of(cost, change, size)
    return size + change, cost - taken, realised - value - taken, fees


def _part_of(amount: int, size: int, whole: int) -> int:
    """The part of an amount that belongs to `size` of `whole`, rounded towards zero; their signs do not count."""
    part = abs(amount) * abs(size) // abs(whole)
    return part if amount >= 0 else -part


class Denomination(NamedTuple):
    """The currencies and scales in which an instrument is counted."""

    base_currency: str
    quote_currency: str
    settle_currency: str
    size_decimals: int
    money_decimals: int


def denomination_of(terms: Instrument | None) -> Denomination | None:
    """The currencies and scales of an instrument; None for one that is not defined."""
    if terms is None:
        return None
    currencies = (terms.base_currency, terms.quote_currency, terms.settle_currency)
    return Denomination(*currencies, terms.size_decimals, terms.money_decimals)


class Position:
    """One position with its profit and loss. Implements `PositionView`; written by `Positions` only.

    `size` is signed, `cost` what the open part was bought for, `realised` the profit before fees, `fees` the sum paid.
    `funding` is what funding brought (negative: paid); it follows from no trade and is kept by `CashFlows`.
    """

    __slots__ = ("_before", "_settled_at", "_trades", "cost", "fees", "funding", "realised", "size")

    def __init__(self, settled_at: Price | None = None) -> None:
        self.size, self.cost, self.realised, self.fees = Size(0), Money(0), Money(0), Money(0)
        self.funding = Money(0)
        self._before: Amounts = (0, 0, 0, 0)
        self._trades: list[Trade] = []
        self._settled_at = settled_at

    def unrealised_twice(self, mark_twice: int) -> Money:
        """Twice the profit that closing at the mark would realise; `mark_twice` is twice the mark price.

        Doubled because a mid price may lie on a half: divide by two at the edge, as a `Decimal`.
        """
        return Money(self.size * mark_twice - 2 * self.cost)

    def add(self, trade: Trade) -> None:
        """Take in a trade at its place by venue time. Once per fill: duplicates are not recognised here."""
        if self._trades and trade < self._trades[-1]:
            insort(self._trades, trade)
            self._refold()
        else:
            self._trades.append(trade)
            self._set(add_trade((self.size, self.cost, self.realised, self.fees), trade))
        if len(self._trades) > TRADES_KEPT_MAX:
            self._compact()

    def kept(self, fill_id: str) -> Trade | None:
        """The kept trade of this fill; None for one that is only summed up, or was never added."""
        return next((one for one in reversed(self._trades) if one.fill_id == fill_id), None)

    def remove(self, trade: Trade) -> None:
        """Take a trade out again: as if it had never been while it is kept, else by the opposite trade at its price."""
        if (kept := self.kept(trade.fill_id)) is not None:
            self._trades.remove(kept)
        else:
            self._before = add_trade(self._before, _opposite(trade))
        self._refold()

    def settle(self, value: Price) -> None:
        """Pay out the whole position at `value` per contract, also trades that become known later: size and cost are 0
        from now on."""
        self._settled_at = value
        self._refold()

    def snapshot(self) -> PositionSnapshot:
        """Everything that `from_snapshot` needs. The list of trades is the position's own: do not change it."""
        size, cost, realised, fees = map(as_recorded, self._before)
        return (size, cost, realised, fees), self._trades, self._settled_at

    @property
    def is_blank(self) -> bool:
        """Whether nothing was ever traded: such a position is left out of what is written."""
        return not self._trades and self._before == (0, 0, 0, 0)

    @classmethod
    def from_snapshot(cls, snapshot: PositionSnapshot) -> Position:
        """A position that goes on exactly like the one that `snapshot` was taken of."""
        position = cls()
        before, trades, settled_at = snapshot
        size, cost, realised, fees = map(int, before)
        position._before, position._trades = (size, cost, realised, fees), list(trades)
        position._settled_at = None if settled_at is None else Price(settled_at)
        position._refold()
        return position

    def __repr__(self) -> str:
        return f"Position(size={self.size}, cost={self.cost}, realised={self.realised}, fees={self.fees})"

    def _refold(self) -> None:
        amounts = self._before
        for trade in self._trades:
            amounts = add_trade(amounts, trade)
        self._set(amounts)

    def _set(self, amounts: Amounts) -> None:
        size, cost, realised, fees = amounts
        if self._settled_at is not None:
            size, cost, realised = 0, 0, realised + size * self._settled_at - cost
        self.size, self.cost = Size(size), Money(cost)
        self.realised, self.fees = Money(realised), Money(fees)

    def _compact(self) -> None:
        half = TRADES_KEPT_MAX // 2
        for trade in self._trades[:half]:
            self._before = add_trade(self._before, trade)
        del self._trades[:half]


class Positions:
    """Every position: of the account, and of each strategy. Account = strategies + fills of no known order."""

    def __init__(self) -> None:
        self._account: dict[InstrumentId, Position] = {}
        self._strategies: dict[tuple[str, InstrumentId], Position] = {}
        self.settled: dict[InstrumentId, Price] = {}

    def account(self, instrument: InstrumentId) -> Position:
        """The whole account's position; a flat one, which is not kept, when nothing was traded."""
        return self._account.get(instrument) or Position()

    def of_strategy(self, strategy: str, instrument: InstrumentId) -> Position:
        """One strategy's position; a flat one, which is not kept, when nothing was traded."""
        return self._strategies.get((strategy, instrument)) or Position()

    def own(self, instrument: InstrumentId, strategy: str) -> Position:
        """A strategy's position, or with '' the account's, kept from now on."""
        return self._own_strategy(strategy, instrument) if strategy else self._own_account(instrument)

    def accounts(self) -> tuple[tuple[InstrumentId, Position], ...]:
        """Every account position there ever was, in order of the instruments' names."""
        return tuple(sorted(self._account.items(), key=lambda item: item[0]))

    def strategies(self) -> tuple[tuple[tuple[str, InstrumentId], Position], ...]:
        """Every position of a strategy there ever was, in order of strategy and instrument."""
        return tuple(sorted(self._strategies.items(), key=lambda item: item[0]))

    def book(self, instrument: InstrumentId, trade: Trade) -> None:
        """Add a fill to the account's position. Once per fill: `Fills` recognises duplicates before."""
        self._own_account(instrument).add(trade)

    def attribute(self, instrument: InstrumentId, trade: Trade, strategy: str) -> None:
        """Add a fill to a strategy's position, once its order is known. The account's has it by `book`."""
        self._own_strategy(strategy, instrument).add(trade)

    def withdraw(self, instrument: InstrumentId, trade: Trade, strategy: str) -> None:
        """Take a fill out of a strategy's position: it was voided, or its order goes to another strategy."""
        self._own_strategy(strategy, instrument).remove(trade)

    def void(self, instrument: InstrumentId, trade: Trade, strategy: str | None) -> None:
        """Take a voided fill out of the account's position and, if it was attributed, out of the strategy's."""
        self._own_account(instrument).remove(trade)
        if strategy is not None:
            self.withdraw(instrument, trade, strategy)

    def settle(self, instrument: InstrumentId, value: Price) -> None:
        """Pay out every position in `instrument` at `value` per contract, also for fills that come later."""
        self.settled[instrument] = value
        self._own_account(instrument).settle(value)
        for (_, of), position in self._strategies.items():
            if of == instrument:
                position.settle(value)

    def purge(self, instrument: InstrumentId) -> list[tuple[str, int, int, int]]:
        """Forget every position in a settled instrument. Returns what each strategy realised in it, its fees and its
        funding, and under '' what belongs to none."""
        owners = [key for key in self._strategies if key[1] == instrument]
        found = [(key[0], *_results_of(self._strategies.pop(key))) for key in owners]
        realised, fees, funding = _results_of(self._account.pop(instrument, Position()))
        del self.settled[instrument]
        for _, of_realised, of_fees, of_funding in found:
            realised, fees, funding = realised - of_realised, fees - of_fees, funding - of_funding
        return [*found, ("", realised, fees, funding)] if realised or fees or funding else found

    def snapshot(self) -> PositionsSnapshot:
        """All positions that ever traded, in canonical order, for digest and snapshot."""
        return PositionsSnapshot(
            account=[(instrument, one.snapshot()) for instrument, one in self.accounts() if not one.is_blank],
            strategies=[(*key, one.snapshot()) for key, one in self.strategies() if not one.is_blank],
            settled=sorted(self.settled.items()),
        )

    @classmethod
    def from_snapshot(cls, snapshot: PositionsSnapshot) -> Positions:
        """Positions that go on exactly like those that `snapshot` was taken of."""
        positions = cls()
        positions._account = {instrument: Position.from_snapshot(one) for instrument, one in snapshot.account}
        positions._strategies = {(name, of): Position.from_snapshot(one) for name, of, one in snapshot.strategies}
        positions.settled = dict(snapshot.settled)
        return positions

    def _own_account(self, instrument: InstrumentId) -> Position:
        position = self._account.get(instrument)
        if position is None:
            position = self._account[instrument] = Position(self.settled.get(instrument))
        return position

    def _own_strategy(self, strategy: str, instrument: InstrumentId) -> Position:
        position = self._strategies.get((strategy, instrument))
        if position is None:
            position = self._strategies[strategy, instrument] = Position(self.settled.get(instrument))
        return position


def _results_of(position: Position) -> tuple[int, int, int]:
    return position.realised, position.fees, position.funding


def trade_of(fill: Fill, counted_in: Denomination | None) -> Trade:
    """What a position keeps of a fill. A fill without a venue time is placed by when it was received.

    A fee in another currency than the quote's is no money of the instrument: one in the base currency makes the
    position smaller. What has more digits than the scale is rounded against us.
    """
    sign, size, fee, cost = fill.side.sign, fill.side.sign * fill.size, int(fill.fee), fill.cost
    change = size
    if fill.fee_currency:
        # Of an instrument that is not defined it is not known whether the currency is its own: no money, no size.
        fee, taken = (0, 0) if counted_in is None else _fee_in(counted_in, fill)
        change, cost = size - taken, Money(fill.size * fill.price) if cost is None and taken else cost
    signed = None if cost is None else sign * cost
    return Trade(fill.ts_venue or fill.ts_recv, fill.fill_id, change, fill.price, fee, signed)


def _fee_in(counted_in: Denomination, fill: Fill) -> tuple[int, int]:
    """A fee in a currency of its own, as money of the instrument and as size of it."""
    if fill.fee_currency in (counted_in.quote_currency, counted_in.settle_currency):
        return _rescaled_up(fill.fee, fill.fee_decimals, counted_in.money_decimals), 0
    if fill.fee_currency == counted_in.base_currency:
        return 0, _rescaled_up(fill.fee, fill.fee_decimals, counted_in.size_decimals)
    return 0, 0


def _rescaled_up(amount: int, decimals: int, wanted: int) -> int:
    if wanted >= decimals:
        return int(amount * 10 ** (wanted - decimals))
    return -int(-amount // 10 ** (decimals - wanted))


def _opposite(trade: Trade) -> Trade:
    cost = None if trade.cost is None else -trade.cost
    return Trade(trade.ts_ns, trade.fill_id, -trade.change, trade.price, -trade.fee, cost)


class ProfitAndLoss(msgspec.Struct, frozen=True):
    """Realised and unrealised profit before fees, and the fees: money, scaled by the instrument's decimals.

    `mark` says at what the open position is valued: "mid" of a fresh book; where the other side of it is empty, the
    side that closing would trade with, "bid" for a long and "ask" for a short position; "venue" is the venue's own mark
    price of a perpetual; "" where there is none of them. Then
    `unrealised` is 0 and `is_marked` False, unless the position is flat.
    """

    realised: Money
    unrealised: Money
    fees: Money
    is_marked: bool
    mark: str = ""

    @property
    def net(self) -> Money:
        """Realised plus unrealised profit less fees, scaled as these."""
        return Money(self.realised + self.unrealised - self.fees)


def profit_and_loss(position: Position, book: BookView | None, mark_price: MarkPrice | None = None) -> ProfitAndLoss:
    """The profit and loss of a position at the venue's mark price, where it publishes one; else at the mid of its book,
    None for no book; of a one-sided book at the side that closing would trade with. A half unit is rounded down, so
    that a profit is never shown too high."""
    mark, mark_twice = mark_of(position.size, book) if book is not None and book.is_fresh else ("", None)
    if mark_price is not None:
        mark, mark_twice = "venue", 2 * mark_price.mark
    return ProfitAndLoss(
        realised=position.realised,
        unrealised=Money(position.unrealised_twice(mark_twice) // 2) if mark_twice is not None else Money(0),
        fees=position.fees,
        is_marked=mark_twice is not None or position.size == 0,
        mark=mark,
    )


def mark_of(size: Size, book: BookView) -> tuple[str, int | None]:
    """At what a position of this signed size is valued in a fresh book: "mid", "bid" or "ask", and twice that price;
    "" and None where there is none."""
    if book.mid_twice is not None:
        return "mid", book.mid_twice
    if size > 0 and book.ask is None and book.bid is not None:
        return "bid", 2 * book.bid
    if size < 0 and book.bid is None and book.ask is not None:
        return "ask", 2 * book.ask
    return "", None
