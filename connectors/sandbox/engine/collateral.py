"""How a kind of market turns fills into cash and resting orders into reserves. One set of rules per market kind."""

from collections.abc import Callable, Iterable
from typing import Protocol

from connectors.sandbox.engine.fees import fee_bound
from connectors.sandbox.engine.model import MarketKind, MarketSpec, Order, Position, Side

Flows = dict[str, int]
"""Cash account or base asset -> signed change, or amount held back. Cash is money; a base asset counts in sizes."""


class Collateral(Protocol):
    """What a market kind must answer; `COLLATERAL` names the implementation of each.

    `net` is a signed position in sizes, +YES/-NO (spot: base bought minus sold).
    """

    def fill(self, spec: MarketSpec, position: Position, *, side: Side, price: int, size: int) -> Flows:
        """Apply a fill to `position` and return the signed balance changes without fees."""
        ...

    def reserve(self, spec: MarketSpec, orders: Iterable[Order], *, net: int) -> Flows:
        """What must be held back so that every resting order can fill, whatever fills first."""
        ...

    def reducible(self, net: int, side: Side) -> int:
        """Contracts that an order of `side` could take off the position; 0 when it could only add to it."""
        ...

    def funded(self, net: int, side: Side, *, size: int) -> int:
        """Contracts of an order whose fee needs cash of its own, because no proceeds of the fill cover it."""
        ...

    def settle(self, spec: MarketSpec, position: Position, *, value: int) -> int:
        """Close `position` at `value` per YES (price units); return the money paid out."""
        ...


def _opens_at(spec: MarketSpec, side: Side, *, price: int) -> int:
    return price if side == "bid" else spec.one - price


class BinaryCollateral:
    """Fully paid contracts: YES costs P, NO costs 1 - P; opposite fills net and release cash (vendor docs)."""

    def fill(self, spec: MarketSpec, position: Position, *, side: Side, price: int, size: int) -> Flows:
        """Close the opposite position first, open with the rest."""
        net = position.net
        held = abs(net)
        closing = min(size, self.reducible(net, side))
        opening_cost = (size - closing) * _opens_at(spec, side, price=price)
        proceeds = closing * (spec.one - _opens_at(spec, side, price=price))
        removed = position.cost * closing // held if closing else 0
        position.realized += proceeds - removed
        position.cost += opening_cost - removed
        position.net = net + size if side == "bid" else net - size
        position.traded += opening_cost + proceeds
        position.volume += size
        return {spec.cash_account: proceeds - opening_cost}

    def reserve(self, spec: MarketSpec, orders: Iterable[Order], *, net: int) -> Flows:
        """The opening cost of all bids and of all asks, beyond what merely closes the position.

        Both sides are held in full, and a resting order also reserves its maker fee: *assumptions*. That only one side
        can fill at a time would allow less, but the venue does not document it.
        """
        bids: list[Order] = []
        asks: list[Order] = []
        for order in orders:
            (bids if order.side == "bid" else asks).append(order)
        needed = _side_reserve(spec, bids, closable=max(0, -net), key=_best_bid_first)
        needed += _side_reserve(spec, asks, closable=max(0, net), key=_best_ask_first)
        return {spec.cash_account: needed}

    def reducible(self, net: int, side: Side) -> int:
        """A bid closes NO, an ask closes YES; nothing is closed beyond the present position."""
        return max(0, -net) if side == "bid" else max(0, net)

    def funded(self, net: int, side: Side, *, size: int) -> int:
        """A closing contract pays its fee from its proceeds, an opening one does not."""
        return max(0, size - self.reducible(net, side))

    def settle(self, spec: MarketSpec, position: Position, *, value: int) -> int:
        """YES pays `value`, NO pays 1 - `value`; only the net position is paid."""
        paid = position.net * value if position.net > 0 else -position.net * (spec.one - value)
        position.realized += paid - position.cost
        position.cost = 0
        position.net = 0
        return paid


def _best_bid_first(order: Order) -> tuple[int, int]:
    return (-order.price, order.sequence)


def _best_ask_first(order: Order) -> tuple[int, int]:
    return (order.price, order.sequence)


def _side_reserve(
    spec: MarketSpec, orders: list[Order], *, closable: int, key: Callable[[Order], tuple[int, int]]
) -> int:
    # What closes the position needs no cash. The orders that trade first close it, so they are counted first.
    needed = 0
    for order in sorted(orders, key=key) if closable and len(orders) > 1 else orders:
        closing = min(closable, order.remaining)
        closable -= closing
        opening = order.remaining - closing
        if opening:
            needed += opening * _opens_at(spec, order.side, price=order.price)
            needed += fee_bound(spec, order.price, size=opening, taker=False)
    return needed


class SpotCollateral:
    """Base is exchanged for quote: a bid pays quote, an ask delivers base. There is no position to settle."""

    def fill(self, spec: MarketSpec, position: Position, *, side: Side, price: int, size: int) -> Flows:
        """Exchange base for quote. `Position.cost` is the net quote paid so far; nothing is realized."""
        quote = -price * size if side == "bid" else price * size
        base = size if side == "bid" else -size
        position.net += base
        position.cost -= quote
        position.traded += price * size
        position.volume += size
        return {spec.cash_account: quote, spec.base: base}

    def reserve(self, spec: MarketSpec, orders: Iterable[Order], *, net: int) -> Flows:
        """Quote for the bids with their fees, base for the asks (their fee is taken from the proceeds)."""
        quote = base = 0
        for order in orders:
            if order.side == "bid":
                quote += order.price * order.remaining + fee_bound(spec, order.price, size=order.remaining, taker=False)
            else:
                base += order.remaining
        return {spec.cash_account: quote, spec.base: base}

    def reducible(self, net: int, side: Side) -> int:
        """What was bought can be sold and the other way round; deposits are no position."""
        return max(0, -net) if side == "bid" else max(0, net)

    def funded(self, net: int, side: Side, *, size: int) -> int:
        """All of a bid: a sale pays its fee from what it brings."""
        return size if side == "bid" else 0

    def settle(self, spec: MarketSpec, position: Position, *, value: int) -> int:
        """A spot market pays nothing at its end: the assets are already there."""
        return 0


COLLATERAL: dict[MarketKind, Collateral] = {"binary": BinaryCollateral(), "spot": SpotCollateral()}
"""The collateral rules by market kind."""
