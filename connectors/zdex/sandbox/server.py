"""The whole sandbox: options, endpoints, keys, and the two generations of the venue."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.sandbox.serving.command import option
from connectors.sandbox.serving.faults import FAULT_KINDS
from connectors.sandbox.serving.rest import Arrival, Endpoint, Refusal, RestFace, Route, guarded
from connectors.sandbox.serving.server import Design, SandboxServer
from connectors.sandbox.serving.venue import ServedVenue
from connectors.sandbox.serving.websocket import StreamFace, StreamRules, StreamSession
from connectors.zdex.sandbox import account, api_keys, market_data, orders
from connectors.zdex.sandbox.auth import SESSION, Call, Keys, admit, ip_refused, make_keys, replayed
from connectors.zdex.sandbox.markets import MONEY_DECIMALS, QUOTE, listed_markets
from connectors.zdex.sandbox.stream import Conversation, Ticks, publications, push
from connectors.zdex.sandbox.venue import COMMON_FAULTS, DIALECTS, MEMBER, RULES, Limits, ZdexVenue

DEPOSIT = 100_000
READ, TRADE = "READ_ONLY", "TRADE"
V1 = [
    Route("GET", "/market/symbols", market_data.symbols, None),
    Route("GET", "/market/ticker", market_data.tickers, None),
    Route("GET", "/market/depth", market_data.depth, None),
    Route("GET", "/market/trades", market_data.trades, None),
    Route("GET", "/market/klines", market_data.klines, None),
    Route("POST", "/orders", orders.place, TRADE, "orders"),
    Route("GET", "/orders", orders.list_orders, READ, "all"),
    Route("GET", "/orders/{id}", orders.read_order, READ, "all"),
    Route("DELETE", "/orders/{id}", orders.cancel, TRADE, "all"),
    Route("GET", "/positions", account.list_positions, READ, "all"),
    Route("POST", "/positions/close", orders.close_position, TRADE, "close"),
    Route("GET", "/futures/balance", account.balance, READ, "all"),
    Route("GET", "/futures/myTrades", account.own_trades, READ, "all"),
    Route("GET", "/me/funding-history", account.funding_history, READ, "all"),
    Route("POST", "/futures/leverage", account.set_leverage, TRADE, "all"),
    Route("POST", "/futures/margin-type", account.set_margin_type, TRADE, "all"),
    Route("POST", "/futures/position-mode", account.set_position_mode, TRADE, "all"),
    Route("POST", "/api-keys", api_keys.create, SESSION, "all"),
    Route("GET", "/api-keys", api_keys.listed, SESSION, "all"),
    Route("PATCH", "/api-keys/{id}", api_keys.update, SESSION, "all"),
    Route("DELETE", "/api-keys/{id}", api_keys.revoke, SESSION, "all"),
]
V2 = [
    *V1,
    Route("POST", "/orders/batch", orders.place_batch, TRADE, "batch"),
    Route("GET", "/futures/positionHistory", account.position_history, READ, "all"),
    Route("GET", "/platform/status", market_data.platform_status, None),
]
HEALTH = Route("GET", "/health", market_data.platform_status, None)
"""Beside the version's prefix (vendor docs of v2, which name the path alone)."""
ROUTES = {"v1": V1, "v2": V2}
"""The endpoints of each dialect. Those under /market and /me/funding-history are documented for v2 alone, by name."""


@dataclass(frozen=True)
class SandboxOptions:
    """How to run a sandbox. `port` 0 takes a free one; `speed` 0 stops the order flow."""

    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    markets: int = 3
    speed: float = 1.0
    dialect: str = option("v1", "generation of the API (default v1)", choices=list(DIALECTS))
    read_lag_ms: int = 0
    requests: int = option(1_000, "requests that an account has in a window (default 1000)", metavar="N")
    orders: int = option(300, "new orders that an account has in a window (default 300)", metavar="N")
    window_s: int = option(60, "length of the windows in seconds (default 60)", metavar="S")


class ZdexSandbox:
    """A local ZDEX. Call `start` once, then `stop`; both on the same event loop.

    `now_ns` reads wall time in nanoseconds since the epoch. Raises `ValueError` for an option out of range.
    """

    def __init__(self, options: SandboxOptions, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        for name in ("requests", "orders", "window_s"):
            if getattr(options, name) < 1:
                raise ValueError(f"{name} is {getattr(options, name)}; give 1 or more")
        self._options = options
        self._now_ns = now_ns
        self._dialect = DIALECTS[options.dialect]
        self._keys = Keys()
        self._ticks = Ticks()
        stream: StreamFace[ZdexVenue, Conversation] = StreamFace(StreamRules("/ws"), self._admit_stream)
        design = Design("zdex", self._fresh, self._make_keys, self._face(), stream, publications, self._step)
        self._server: SandboxServer[ZdexVenue, Conversation] = SandboxServer(design, options, now_ns=now_ns)
        self.stop, self.failed, self.reset = self._server.stop, self._server.failed, self._server.reset

    @property
    def venue(self) -> ZdexVenue:
        """The current venue; a reset replaces it."""
        return self._server.venue

    @property
    def keys(self) -> Keys:
        """The keys of the account; a reset leaves them as they are."""
        return self._keys

    async def start(self) -> dict[str, Any]:
        """Make or load the keys, open the port, start the timer; the ready line. Raises `OSError` when the port is
        taken or the directory can't be written."""
        return await self._server.start()

    def _face(self) -> RestFace[ZdexVenue]:
        routes = ROUTES[self._dialect.name]

        def admitted(venue: ZdexVenue, arrival: Arrival, route: Route[Call]) -> Call:
            return admit(venue, self._keys, arrival, route)

        endpoints: list[Endpoint[ZdexVenue]] = guarded(routes, admitted)
        return RestFace(
            prefix=f"/{self._dialect.name}",
            endpoints=endpoints,
            unknown_path=lambda: self.venue.refusal(404, "Route does not exist"),
            too_many=self._too_many,
            failure=lambda status: self.venue.refusal(status, "Service unavailable").body,
            headers=self._headers,
            replayed=(lambda: replayed(self.venue)) if self._dialect.refuses_replays else None,
            ip_refused=lambda: ip_refused(self.venue),
            unversioned=guarded([HEALTH], admitted) if self._dialect.is_v2 else (),
        )

    def _too_many(self) -> Refusal:
        return self.venue.too_many(self.venue.windows.pools["all"], self._now_ns())

    def _headers(self, venue: ZdexVenue, arrival: Arrival) -> Mapping[str, str]:
        """Those of the window that the request counts in by itself."""
        routes, prefix = ROUTES[self._dialect.name], f"/{self._dialect.name}"
        path = arrival.path.removeprefix(prefix)
        route = next((one for one in routes if (one.method, one.path) == (arrival.method, path)), None)
        if route is not None and route.scope is None:
            return venue.public_window(arrival.http.remote or "").headers(arrival.now_ns, "x-ratelimit")
        pool = route.pool if route is not None else "all"
        return venue.windows.pools[pool].headers(arrival.now_ns, "x-ratelimit")

    def _admit_stream(self, venue: ZdexVenue, _arrival: Arrival) -> Callable[[StreamSession], Conversation]:
        return lambda session: Conversation(venue, self._keys, session)

    def _make_keys(self, directory: Path) -> dict[str, str]:
        prefix = api_keys.PREFIXES[self._dialect.name]
        return {"dialect": self._dialect.name} | make_keys(directory, self._keys, prefix)

    def _fresh(self) -> ZdexVenue:
        options, now_ns = self._options, self._now_ns()
        kinds = FAULT_KINDS if self._dialect.refuses_replays else COMMON_FAULTS
        kinds = {kind: text for kind, text in kinds.items() if kind != "slow_cancel"}
        served = ServedVenue(seed=options.seed, now_ns=self._now_ns, fault_kinds=kinds, rules=RULES)
        listed = listed_markets(options.markets, options.speed)
        for one in listed:
            served.exchange.add_market(one.spec, now_ns)
            served.exchange.set_mark(one.spec.market_id, one.opening, now_ns=now_ns)
        served.open_account(MEMBER, {QUOTE: DEPOSIT * 10**MONEY_DECIMALS})
        served.start_flow(options.speed, {one.spec.market_id: one.opening for one in listed})
        self._ticks = Ticks()
        return ZdexVenue(served, self._dialect, Limits(options.requests, options.orders, options.window_s))

    def _step(self, venue: ZdexVenue, now_ns: int) -> None:
        push(venue, self._ticks, self._server.conversations, now_ns)
