"""Exposure, kept up to date step by step: a position and what could come on top of it in the worst case."""

from __future__ import annotations

from collections import Counter, defaultdict

from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.state.own_prices import OwnPrices

_NOTHING = (0, 0)

ExternalExposure = tuple[InstrumentId, Side, Size, Price]
"""What an external order may still add: in which instrument, on which side, how much and at which price (scaled)."""


class Exposure:
    """Position and open orders of the account or of a strategy in one instrument. Implements `ExposureView`.

    `position` is signed; `open_buy` and `open_sell` are the most that open orders may still add on either side, never
    negative; all scaled by the instrument's size_decimals. Written by `Exposures` only.
    """

    __slots__ = ("open_buy", "open_orders", "open_sell", "position")

    def __init__(self) -> None:
        self.position = Size(0)
        self.open_buy = Size(0)
        self.open_sell = Size(0)
        self.open_orders = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exposure) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        position, open_buy, open_sell, open_orders = self._key()
        return f"Exposure({position=}, {open_buy=}, {open_sell=}, {open_orders=})"

    def _key(self) -> tuple[int, int, int, int]:
        return self.position, self.open_buy, self.open_sell, self.open_orders

    def _count(self, side: Side, size: int, orders: int) -> None:
        if side is Side.BUY:
            self.open_buy += size  # type: ignore[assignment]  # a sum of sizes is one; calling it so costs time
        else:
            self.open_sell += size  # type: ignore[assignment]
        self.open_orders += orders


class Exposures:
    """The exposure in each instrument, of the account and of each strategy. Kept up to date by every change, because
    the gate reads it for every order (I17). External orders count in the account's. `own_prices` are the prices of the
    same orders."""

    def __init__(self) -> None:
        self.own_prices = OwnPrices()
        self._account: defaultdict[InstrumentId, Exposure] = defaultdict(Exposure)
        self._strategies: defaultdict[tuple[str, InstrumentId], Exposure] = defaultdict(Exposure)
        self._counted: dict[str, tuple[int, int]] = {}
        self._external: dict[tuple[str, str], ExternalExposure] = {}
        self._external_at: Counter[str] = Counter()

    def account(self, instrument: InstrumentId) -> Exposure:
        """The whole account's exposure; an empty one, not kept, when there is none."""
        return self._account.get(instrument) or Exposure()

    def of_strategy(self, strategy: str, instrument: InstrumentId) -> Exposure:
        """One strategy's exposure; an empty one, not kept, when there is none."""
        return self._strategies.get((strategy, instrument)) or Exposure()

    def count(self, order: Order, size: Size, *, is_open: bool) -> None:
        """Let an order count with `size`, and as one open order or none, instead of what it counted with before."""
        name, orders = order.client_order_id, int(is_open)
        size_before, orders_before = self._counted.get(name, _NOTHING)
        if size == size_before and orders == orders_before:
            return
        if size or orders:
            self._counted[name] = (size, orders)
        else:
            del self._counted[name]
        size_change, orders_change = size - size_before, orders - orders_before
        self._account[order.instrument]._count(order.side, size_change, orders_change)
        self._strategies[order.strategy, order.instrument]._count(order.side, size_change, orders_change)

    def uncount(self, order: Order) -> None:
        """Take out of both exposures whatever the order counted with."""
        size, orders = self._counted.pop(order.client_order_id, _NOTHING)
        self._account[order.instrument]._count(order.side, -size, -orders)
        self._strategies[order.strategy, order.instrument]._count(order.side, -size, -orders)

    def count_external(self, key: tuple[str, str], now: ExternalExposure | None) -> None:
        """Let the external order `key` (venue, venue order id) count as one open order with this, or, with None, not at
        all, instead of what it counted with before."""
        before = self._external.pop(key, None)
        if now is not None:
            self._external[key] = now
        for counted, sign in ((before, -1), (now, 1)):
            if counted is not None:
                instrument, side, size, _price = counted
                self._account[instrument]._count(side, sign * size, sign)
                self._external_at[key[0]] += sign
        self.own_prices.count_external(key, (now[0], now[1], now[3]) if now is not None and now[2] > 0 else None)

    def external_count(self, venue: str = "") -> int:
        """How many external orders are open: at a venue, or all of them."""
        return self._external_at[venue] if venue else len(self._external)

    def set_account_position(self, instrument: InstrumentId, size: Size) -> None:
        """Set the account's position: signed, scaled by the instrument's size_decimals."""
        self._account[instrument].position = size

    def set_strategy_position(self, strategy: str, instrument: InstrumentId, size: Size) -> None:
        """Set one strategy's position: signed, scaled by the instrument's size_decimals."""
        self._strategies[strategy, instrument].position = size

    def purge(self, instrument: InstrumentId) -> None:
        """Forget an instrument in which nothing is held or open."""
        self._account.pop(instrument, None)
        self.own_prices.purge(instrument)
        for key in [key for key in self._strategies if key[1] == instrument]:
            del self._strategies[key]
