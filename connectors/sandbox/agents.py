"""The traders of the order flow. Each trades one market from one internal account, seeing the book as anyone does."""

import random
from typing import Protocol

from connectors.sandbox.exchange import Exchange
from connectors.sandbox.matching import opposite
from connectors.sandbox.model import MarketSpec, Order, OrderRequest, Side, TimeInForce, above, at_or_below, stepped

SECOND_NS = 1_000_000_000
SIDES: tuple[Side, Side] = ("bid", "ask")


class Agent(Protocol):
    """A trader: `act` does one action, told the hidden fair value (noise traders do not look at it)."""

    def act(self, fair: int, now_ns: int) -> None:
        """Place, move or cancel orders, or do nothing."""
        ...


class AgentAccount:
    """An agent's place at the exchange: its account, its market and its own generator."""

    def __init__(self, exchange: Exchange, spec: MarketSpec, *, account: str, rng: random.Random) -> None:
        self.spec = spec
        self.rng = rng
        self.lot = max(spec.size_step, 10**spec.size_decimals)
        self._exchange = exchange
        self._account = account
        self._book = exchange.state.books[spec.market_id]

    def best(self, side: Side) -> int | None:
        """The best price of a side."""
        return self._book.best(side)

    def working(self) -> list[Order]:
        """The agent's resting orders, oldest first."""
        return list(self._exchange.state.accounts[self._account].working.get(self.spec.market_id, {}).values())

    def place(self, side: Side, price: int, *, size: int, now_ns: int, life_ns: int = 0) -> None:
        """Rest an order, post-only; `life_ns` 0 rests until cancelled."""
        self._submit(side, price, size=size, now_ns=now_ns, tif="gtc", expiration_ns=now_ns + life_ns if life_ns else 0)

    def take(self, side: Side, price: int, *, size: int, now_ns: int) -> None:
        """Trade at once up to `price`."""
        self._submit(side, price, size=size, now_ns=now_ns, tif="ioc", expiration_ns=0)

    def _submit(self, side: Side, price: int, *, size: int, now_ns: int, tif: TimeInForce, expiration_ns: int) -> None:
        self._exchange.submit(
            OrderRequest(
                account=self._account,
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

    def cancel(self, order: Order, now_ns: int) -> None:
        """Cancel one of the agent's orders."""
        self._exchange.cancel(self._account, order.order_id, now_ns=now_ns)


class MarketMaker:
    """Quotes a ladder around the fair value it last saw, `width` to `width + 1` steps away from it at the touch.

    Orders that still fit the ladder stay, so its queue places and the book's flicker are those of a patient maker.
    """

    def __init__(self, agent: AgentAccount, *, width: int, depth: int) -> None:
        self._agent = agent
        self._width = width
        self._depth = depth
        self._extra = 0

    def act(self, fair: int, now_ns: int) -> None:
        """Bring the ladder to the fair value: cancel what does not fit, then post what is missing."""
        agent = self._agent
        if agent.rng.randrange(8) == 0:
            self._extra = agent.rng.randrange(2)
        wanted = {(side, price): level for side in SIDES for level, price in self._ladder(side, fair)}
        for order in agent.working():
            if wanted.pop((order.side, order.price), None) is None:
                agent.cancel(order, now_ns)
        for (side, price), level in wanted.items():
            size = agent.lot * agent.rng.randint(2 + 6 * level, 8 + 14 * level)
            agent.place(side, price, size=size, now_ns=now_ns)

    def _ladder(self, side: Side, fair: int) -> list[tuple[int, int]]:
        spec = self._agent.spec
        below = at_or_below(spec, fair)
        inner = below if side == "bid" else above(spec, fair if below is None else below)
        if inner is None:
            return []
        ladder = []
        direction = -1 if side == "bid" else 1
        price = stepped(spec, inner, steps=direction * (self._width + self._extra))
        for level in range(self._depth):
            if price is None:
                break
            ladder.append((level, price))
            price = stepped(spec, price, steps=direction)
        return ladder


class NoiseTrader:
    """Trades for reasons of its own: mostly takes from the touch, sometimes rests near it for a while."""

    def __init__(self, agent: AgentAccount) -> None:
        self._agent = agent

    def act(self, fair: int, now_ns: int) -> None:
        """Seven times in ten take, else rest for some seconds."""
        rng = self._agent.rng
        side = rng.choice(SIDES)
        size = self._agent.lot * rng.choice((1, 2, 3, 5, 5, 8, 10, 10, 15, 25))
        if rng.randrange(8) == 0:
            size = max(self._agent.spec.size_step, size * rng.randint(10, 90) // 100)
            size -= size % self._agent.spec.size_step
        if rng.randrange(10) < 7:
            self._take(side, size=size, now_ns=now_ns)
        else:
            self._rest(side, size=size, now_ns=now_ns)

    def _take(self, side: Side, *, size: int, now_ns: int) -> None:
        touch = self._agent.best(opposite(side))
        if touch is None:
            return
        slack = self._agent.rng.randrange(2)
        limit = stepped(self._agent.spec, touch, steps=slack if side == "bid" else -slack)
        self._agent.take(side, touch if limit is None else limit, size=size, now_ns=now_ns)

    def _rest(self, side: Side, *, size: int, now_ns: int) -> None:
        touch = self._agent.best(side)
        if touch is None:
            return
        away = self._agent.rng.choice((-1, 0, 0, 1, 2))
        price = stepped(self._agent.spec, touch, steps=-away if side == "bid" else away)
        if price is not None:
            self._agent.place(side, price, size=size, now_ns=now_ns, life_ns=self._agent.rng.randint(3, 12) * SECOND_NS)


class InformedTrader:
    """Knows the fair value: takes whatever is offered on the wrong side of it."""

    def __init__(self, agent: AgentAccount) -> None:
        self._agent = agent

    def act(self, fair: int, now_ns: int) -> None:
        """Buy below the fair value or sell above it, up to it."""
        agent = self._agent
        size = agent.lot * agent.rng.randint(5, 30)
        ask, bid = agent.best("ask"), agent.best("bid")
        if ask is not None and ask < fair:
            agent.take("bid", at_or_below(agent.spec, fair) or ask, size=size, now_ns=now_ns)
        elif bid is not None and bid > fair:
            agent.take("ask", above(agent.spec, fair - 1) or bid, size=size, now_ns=now_ns)
