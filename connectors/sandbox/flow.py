"""Seeded order flow: market makers, noise traders and an informed trader around a hidden fair value per market.

Each market has its own generator, fair value and agents, so markets do not disturb one another and the same seed gives
the same orders. Agents are internal accounts: every order goes through the exchange's own admission, post-only
included.

The hidden value of a market that its order flow trades around: a bounded random walk with rare jumps.
"""

import random
from collections.abc import Mapping
from heapq import heappop, heappush

import msgspec

from connectors.sandbox.agents import Agent, AgentAccount, InformedTrader, MarketMaker, NoiseTrader
from connectors.sandbox.exchange import Exchange
from connectors.sandbox.model import Market, MarketSpec, above, at_or_below, seeded


class FairValue:
    """`price` in the market's units, not bound to the grid. Binary markets stay between 12 % and 88 %."""

    def __init__(self, rng: random.Random, spec: MarketSpec, *, start: int) -> None:
        self.price = start
        self._rng = rng
        self._spec = spec
        self._start = start
        binary = spec.kind == "binary"
        self._low = spec.one * 12 // 100 if binary else max(1, start // 4)
        self._high = spec.one * 88 // 100 if binary else start * 4

    def move(self) -> None:
        """Take one step: up to half a tick mostly, one in thirty a jump of two to four ticks, pulled to the start."""
        rng = self._rng
        tick = self._tick()
        if rng.randrange(30) == 0:
            change = rng.choice((-1, 1)) * rng.randint(2, 4) * tick
        else:
            change = rng.randint(-tick // 2, tick // 2)
        pull = (self._start - self.price) // 200
        self.price = min(self._high, max(self._low, self.price + change + pull))

    def _tick(self) -> int:
        below = at_or_below(self._spec, self.price) or 0
        return (above(self._spec, below) or below + 1) - below


MS_NS = 1_000_000
CATCH_UP_NS = 2_000 * MS_NS
CASH = 10**18
BASE = 10**15


class FlowRates(msgspec.Struct, frozen=True, kw_only=True):
    """Mean milliseconds between the actions of each agent in each market at speed 1; waits are exponential."""

    fair_ms: int = 500
    maker_ms: int = 500
    noise_ms: int = 450
    informed_ms: int = 1_500


class _Desk:
    """One market's fair value and agents, with the mean wait of each."""

    def __init__(self, exchange: Exchange, market: Market, *, seed: int, start: int, rates: FlowRates) -> None:
        spec = market.spec
        self.market = market
        self.rng = seeded(seed, "flow", spec.market_id)
        self.fair = FairValue(seeded(seed, "fair", spec.market_id), spec, start=start)
        seats = {}
        for role in ("tight", "wide", "noise", "informed"):
            name = f"flow:{spec.market_id}:{role}"
            exchange.add_account(name, {spec.cash: CASH} | ({spec.base: BASE} if spec.base else {}), internal=True)
            seats[role] = AgentAccount(exchange, spec, account=name, rng=seeded(seed, role, spec.market_id))
        agents: list[tuple[Agent, int]] = [
            (MarketMaker(seats["tight"], width=0, depth=4), rates.maker_ms),
            (MarketMaker(seats["wide"], width=1, depth=8), rates.maker_ms * 2),
            (NoiseTrader(seats["noise"]), rates.noise_ms),
            (InformedTrader(seats["informed"]), rates.informed_ms),
        ]
        self.agents = agents


_FAIR = -1


class OrderFlow:
    """Drives the agents of every market of an exchange.

    `speed` multiplies all rates (0 stops the flow). Markets added to the exchange later join at the next step. Call
    `step` often: each action happens at its own due time, in order; when the caller stayed away for more than two
    seconds, what was due before that is skipped, not replayed. `actions` counts what was done.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        seed: int,
        speed: float = 1.0,
        opening_prices: Mapping[str, int] | None = None,
        rates: FlowRates | None = None,
    ) -> None:
        if not 0 <= speed <= 1_000:
            raise ValueError(f"speed is {speed}; give 0 (no flow) to 1000")
        self._exchange = exchange
        self._seed = seed
        self._speed = speed
        self._opening_prices = dict(opening_prices or {})
        self._rates = rates or FlowRates()
        self._desks: dict[str, _Desk] = {}
        self._due: list[tuple[int, int, str, int]] = []
        self._scheduled = 0
        self.actions = 0

    def fair(self, market_id: str) -> int:
        """The hidden fair value of a market the flow has entered, in price units. KeyError before."""
        return self._desks[market_id].fair.price

    def step(self, now_ns: int) -> None:
        """Do every action due by `now_ns`."""
        if self._speed == 0:
            return
        self._enter_new_markets(now_ns)
        while self._due and self._due[0][0] <= now_ns:
            due_ns, _, market_id, agent = heappop(self._due)
            desk = self._desks[market_id]
            if due_ns < now_ns - CATCH_UP_NS:
                self._schedule(desk, agent, from_ns=now_ns - CATCH_UP_NS)
            elif desk.market.status in ("initialized", "active", "inactive"):
                self._act(desk, agent, due_ns=due_ns)
                self._schedule(desk, agent, from_ns=due_ns)

    def _enter_new_markets(self, now_ns: int) -> None:
        markets = self._exchange.state.markets
        if len(markets) == len(self._desks):
            return
        for market_id, market in markets.items():
            if market_id not in self._desks:
                desk = _Desk(
                    self._exchange, market, seed=self._seed, start=self._opening_price(market), rates=self._rates
                )
                self._desks[market_id] = desk
                for agent in range(_FAIR, len(desk.agents)):
                    self._schedule(desk, agent, from_ns=now_ns)

    def _opening_price(self, market: Market) -> int:
        given = self._opening_prices.get(market.market_id, market.last_price)
        if given <= 0 and market.spec.kind != "binary":
            raise ValueError(f"opening_prices has no price for {market.market_id}; give one above 0")
        return given or market.spec.one // 2

    def _act(self, desk: _Desk, agent: int, *, due_ns: int) -> None:
        self._exchange.advance(due_ns)
        if desk.market.status != "active":
            return
        self.actions += 1
        if agent == _FAIR:
            desk.fair.move()
            self._exchange.outcomes[desk.market.market_id] = desk.fair.price
        else:
            desk.agents[agent][0].act(desk.fair.price, due_ns)

    def _schedule(self, desk: _Desk, agent: int, *, from_ns: int) -> None:
        mean_ms = self._rates.fair_ms if agent == _FAIR else desk.agents[agent][1]
        wait_ns = int(desk.rng.expovariate(self._speed) * mean_ms * MS_NS)
        self._scheduled += 1
        heappush(self._due, (from_ns + max(1, wait_ns), self._scheduled, desk.market.market_id, agent))
