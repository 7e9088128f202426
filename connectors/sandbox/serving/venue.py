"""The exchange behind a sandbox, and what its REST, stream and admin addresses share: no socket is here.

`Member` is one account as REST serves it: its acts are published, refusals raised, and its reads lag.

`publish_events` is called after every act on the engine, with no await in between, so that a stream reports an act
before anything else can happen. A reset makes another `ServedVenue`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.counterparty import Counterparty
from connectors.sandbox.engine.events import Event, OrderChange
from connectors.sandbox.engine.exchange import PLAIN, Exchange
from connectors.sandbox.engine.flow import OrderFlow
from connectors.sandbox.engine.model import Accepted, Fill, MarketSpec, Order, OrderRequest, Rejection
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.seeding import seeded
from connectors.sandbox.serving.clock import VenueClock
from connectors.sandbox.serving.decimals import trimmed
from connectors.sandbox.serving.faults import COMMON_KINDS, FaultPlan
from connectors.sandbox.serving.reads import Reads


@dataclass
class Observed:
    """What the server saw, counted since the start or the last reset. Requests are counted by method and route, answers
    of 401 as refused signatures, and those of 401 and 403 by status and body."""

    requests: Counter[str] = field(default_factory=Counter)
    rate_limited: int = 0
    refused_signatures: int = 0
    server_errors: int = 0
    connections: int = 0
    unauthorized: Counter[str] = field(default_factory=Counter)

    def refuse(self, status: int, body: Any) -> None:
        """Count an answer that refuses a request."""
        self.rate_limited += status == 429
        self.refused_signatures += status == 401
        if status in (401, 403):
            self.unauthorized[f"{status} {msgspec.json.encode(body).decode()}"] += 1

    def shown(self) -> dict[str, Any]:
        """The counts as plain data, as they are now."""
        return asdict(self) | {"requests": dict(self.requests), "unauthorized": dict(self.unauthorized)}


class ServedVenue:
    """One exchange with the accounts of one member, the seeded flow, and a counterparty that the administrator leads.

    `now_ns` reads wall time in nanoseconds. `fault_kinds` are the faults that the venue can commit: kind -> what it
    does, `rules` its order rules. `external` holds the ids of the member's orders that did not come through the venue's
    own interface. `request` is what is being answered now: its target and its body, a line each. `sent_as` has by order
    id the SHA-256 of the request that made it, or of what the venue shows of that.
    """

    def __init__(
        self,
        *,
        seed: int,
        now_ns: Callable[[], int],
        fault_kinds: Mapping[str, str] = COMMON_KINDS,
        rules: Rules = PLAIN,
    ) -> None:
        self.seed = seed
        self.clock = VenueClock(now_ns)
        self.exchange = Exchange(seeded(seed, "exchange"), now_ns=now_ns(), rules=rules)
        self.faults = FaultPlan(seeded(seed, "faults"), now_ns, kinds=fault_kinds)
        self.observed = Observed()
        self.member_ids: list[str] = []
        self.external: set[str] = set()
        self.request = b""
        self.sent_as: dict[str, str] = {}
        self.reads = Reads(self.exchange, self.member_ids, faults=self.faults)
        self.flow = OrderFlow(self.exchange, seed=seed, speed=0)
        self.counterparty = Counterparty(self.exchange, self.flow)
        self._listeners: list[Callable[[list[Event]], None]] = [self.reads.note, self._note_request]

    def start_flow(self, speed: float, opening_prices: Mapping[str, int]) -> None:
        """Let the seeded traders act from now on. Raises `ValueError` when `speed` is not from 0 to 1000."""
        self.flow = OrderFlow(self.exchange, seed=self.seed, speed=speed, opening_prices=opening_prices)
        self.counterparty = Counterparty(self.exchange, self.flow)

    def open_account(self, account_id: str, balances: Mapping[str, int]) -> Account:
        """Open an account of the member; its balances as `Exchange.add_account` takes them.

        Raises `ValueError` when it is open already.
        """
        account = self.exchange.add_account(account_id, balances)
        self.member_ids.append(account_id)
        return account

    def listen(self, listener: Callable[[list[Event]], None]) -> None:
        """Call `listener` with every later batch of engine events, in order. It must not act on the engine."""
        self._listeners.append(listener)

    def publish_events(self) -> None:
        """Give the engine's events since the last call to every listener."""
        events = self.exchange.drain()
        if events:
            for listener in self._listeners:
                listener(events)

    def _note_request(self, events: list[Event]) -> None:
        if self.request:
            for event in events:
                if isinstance(event, OrderChange):
                    self.sent_as.setdefault(event.order.order_id, sha256(self.request).hexdigest())

    def step(self, now_ns: int) -> None:
        """Let the flow act and the engine's time pass, up to `now_ns`, and publish what happened."""
        self.flow.step(now_ns)
        self.exchange.advance(now_ns)
        self.publish_events()


@dataclass(frozen=True)
class Holding:
    """What an account has of a currency, as decimals."""

    currency: str
    total: str
    available: str
    locked: str


class Member:
    """An account of a served venue, opened here with its balances (as `Exchange.add_account` takes them).

    `refusal` makes the venue's `rest.Refusal` of what the exchange refuses. Times are nanoseconds of the engine.
    """

    def __init__(
        self, served: ServedVenue, account: str, balances: dict[str, int], refusal: Callable[[Rejection], Exception]
    ) -> None:
        served.open_account(account, balances)
        self._served = served
        self._account = account
        self._refusal = refusal

    def market(self, name: str) -> MarketSpec:
        """A market that a request names. Raises `Refusal` (`market_not_found`)."""
        found = self._served.exchange.state.markets.get(name)
        if found is None:
            raise self._refusal(Rejection("market_not_found", name))
        return found.spec

    def submit(self, request: OrderRequest, now_ns: int) -> Order:
        """Place an order of this account. Raises `Refusal`."""
        return self._done(self._served.exchange.submit(request, now_ns))

    def cancel(self, order_id: str, now_ns: int) -> Order:
        """Cancel an order of this account. Raises `Refusal`."""
        return self._done(self._served.exchange.cancel(self._account, order_id, now_ns=now_ns))

    def order(self, order_id: str, now_ns: int) -> Order:
        """One order, open or ended. Raises `Refusal` (`not_found`)."""
        found = self._served.reads.order(order_id, now_ns)
        if found is None or found.account != self._account:
            raise self._refusal(Rejection("not_found"))
        return found

    def orders(self, now_ns: int, *, open_only: bool = False, client_order_id: str = "") -> list[Order]:
        """Orders, oldest first: all, those that have not ended, or the one with a client order id."""
        found = self._served.reads.orders([self._account], now_ns)
        return [
            one
            for one in found
            if not (open_only and one.status == "ended") and client_order_id in ("", one.client_order_id)
        ]

    def fills(self, now_ns: int, *, since_ns: int = 0) -> list[Fill]:
        """Fills since an engine time, oldest first."""
        return [one for one in self._served.reads.fills([self._account], now_ns) if one.ns >= since_ns]

    def holdings(self, now_ns: int) -> list[Holding]:
        """Every balance, with what orders hold back of it."""
        decimals, reads = self._served.exchange.state.decimals, self._served.reads
        free, locked = reads.balances(self._account, now_ns), reads.reserved(self._account, now_ns)
        return [
            Holding(name, *(trimmed(value, decimals[name]) for value in (amount + held, amount, held)))
            for name, amount in free.items()
            for held in (locked.get(name, 0),)
        ]

    def _done(self, answer: Accepted | Rejection) -> Order:
        self._served.publish_events()
        if isinstance(answer, Rejection):
            raise self._refusal(answer)
        return answer.order
