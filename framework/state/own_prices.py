"""The prices at which the account's own orders may still trade, best first: what a new order must not meet (C12)."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict

from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price
from framework.domain.orders import Order, Side
from framework.domain.views import OwnPrice

_Level = tuple[int, str, bool]
"""How good a price is for the other side, smallest first; the order's name; whether it is one of ours to cancel."""


class OwnPrices:
    """One price of each own order of all strategies that may still trade: working, in flight, unknown, and open orders
    at the venue that are not ours. While an amend is not answered, it is the price that is better for the other side.

    Kept up to date by every change, because the gate reads it for every order (I16).
    """

    def __init__(self) -> None:
        self._buys: defaultdict[InstrumentId, list[_Level]] = defaultdict(list)
        self._sells: defaultdict[InstrumentId, list[_Level]] = defaultdict(list)
        self._counted: dict[str | tuple[str, str], tuple[list[_Level], _Level]] = {}

    def count(self, order: Order, *, may_trade: bool) -> None:
        """Let an order count with its price of now, or, when it can't trade any more, not at all."""
        name, price, asked = order.client_order_id, order.price, order.amend_price
        if order.side is Side.BUY:
            rank = -price if asked is None or asked < price else -asked
        else:
            rank = price if asked is None or asked > price else asked
        before = self._counted.get(name)
        if before is not None:
            if may_trade and before[1][0] == rank:
                return
            before[0].remove(before[1])
            del self._counted[name]
        if may_trade:
            self._counted[name] = self._insert(order.instrument, order.side, (rank, name, True))

    def count_external(self, key: tuple[str, str], now: tuple[InstrumentId, Side, Price] | None) -> None:
        """Let the external order `key` (venue, venue order id) count with this price, or, with None, not at all."""
        if (before := self._counted.pop(key, None)) is not None:
            before[0].remove(before[1])
        if now is not None:
            instrument, side, price = now
            level = (-price if side is Side.BUY else price, "/".join(key), False)
            self._counted[key] = self._insert(instrument, side, level)

    def met_by(self, instrument: InstrumentId, side: Side, price: Price, /) -> tuple[OwnPrice, ...]:
        """The own orders of the other side that an order of `side` at `price` could trade with, best first."""
        if side is Side.BUY:
            levels, rank = self._sells.get(instrument), int(price)
        else:
            levels, rank = self._buys.get(instrument), -price
        if not levels or levels[0][0] > rank:
            return ()
        met = levels[: bisect_right(levels, rank, key=lambda level: level[0])]
        return tuple(OwnPrice(Price(abs(rank)), name if is_ours else "") for rank, name, is_ours in met)

    def purge(self, instrument: InstrumentId) -> None:
        """Forget an instrument in which nothing is open."""
        self._buys.pop(instrument, None)
        self._sells.pop(instrument, None)

    def _insert(self, instrument: InstrumentId, side: Side, level: _Level) -> tuple[list[_Level], _Level]:
        levels = (self._buys if side is Side.BUY else self._sells)[instrument]
        insort(levels, level)
        return levels, level
