"""How a kind of market turns fills into cash and resting orders into reserves. One set of rules per market kind."""

from collections.abc import Callable, Iterable
from typing import Protocol

from connectors.sandbox.engine.fees import fee_bound
from connectors.sandbox.engine.model import MarketKind, MarketSpec, Order, Position, Side

Flows = dict[str, int]
"""Cash account or base asset -> signed change, or amount held back. Cash is money; a base asset counts in sizes."""


class Collateral(Protocol):
    """What a market kind must answer; `COLLATERAL` names the implementation of each.

    `net` is a signed position in sizes, +YES/-NO (spot: base bought minus sold; perpetual: long minus short).
    """

    def fill(self, spec: MarketSpec, position: Position, *, side: Side, price: int, size: int) -> Flows:
        """Apply a fill to `position` and return the signed balance changes without fees."""
        ...

    def reserve(self, spec: MarketSpec, orders: Iterable[Order], *, position: Position) -> Flows:
        """What must be held back: for the position, and so that every resting order can fill, whatever fills first."""
        ...

    def reducible(self, net: int, side: Side) -> int:
        """Contracts that an order of `side` could take off the position; 0 when it could only add to it."""
        ...

    def funded(self, spec: MarketSpec, net: int, side: Side, *, size: int) -> int:
        """Contracts of an order whose fee needs cash of its own, because no proceeds of the fill cover it."""
        ...

    def settle(self, spec: MarketSpec, position: Position, *, value: int) -> int:
        """Close `position` at `value` per YES (price units); return the money paid out."""
        ...

    def traded(self, spec: MarketSpec, position: Position) -> Flows:
        """What the trades and settlements of `position` have changed in the account's balances so far, without fees."""
        ...

    def held(self, spec: MarketSpec, positions: Iterable[Position]) -> int:
        """Money that the open positions of all accounts hold together: paid in, and to be paid out again."""
        ...


def _opening_cost(spec: MarketSpec, side: Side, *, price: int, size: int) -> int:
    return size * (price if side == "bid" else spec.one - price)


def _reducible(net: int, side: Side) -> int:
    return max(0, -net) if side == "bid" else max(0, net)


class BinaryCollateral:
    """Fully paid contracts: YES costs P, NO costs 1 - P; opposite fills net and release cash (vendor docs)."""

    def fill(self, spec: MarketSpec, position: Position, *, side: Side, price: int, size: int) -> Flows:
        """Close the opposite position first, open with the rest."""
        net = position.net
        held = abs(net)
        closing = min(size, self.reducible(net, side))
        opening_cost = _opening_cost(spec, side, price=price, size=size - closing)
        proceeds = closing * spec.one - _opening_cost(spec, side, price=price, size=closing)
        removed = position.cost * closing // held if closing else 0
        position.realized += proceeds - removed
        position.cost += opening_cost - removed
        position.net = net + size if side == "bid" else net - size
        position.traded += opening_cost + proceeds
        position.volume += size
        return {spec.cash_account: proceeds - opening_cost}

    def reserve(self, spec: MarketSpec, orders: Iterable[Order], *, position: Position) -> Flows:
        """The opening cost of all bids and of all asks, beyond what merely closes the position.

        Both sides are held in full, and a resting order also reserves its maker fee: *assumptions*. That only one side
        can fill at a time would allow less, but the venue does not document it.
        """

        def opening_cost(order: Order, size: int) -> int:
            return _opening_cost(spec, order.side, price=order.price, size=size)

        return {spec.cash_account: _orders_reserve(spec, orders, net=position.net, opening_cost=opening_cost)}

    def reducible(self, net: int, side: Side) -> int:
        """A bid closes NO, an ask closes YES; nothing is closed beyond the present position."""
        return _reducible(net, side)

    def funded(self, spec: MarketSpec, net: int, side: Side, *, size: int) -> int:
        """A closing contract pays its fee from its proceeds, an opening one does not."""
        return max(0, size - self.reducible(net, side))

    def settle(self, spec: MarketSpec, position: Position, *, value: int) -> int:
        """YES pays `value`, NO pays 1 - `value`; only the net position is paid."""
        paid = position.net * value if position.net > 0 else -position.net * (spec.one - value)
        position.realized += paid - position.cost
        position.cost = 0
        position.net = 0
        return paid

    def traded(self, spec: MarketSpec, position: Position) -> Flows:
        """What was realized, less what the open contracts have cost."""
        return {spec.cash_account: position.realized - position.cost}

    def held(self, spec: MarketSpec, positions: Iterable[Position]) -> int:
        """One for each pair of a YES and a NO."""
        return sum(max(0, position.net) for position in positions) * spec.one


def _best_first(order: Order) -> tuple[int, int]:
    return (-order.price if order.side == "bid" else order.price, order.sequence)


def _orders_reserve(
    spec: MarketSpec, orders: Iterable[Order], *, net: int, opening_cost: Callable[[Order, int], int]
) -> int:
    sides: dict[Side, list[Order]] = {"bid": [], "ask": []}
    for order in orders:
        sides[order.side].append(order)
    return sum(
        _side_reserve(spec, one, closable=_reducible(net, side), opening_cost=opening_cost)
        for side, one in sides.items()
    )


def _side_reserve(
    spec: MarketSpec, orders: list[Order], *, closable: int, opening_cost: Callable[[Order, int], int]
) -> int:
    # What closes the position needs no cash. The orders that trade first close it, so they are counted first.
    needed = 0
    for order in sorted(orders, key=_best_first) if closable and len(orders) > 1 else orders:
        closing = min(closable, order.remaining)
        closable -= closing
        opening = order.remaining - closing
        if opening:
            needed += opening_cost(order, opening)
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

    def reserve(self, spec: MarketSpec, orders: Iterable[Order], *, position: Position) -> Flows:
        """Quote for the bids with their fees, base for the asks (their fee is taken from the proceeds)."""
        quote = base = 0
        for order in orders:
            if order.side == "bid":
                quote += order.price * order.remaining
                if spec.fees.asset != "received":
                    quote += fee_bound(spec, order.price, size=order.remaining, taker=False)
            else:
                base += order.remaining
        return {spec.cash_account: quote, spec.base: base}

    def reducible(self, net: int, side: Side) -> int:
        """What was bought can be sold and the other way round; deposits are no position."""
        return _reducible(net, side)

    def funded(self, spec: MarketSpec, net: int, side: Side, *, size: int) -> int:
        """All of a bid that pays in quote: a sale pays its fee from what it brings."""
        return size if side == "bid" and spec.fees.asset != "received" else 0

    def settle(self, spec: MarketSpec, position: Position, *, value: int) -> int:
        """A spot market pays nothing at its end: the assets are already there."""
        return 0

    def traded(self, spec: MarketSpec, position: Position) -> Flows:
        """The base that was bought or sold, against the quote that it cost or brought."""
        return {spec.cash_account: -position.cost, spec.base: position.net}

    def held(self, spec: MarketSpec, positions: Iterable[Position]) -> int:
        """Nothing: what was exchanged is in the balances."""
        return 0


def leverage_of(spec: MarketSpec, position: Position) -> int:
    """The leverage at which a perpetual's position grows: the account's choice, else the market's default."""
    return position.leverage or spec.perpetual.leverage_default


class PerpetualCollateral:
    """One-way positions with isolated margin. The margin stays in the balance, held back; what closes is realized.

    Opening `size` at `price` makes size x price / leverage, rounded up, the position's own margin; closing gives back
    its share and pays profit or loss into the balance. The rounding is an *assumption*.
    """

    def fill(self, spec: MarketSpec, position: Position, *, side: Side, price: int, size: int) -> Flows:
        """Close the opposite position first, open with the rest; only profit or loss moves the balance."""
        held = abs(position.net)
        closing = min(size, _reducible(position.net, side))
        opening = size - closing
        direction = 1 if side == "bid" else -1
        profit = 0
        if closing:
            removed = position.cost * closing // held
            profit = -direction * price * closing - removed
            position.cost -= removed
            position.margin -= position.margin * closing // held
        position.cost += direction * price * opening
        position.margin += self._initial_margin(spec, position, price * opening)
        position.net += direction * size
        position.realized += profit
        position.traded += price * size
        position.volume += size
        return {spec.cash_account: profit}

    def reserve(self, spec: MarketSpec, orders: Iterable[Order], *, position: Position) -> Flows:
        """The position's margin, and the initial margin with its fees of what orders of both sides would open."""

        def opening_cost(order: Order, size: int) -> int:
            return self._initial_margin(spec, position, order.price * size)

        needed = _orders_reserve(spec, orders, net=position.net, opening_cost=opening_cost)
        return {spec.cash_account: position.margin + needed}

    def reducible(self, net: int, side: Side) -> int:
        """A bid closes a short, an ask a long."""
        return _reducible(net, side)

    def funded(self, spec: MarketSpec, net: int, side: Side, *, size: int) -> int:
        """What opens: what closes pays its fee from the margin that it frees."""
        return max(0, size - _reducible(net, side))

    def settle(self, spec: MarketSpec, position: Position, *, value: int) -> int:
        """Close at `value`; the profit, negative for a loss, is all that is paid."""
        profit = position.net * value - position.cost
        position.realized += profit
        position.net = position.cost = position.margin = 0
        return profit

    def traded(self, spec: MarketSpec, position: Position) -> Flows:
        """Realized profit; the open part moves nothing."""
        return {spec.cash_account: position.realized}

    def held(self, spec: MarketSpec, positions: Iterable[Position]) -> int:
        """What was paid to those who closed with a profit, before those of the other side have closed: negative."""
        return -sum(position.cost for position in positions)

    def _initial_margin(self, spec: MarketSpec, position: Position, value: int) -> int:
        return -(-value // leverage_of(spec, position))


COLLATERAL: dict[MarketKind, Collateral] = {
    "binary": BinaryCollateral(),
    "spot": SpotCollateral(),
    "perpetual": PerpetualCollateral(),
}
"""The collateral rules by market kind."""
