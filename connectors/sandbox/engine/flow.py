"""Seeded order flow: market makers, noise traders and an informed trader around a hidden fair value per market.

Each market has its own generators, fair value and agents, so markets do not disturb one another and the same seed gives
the same orders. Agents are internal accounts: every order goes through the exchange's own admission, post-only
included.
"""

import random
from collections.abc import Mapping
from heapq import heappop, heappush

import msgspec

from connectors.sandbox.engine.agents import Agent, AgentAccount, InformedTrader, MarketMaker, NoiseTrader, step_of
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import NS_PER_MS, Market, MarketSpec
from connectors.sandbox.engine.price_grid import above, at_or_below
from connectors.sandbox.seeding import seeded

# A caller that was away for an hour would replay thousands of actions in one step; only the last two seconds are.
CATCH_UP_NS = 2_000 * NS_PER_MS
# More than the agents can lose in any session, so that the flow never ends for lack of balance.
AGENT_CASH = 10**18
AGENT_BASE = 10**15
AGENT_PREFIX = "flow:"
# Stands in the timetable for the fair value's own step, beside the indices of the agents.
_FAIR = -1


class FlowRates(msgspec.Struct, frozen=True, kw_only=True):
    """Mean milliseconds between the actions of each agent in each market at speed 1; waits are exponential."""

    fair_ms: int = 500
    maker_ms: int = 500
    noise_ms: int = 450
    informed_ms: int = 1_500


class FairValue:
    """The hidden value that a market's order flow trades around: a bounded random walk with rare jumps.

    `price` is in the market's price units, not bound to the tick grid; that of a perpetual is its mark. It stays
    between 12 % and 88 % in a binary market, and between a quarter of `start` and four times `start` elsewhere.
    """

    def __init__(self, rng: random.Random, spec: MarketSpec, *, start: int) -> None:
        self._rng = rng
        self._spec = spec
        self.jump(start)

    def jump(self, price: int) -> None:
        """Go on from `price`, as if the walk had started there."""
        self.price = self._start = price
        binary = self._spec.kind == "binary"
        self._low = self._spec.one * 12 // 100 if binary else max(1, price // 4)
        self._high = self._spec.one * 88 // 100 if binary else price * 4

    def move(self) -> None:
        """Take one step: up to half a tick mostly, one in thirty a jump of two to four ticks, pulled to the start.

        Where the agents think in wider steps than ticks (`step_of`), so does the fair value.
        """
        rng = self._rng
        tick = self._tick()
        if rng.randrange(30) == 0:
            change = rng.choice((-1, 1)) * rng.randint(2, 4) * tick
        else:
            change = rng.randint(-tick // 2, tick // 2)
        pull = (self._start - self.price) // 200
        self.price = min(self._high, max(self._low, self.price + change + pull))

    def _tick(self) -> int:
        if wide := step_of(self._spec, self._start):
            return wide
        below = at_or_below(self._spec, self.price) or 0
        return (above(self._spec, below) or below + 1) - below


class _MarketFlow:
    """One market's fair value and agents, each agent with the mean wait between its actions in milliseconds."""

    def __init__(self, exchange: Exchange, market: Market, *, seed: int, start: int, rates: FlowRates) -> None:
        spec = market.spec
        self.market = market
        self.rng = seeded(seed, "flow", spec.market_id)
        self.fair = FairValue(seeded(seed, "fair", spec.market_id), spec, start=start)
        if spec.kind == "perpetual" and market.mark_price == 0:
            exchange.set_mark(spec.market_id, start, now_ns=exchange.state.now_ns)
        balances = {spec.cash_account: AGENT_CASH} | ({spec.base: AGENT_BASE} if spec.base else {})

        def account(role: str) -> AgentAccount:
            account_id = f"{AGENT_PREFIX}{spec.market_id}:{role}"
            exchange.add_account(account_id, balances, internal=True)
            rng = seeded(seed, role, spec.market_id)
            return AgentAccount(exchange, spec, account_id=account_id, rng=rng, start=start)

        self.agents: list[tuple[Agent, int]] = [
            (MarketMaker(account("tight"), width=0, depth=4), rates.maker_ms),
            (MarketMaker(account("wide"), width=1, depth=8), rates.maker_ms * 2),
            (NoiseTrader(account("noise")), rates.noise_ms),
            (InformedTrader(account("informed")), rates.informed_ms),
        ]


class OrderFlow:
    """Drives the agents of every market of an exchange.

    `speed` multiplies all rates (0: no flow). Markets added to the exchange later join at the next step. Call
    `step` often: each action happens at its own due time, in order; when the caller stayed away for more than two
    seconds, what was due before that is skipped, not replayed. `actions` counts what was done.
    `opening_prices` gives the first fair value by market in price units; a binary market without one starts at its last
    price or at one half.

    Raises `ValueError` when `speed` is not from 0 to 1000.
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
        self._flows: dict[str, _MarketFlow] = {}
        self._due: list[tuple[int, int, str, int]] = []
        self._scheduled = 0
        self.actions = 0

    def fair(self, market_id: str) -> int:
        """The hidden fair value of a market the flow has entered, in price units. Raises `KeyError` for others."""
        return self._flows[market_id].fair.price

    def stop(self, now_ns: int) -> None:
        """End the flow for good and cancel every order of its agents. Without effect on markets that are closed."""
        self._speed = 0
        for account_id in [one for one in self._exchange.state.accounts if one.startswith(AGENT_PREFIX)]:
            self._exchange.cancel_all(account_id, now_ns)

    def step(self, now_ns: int) -> None:
        """Do every action due by `now_ns` (nanoseconds since the epoch); nothing at speed 0.

        Raises `ValueError` when a market that is not binary has no opening price.
        """
        if self._speed == 0:
            return
        self._enter_new_markets(now_ns)
        while self._due and self._due[0][0] <= now_ns:
            due_ns, _, market_id, agent = heappop(self._due)
            flow = self._flows[market_id]
            if due_ns < now_ns - CATCH_UP_NS:
                self._schedule(flow, agent, from_ns=now_ns - CATCH_UP_NS)
            elif flow.market.status in ("initialized", "active", "inactive"):
                self._act(flow, agent, due_ns=due_ns)
                self._schedule(flow, agent, from_ns=due_ns)

    def _enter_new_markets(self, now_ns: int) -> None:
        markets = self._exchange.state.markets
        if len(markets) == len(self._flows):
            return
        for market_id, market in markets.items():
            if market_id not in self._flows:
                flow = _MarketFlow(
                    self._exchange, market, seed=self._seed, start=self._opening_price(market), rates=self._rates
                )
                self._flows[market_id] = flow
                for agent in range(_FAIR, len(flow.agents)):
                    self._schedule(flow, agent, from_ns=now_ns)

    def _opening_price(self, market: Market) -> int:
        given = self._opening_prices.get(market.market_id, market.reference_price)
        if given <= 0 and market.spec.kind != "binary":
            raise ValueError(f"opening_prices has no price for {market.market_id}; give one above 0")
        return given or market.spec.one // 2

    def _act(self, flow: _MarketFlow, agent: int, *, due_ns: int) -> None:
        self._exchange.advance(due_ns)
        if flow.market.status != "active":
            return
        self.actions += 1
        # The mark is the fair value of a perpetual, whoever has set it.
        if flow.market.mark_price not in (0, flow.fair.price):
            flow.fair.jump(flow.market.mark_price)
        if agent == _FAIR:
            flow.fair.move()
            self._exchange.outcomes[flow.market.market_id] = flow.fair.price
            if flow.market.mark_price:
                self._exchange.set_mark(flow.market.market_id, flow.fair.price, now_ns=due_ns)
        else:
            flow.agents[agent][0].act(flow.fair.price, due_ns)

    def _schedule(self, flow: _MarketFlow, agent: int, *, from_ns: int) -> None:
        mean_ms = self._rates.fair_ms if agent == _FAIR else flow.agents[agent][1]
        wait_ns = int(flow.rng.expovariate(self._speed) * mean_ms * NS_PER_MS)
        self._scheduled += 1
        heappush(self._due, (from_ns + max(1, wait_ns), self._scheduled, flow.market.market_id, agent))
