"""Positions and their profit and loss, from fills and fees alone, in exact integers.

Average cost: closing a part of a position takes the same part of its cost, rounded towards zero, and the remainder
stays in the open part, so that no unit is ever lost; closing all takes all. At any time
`realised == cash + cost`, where cash is what sales brought less what purchases took. Binary markets speak of YES:
a position in NO is short, with negative size and cost.

What average cost realises depends on the order of the trades. A position is therefore a function of the *set* of its
fills in order of venue time, whatever the order in which they became known (I8).

Prices, sizes and money are integers, scaled by the instrument's decimals; money is a price times a size. What a
position is worth by its book is computed from it (`profit_and_loss`) and changes nothing.
"""

from __future__ import annotations

from bisect import insort

import msgspec

from framework.domain.account_events import Fill
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Money, Price, Size
from framework.domain.views import BookView

TRADES_KEPT_MAX = 256
"""A position keeps between half and all of so many newest trades: a late one takes its place by venue time among them.
Older ones are only summed up."""

Trade = tuple[int, str, int, int, int]
"""Venue time in nanoseconds, fill id, signed size (buys > 0), price, fee: the order of trades is that of these."""
Amounts = tuple[int, int, int, int]
"""Signed size, cost, realised profit, fees."""

PositionSnapshot = tuple[Amounts, list[Trade], int | None]
"""A position as it is written: amounts before the kept trades, the kept trades, the settlement's price if any."""


class PositionsSnapshot(msgspec.Struct, array_like=True):
    """Every position that ever traded, and the prices of settlements, as they are written, in canonical order."""

    account: list[tuple[InstrumentId, PositionSnapshot]]
    strategies: list[tuple[str, InstrumentId, PositionSnapshot]]
    settled: list[tuple[InstrumentId, Price]]


def add_trade(amounts: Amounts, change: int, price: int, fee: int) -> Amounts:
    """The amounts after one more trade of signed size `change` at `price`: average cost, realised when it closes."""
    size, cost, realised, fees = amounts
    if size == 0 or (size > 0) == (change > 0):
        return size + change, cost + change * price, realised, fees + fee
    if abs(change) >= abs(size):
        left = size + change
        return left, left * price, realised + size * price - cost, fees + fee
    part = abs(cost) * abs(change) // abs(size)
    taken = part if cost >= 0 else -part
    return size + change, cost - taken, realised - change * price - taken, fees + fee


class Position:
    """One position with its profit and loss. Implements `PositionView`; written by `Positions` only.

    `size` is signed, `cost` what the open part was bought for, `realised` the profit before fees, `fees` the sum paid.
    """

    __slots__ = ("_before", "_settled_at", "_trades", "cost", "fees", "realised", "size")

    def __init__(self, settled_at: Price | None = None) -> None:
        self.size, self.cost, self.realised, self.fees = Size(0), Money(0), Money(0), Money(0)
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
            self._set(add_trade((self.size, self.cost, self.realised, self.fees), *trade[2:]))
        if len(self._trades) > TRADES_KEPT_MAX:
            self._compact()

    def remove(self, trade: Trade) -> None:
        """Take a trade out again: as if it had never been while it is kept, else by the opposite trade at its price."""
        if trade in self._trades:
            self._trades.remove(trade)
        else:
            self._before = add_trade(self._before, -trade[2], trade[3], -trade[4])
        self._refold()

    def settle(self, value: Price) -> None:
        """Pay out the whole position at `value` per contract, also trades that become known later: size and cost are 0
        from now on."""
        self._settled_at = value
        self._refold()

    def snapshot(self) -> PositionSnapshot:
        """Everything that `from_snapshot` needs. The list of trades is the position's own: do not change it."""
        return self._before, self._trades, self._settled_at

    @property
    def is_blank(self) -> bool:
        """Whether nothing was ever traded: such a position is left out of what is written."""
        return not self._trades and self._before == (0, 0, 0, 0)

    @classmethod
    def from_snapshot(cls, snapshot: PositionSnapshot) -> Position:
        """A position that goes on exactly like the one that `snapshot` was taken of."""
        position = cls()
        before, trades, settled_at = snapshot
        position._before, position._trades = before, list(trades)
        position._settled_at = None if settled_at is None else Price(settled_at)
        position._refold()
        return position

    def __repr__(self) -> str:
        return f"Position(size={self.size}, cost={self.cost}, realised={self.realised}, fees={self.fees})"

    def _refold(self) -> None:
        amounts = self._before
        for trade in self._trades:
            amounts = add_trade(amounts, *trade[2:])
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
            self._before = add_trade(self._before, *trade[2:])
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

    def accounts(self) -> tuple[tuple[InstrumentId, Position], ...]:
        """Every account position there ever was, in order of the instruments' names."""
        return tuple(sorted(self._account.items(), key=lambda item: item[0]))

    def strategies(self) -> tuple[tuple[tuple[str, InstrumentId], Position], ...]:
        """Every position of a strategy there ever was, in order of strategy and instrument."""
        return tuple(sorted(self._strategies.items(), key=lambda item: item[0]))

    def book(self, fill: Fill) -> None:
        """Add a fill to the account's position. Once per fill: `Fills` recognises duplicates before."""
        self._own_account(fill.instrument).add(trade_of(fill))

    def attribute(self, fill: Fill, strategy: str) -> None:
        """Add a fill to a strategy's position, once its order is known. The account's has it by `book`."""
        self._own_strategy(strategy, fill.instrument).add(trade_of(fill))

    def withdraw(self, fill: Fill, strategy: str) -> None:
        """Take a fill out of a strategy's position: it was voided, or its order goes to another strategy."""
        self._own_strategy(strategy, fill.instrument).remove(trade_of(fill))

    def void(self, fill: Fill, strategy: str | None) -> None:
        """Take a voided fill out of the account's position and, if it was attributed, out of the strategy's."""
        self._own_account(fill.instrument).remove(trade_of(fill))
        if strategy is not None:
            self.withdraw(fill, strategy)

    def settle(self, instrument: InstrumentId, value: Price) -> None:
        """Pay out every position in `instrument` at `value` per contract, also for fills that come later."""
        self.settled[instrument] = value
        self._own_account(instrument).settle(value)
        for (_, of), position in self._strategies.items():
            if of == instrument:
                position.settle(value)

    def purge(self, instrument: InstrumentId) -> list[tuple[str, int, int]]:
        """Forget every position in a settled instrument. Returns what each strategy realised in it and its fees, and
        under '' what belongs to none."""
        owners = [key for key in self._strategies if key[1] == instrument]
        found = [(key[0], one.realised, one.fees) for key in owners for one in (self._strategies.pop(key),)]
        whole = self._account.pop(instrument, Position())
        del self.settled[instrument]
        rest = (whole.realised - sum(one[1] for one in found), whole.fees - sum(one[2] for one in found))
        return [*found, ("", *rest)] if any(rest) else [*found]

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


def trade_of(fill: Fill) -> Trade:
    """What a position keeps of a fill. A fill without a venue time is placed by when it was received."""
    return fill.ts_venue or fill.ts_recv, fill.fill_id, fill.side.sign * fill.size, fill.price, fill.fee


class ProfitAndLoss(msgspec.Struct, frozen=True):
    """Realised and unrealised profit before fees, and the fees: money, scaled by the instrument's decimals.

    `mark` says at what the open position is valued: "mid" of a fresh book; where the other side of it is empty, the
    side that closing would trade with, "bid" for a long and "ask" for a short position; "" where there is neither. Then
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


def profit_and_loss(position: Position, book: BookView | None) -> ProfitAndLoss:
    """The profit and loss of a position at the mid of its book, None for no book; of a one-sided book at the side that
    closing would trade with. A half unit is rounded down, so that a profit is never shown too high."""
    mark, mark_twice = mark_of(position.size, book) if book is not None and book.is_fresh else ("", None)
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
