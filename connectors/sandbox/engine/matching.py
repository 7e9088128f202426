"""A price-time priority book of one market: what rests, in which order, and which order trades next.

Prices and sizes are in the market's units. The book keeps no balances and emits no events.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator

from connectors.sandbox.engine.model import Order, Side


def opposite(side: Side) -> Side:
    """The side an order of `side` trades against."""
    return "ask" if side == "bid" else "bid"


class Level:
    """One price: its orders by id, in queue order, and the sum of their remaining sizes."""

    __slots__ = ("orders", "total")

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.total = 0


class Book:
    """Resting orders of one market.

    Prices are YES prices on both sides. Within a price the oldest entry is first; `add` puts an order at the back.
    The caller changes `Order.remaining` only through `reduce`, so level totals stay true.
    """

    def __init__(self) -> None:
        self._prices: dict[Side, list[int]] = {"bid": [], "ask": []}
        self._levels: dict[Side, dict[int, Level]] = {"bid": {}, "ask": {}}

    def best(self, side: Side) -> int | None:
        """The highest bid or the lowest ask; None when the side is empty."""
        prices = self._prices[side]
        if not prices:
            return None
        return prices[-1] if side == "bid" else prices[0]

    def crosses(self, side: Side, price: int) -> bool:
        """Whether an order of `side` at `price` would trade at once."""
        best = self.best(opposite(side))
        if best is None:
            return False
        return price >= best if side == "bid" else price <= best

    def head(self, side: Side) -> Order | None:
        """The order of `side` that trades first; None when the side is empty."""
        best = self.best(side)
        if best is None:
            return None
        return next(iter(self._levels[side][best].orders.values()))

    def add(self, order: Order) -> int:
        """Let `order` rest at the back of its price; return the level's new total."""
        levels = self._levels[order.side]
        level = levels.get(order.price)
        if level is None:
            level = levels[order.price] = Level()
            insort(self._prices[order.side], order.price)
        level.orders[order.order_id] = order
        level.total += order.remaining
        return level.total

    def reduce(self, order: Order, size: int) -> int:
        """Take `size` contracts off a resting order, keeping its place; at zero it leaves. Return the level's total."""
        level = self._levels[order.side][order.price]
        order.remaining -= size
        level.total -= size
        if order.remaining == 0:
            self._leave(order, level)
        return level.total

    def remove(self, order: Order) -> int:
        """Take a resting order out, leaving its `remaining` as it is; return the level's new total."""
        level = self._levels[order.side][order.price]
        level.total -= order.remaining
        self._leave(order, level)
        return level.total

    def _leave(self, order: Order, level: Level) -> None:
        del level.orders[order.order_id]
        if not level.orders:
            del self._levels[order.side][order.price]
            prices = self._prices[order.side]
            del prices[bisect_left(prices, order.price)]

    def levels(self, side: Side, depth: int = 0) -> list[tuple[int, int]]:
        """(price, total size) from the best price away, at most `depth` of them; `depth` 0 means all."""
        levels = self._levels[side]
        prices = self._prices[side]
        ordered = prices[::-1] if side == "bid" else prices
        return [(price, levels[price].total) for price in (ordered[:depth] if depth else ordered)]

    def total(self, side: Side, price: int) -> int:
        """Contracts resting at one price of a side; 0 when none do."""
        level = self._levels[side].get(price)
        return 0 if level is None else level.total

    def orders(self, side: Side) -> Iterator[Order]:
        """Every resting order of a side in the order in which they would trade."""
        levels = self._levels[side]
        ordered = reversed(self._prices[side]) if side == "bid" else iter(self._prices[side])
        for price in ordered:
            yield from levels[price].orders.values()

    def queue_ahead(self, order: Order) -> int:
        """Contracts that trade before a resting order: all better prices and the older orders at its own price."""
        ahead = 0
        for other in self.orders(order.side):
            if other.order_id == order.order_id:
                break
            ahead += other.remaining
        return ahead

    def takeable(self, taker: Order, closable: Callable[[Order], int]) -> Iterator[tuple[int, int]]:
        """(price, size) of what `taker` would get at once, best first, without regard to its own size.

        Its self-trade prevention is minded, and that a resting reduce-only order trades no more than `closable` says,
        less what the orders before it take off the same position.
        """
        taken: dict[str, int] = {}
        for maker in self.orders(opposite(taker.side)):
            within = maker.price <= taker.price if taker.side == "bid" else maker.price >= taker.price
            if not within or (maker.account == taker.account and taker.self_trade == "taker_at_cross"):
                return
            if maker.account == taker.account and taker.self_trade == "maker":
                continue
            before = taken.get(maker.account, 0)
            size = min(maker.remaining, max(0, closable(maker) - before)) if maker.reduce_only else maker.remaining
            taken[maker.account] = before + size
            if size:
                yield maker.price, size
