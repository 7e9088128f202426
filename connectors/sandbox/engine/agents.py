"""The agents of the order flow. Each trades one market from one internal account and sees the book as anyone does."""

import random
from typing import Protocol

from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.matching import opposite
from connectors.sandbox.engine.model import NS_PER_S, MarketSpec, Order, OrderRequest, Side, TimeInForce
from connectors.sandbox.engine.price_grid import above, at_or_below, stepped

LOT_QUOTE = 100
"""What an agent's typical order is worth, in whole units of the quote asset."""
STEP_BPS = 2
"""From one price of an agent's ladder to the next, in hundredths of a percent."""
SIDES: tuple[Side, Side] = ("bid", "ask")


class Agent(Protocol):
    """A trader of one market. It keeps no clock: whoever drives it calls `act` at the times of its choice."""

    def act(self, fair: int, now_ns: int) -> None:
        """Place, move or cancel orders, or do nothing.

        `fair` is the market's hidden fair value in price units, not bound to the tick grid; `now_ns` is engine time.
        """
        ...


def lot_of(spec: MarketSpec, price: int) -> int:
    """The typical size: one whole contract of a binary market, elsewhere what LOT_QUOTE buys; at least what may be."""
    if spec.kind == "binary":
        return max(spec.size_step, int(10**spec.size_decimals))
    least = max(spec.size_step, spec.size_min, -(-spec.notional_min // price))
    worth: int = LOT_QUOTE * 10 ** (spec.price_decimals + spec.size_decimals)
    return max(-(-least // spec.size_step), worth // price // spec.size_step) * spec.size_step


def step_of(spec: MarketSpec, price: int) -> int:
    """The typical distance of prices: STEP_BPS of the price, in whole ticks, one at least; 0 in a binary market.

    The ticks of a binary market differ from price to price: there agents step from one valid price to the next.
    """
    if spec.kind == "binary":
        return 0
    below = at_or_below(spec, price) or 0
    tick = (above(spec, below) or below + 1) - below
    return max(1, price * STEP_BPS // 10_000 // tick) * tick


class AgentAccount:
    """The account of one agent, tied to one market; it also carries the agent's own random generator.

    `lot` is the size that agents trade in multiples of, `step` the distance of prices that they think in; both follow
    from `start`, the price at which the flow enters the market (`lot_of`, `step_of`).
    """

    def __init__(
        self, exchange: Exchange, spec: MarketSpec, *, account_id: str, rng: random.Random, start: int
    ) -> None:
        self.spec = spec
        self.rng = rng
        self.lot = lot_of(spec, start)
        self._step = step_of(spec, start)
        self._exchange = exchange
        self._account_id = account_id
        self._book = exchange.state.books[spec.market_id]

    def best(self, side: Side) -> int | None:
        """The best price of a side in price units, the agent's own orders included; None when the side is empty."""
        return self._book.best(side)

    def at_or_below(self, price: int) -> int | None:
        """The highest price of the agent's own ladder that is not above `price`; None when there is none."""
        return at_or_below(self.spec, price // self._step * self._step if self._step else price)

    def away(self, price: int, steps: int) -> int | None:
        """The valid price `steps` steps up (down when negative) from a valid price; None past either end."""
        if self._step == 0:
            return stepped(self.spec, price, steps=steps)
        return at_or_below(self.spec, price + steps * self._step)

    def working(self) -> list[Order]:
        """The agent's resting orders, oldest first; a copy, so that orders may be cancelled while it is walked."""
        return list(self._exchange.state.accounts[self._account_id].working.get(self.spec.market_id, {}).values())

    def place(self, side: Side, price: int, *, size: int, now_ns: int, life_ns: int = 0) -> None:
        """Rest an order, post-only; `life_ns` 0 rests until cancelled. A refusal (it would cross) is ignored."""
        self._submit(side, price, size=size, now_ns=now_ns, tif="gtc", expiration_ns=now_ns + life_ns if life_ns else 0)

    def take(self, side: Side, price: int, *, size: int, now_ns: int) -> None:
        """Trade at once up to `price`, immediate-or-cancel; own resting orders in the way are cancelled."""
        self._submit(side, price, size=size, now_ns=now_ns, tif="ioc", expiration_ns=0)

    def cancel(self, order: Order, now_ns: int) -> None:
        """Cancel one of the agent's resting orders; a refusal (the exchange is paused) is ignored."""
        self._exchange.cancel(self._account_id, order.order_id, now_ns=now_ns)

    def _submit(self, side: Side, price: int, *, size: int, now_ns: int, tif: TimeInForce, expiration_ns: int) -> None:
        self._exchange.submit(
            OrderRequest(
                account=self._account_id,
                market_id=self.spec.market_id,
                side=side,
                price=price,
                size=size,
                tif=tif,
                self_trade="maker",
                post_only=tif == "gtc",
                expiration_ns=expiration_ns,
            ),
            now_ns,
        )


class MarketMaker:
    """Quotes a ladder around the fair value it last saw, `width` to `width + 1` steps away from it at the touch.

    `depth` is the number of levels on each side. Orders that still fit the ladder stay: they keep their queue places,
    and the book changes only where the fair value moved.
    """

    def __init__(self, account: AgentAccount, *, width: int, depth: int) -> None:
        self._account = account
        self._width = width
        self._depth = depth
        self._extra = 0

    def act(self, fair: int, now_ns: int) -> None:
        """Bring the ladder to the fair value: cancel what does not fit, then post what is missing."""
        account = self._account
        if account.rng.randrange(8) == 0:
            self._extra = account.rng.randrange(2)
        wanted = {(side, price): level for side in SIDES for level, price in self._ladder(side, fair)}
        for order in account.working():
            if wanted.pop((order.side, order.price), None) is None:
                account.cancel(order, now_ns)
        for (side, price), level in wanted.items():
            size = account.lot * account.rng.randint(2 + 6 * level, 8 + 14 * level)
            account.place(side, price, size=size, now_ns=now_ns)

    def _ladder(self, side: Side, fair: int) -> list[tuple[int, int]]:
        """(level, price) from the touch away; shorter than `depth` where the grid ends."""
        account = self._account
        below = account.at_or_below(fair)
        inner = below if side == "bid" else account.away(fair if below is None else below, 1)
        if inner is None:
            return []
        ladder, direction = [], -1 if side == "bid" else 1
        price = account.away(inner, direction * (self._width + self._extra))
        for level in range(self._depth):
            if price is None:
                break
            ladder.append((level, price))
            price = account.away(price, direction)
        return ladder


class NoiseTrader:
    """Trades without regard to the fair value: mostly takes from the touch, sometimes rests near it for a while."""

    def __init__(self, account: AgentAccount) -> None:
        self._account = account

    def act(self, fair: int, now_ns: int) -> None:
        """Seven times in ten take, else rest for 3 to 12 seconds; one order in eight is of a fractional size."""
        account = self._account
        rng = account.rng
        side = rng.choice(SIDES)
        size = account.lot * rng.choice((1, 2, 3, 5, 5, 8, 10, 10, 15, 25))
        if rng.randrange(8) == 0:
            size = max(account.spec.size_step, size * rng.randint(10, 90) // 100)
            size -= size % account.spec.size_step
        if rng.randrange(10) < 7:
            self._take(side, size=size, now_ns=now_ns)
        else:
            self._rest(side, size=size, now_ns=now_ns)

    def _take(self, side: Side, *, size: int, now_ns: int) -> None:
        account = self._account
        touch = account.best(opposite(side))
        if touch is None:
            return
        slack = account.rng.randrange(2)
        limit = account.away(touch, slack if side == "bid" else -slack)
        account.take(side, touch if limit is None else limit, size=size, now_ns=now_ns)

    def _rest(self, side: Side, *, size: int, now_ns: int) -> None:
        account = self._account
        touch = account.best(side)
        if touch is None:
            return
        away = account.rng.choice((-1, 0, 0, 1, 2))
        price = account.away(touch, -away if side == "bid" else away)
        if price is not None:
            account.place(side, price, size=size, now_ns=now_ns, life_ns=account.rng.randint(3, 12) * NS_PER_S)


class InformedTrader:
    """Trades on the fair value: takes whatever is offered below it or bid above it."""

    def __init__(self, account: AgentAccount) -> None:
        self._account = account

    def act(self, fair: int, now_ns: int) -> None:
        """Buy below the fair value or sell above it, up to it, 5 to 30 lots."""
        account = self._account
        size = account.lot * account.rng.randint(5, 30)
        ask, bid = account.best("ask"), account.best("bid")
        if ask is not None and ask < fair:
            account.take("bid", at_or_below(account.spec, fair) or ask, size=size, now_ns=now_ns)
        elif bid is not None and bid > fair:
            account.take("ask", above(account.spec, fair - 1) or bid, size=size, now_ns=now_ns)
