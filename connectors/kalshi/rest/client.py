"""Kalshi's REST: one signed request at a time, paced, measured, and its failures told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from connectors.kalshi.rest.clock_sync import VenueTime
from connectors.kalshi.rest.rate_limiter import RateLimiter
from connectors.kalshi.rest.rate_limits import BALANCE, READ, CostTable, documented_costs, tier_limits
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.encode import Call
from connectors.kalshi.wire.errors import TIMESTAMP_EXPIRED, failure_of_read, parse_answer
from connectors.kalshi.wire.sign import Signer
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as CutOff
from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest, HttpResponse, HttpTransport
from connectors.transport.reconnect import Backoff, ConnectBreaker
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.ports import Clock, Rng
from framework.domain.rate_limits import RateLimits
from framework.domain.venue import LastWord, nothing_against

Params = Iterable[tuple[str, str | int | None]]

_JSON = ("Content-Type", "application/json")
_UNSIGNED = frozenset({"/exchange/status"})
"""What is asked before the venue's clock is known. Exchange endpoints are public (vendor docs)."""
_READ_TRIES_MAX = 3
_RETRY_MS = 300


class Page(Protocol):
    """A page of a list."""

    @property
    def cursor(self) -> str:
        """Where the next page starts; empty on the last one."""
        ...


T = TypeVar("T")
P = TypeVar("P", bound=Page)


def open_transport(settings: KalshiSettings, *, clock: Clock, breaker: ConnectBreaker) -> Http1Transport:
    """The network to the REST address; nothing is opened yet."""
    transport = Http1Transport(settings.rest_origin, clock=clock, connections_max=settings.connections_max)
    transport.breaker = breaker
    return transport


def make_breaker(settings: KalshiSettings, rng: Rng) -> ConnectBreaker:
    """What keeps the connects of `open_transport` under the cap of the settings."""
    return ConnectBreaker(Backoff(rng, connects_per_minute_max=settings.connects_per_minute_max))


class KalshiRest:
    """One account's REST. Reads wait for the read budget; writes are paced by whoever approved them."""

    def __init__(
        self, transport: HttpTransport, signer: Signer, settings: KalshiSettings, *, clock: Clock, time: VenueTime
    ) -> None:
        self._transport = transport
        self._signer = signer
        self._settings = settings
        self._clock = clock
        self._time = time
        self._costs = documented_costs()
        assumed = tier_limits(settings.tier).read
        self._read = RateLimiter(capacity=assumed.bucket_capacity, refill_per_s=assumed.refill_rate, clock=clock)
        self._balance = RateLimiter(capacity=1, refill_per_s=1, clock=clock)

    def __repr__(self) -> str:
        return f"<KalshiRest {self._settings.rest_origin} key_id={self._settings.key_id} read={self._read!r}>"

    @property
    def time(self) -> VenueTime:
        """The venue's clock as measured."""
        return self._time

    def adopt_limits(self, limits: RateLimits, costs: CostTable) -> None:
        """Pace reads by these limits from now on."""
        pools = {pool.name: pool for pool in limits.pools}
        self._costs = costs
        self._read.configure(capacity=pools[READ].capacity, refill_per_s=pools[READ].refill_per_s)
        self._balance.configure(capacity=pools[BALANCE].capacity, refill_per_s=pools[BALANCE].refill_per_s)

    def signed(self, call: Call) -> HttpRequest:
        """Sign with the venue's time of now. Every attempt needs a new signature."""
        target = f"{self._settings.rest_prefix}{call.target}"
        headers = self._signer.headers(self._time.now_ms(), call.method, target)
        if call.body:
            headers = (*headers, _JSON)
        # Here all that deletes takes orders out of the market.
        return HttpRequest(call.method, target, headers, call.body, is_urgent=call.method == "DELETE")

    async def send(self, request: HttpRequest, *, last_word: LastWord = nothing_against) -> HttpResponse:
        """Send a write once. Raises `Retryable` when nothing left, `OutcomeUnknown` when something may have."""
        sent_ns = self._clock.monotonic_ns()
        try:
            response = await self._transport.send(
                request, timeout_ms=self._settings.request_timeout_ms, last_word=last_word
            )
        except NotSent as e:
            raise Retryable(f"{request.method} {request.target}: {e}") from e
        except CutOff as e:
            raise OutcomeUnknown(f"{request.method} {request.target}: {e}") from e
        received_ns = self._clock.monotonic_ns()
        if response.status == 401 and parse_answer(response.status, response.body).is_code(TIMESTAMP_EXPIRED):
            # The refusal's own `Date` is then the newest word on the venue's clock.
            self._time.doubt()
        self._time.sample_date(response.headers.get("date"), sent_ns=sent_ns, received_ns=received_ns)
        return response

    async def get(self, path: str, answer: type[T], params: Params = (), *, cost_path: str = "") -> T:
        """Read and decode. `cost_path` is the path with `*` for its variable parts, where it has any.

        Tries again what passes by itself (a cut connection, 5xx, an expired timestamp), three times in all.
        Raises `Retryable`, `RefusedByVenue` or `Fatal`.
        """
        query = urlencode([(name, value) for name, value in params if value is not None])
        call = Call("GET", f"{path}?{query}" if query else path)
        cost = self._costs.of("GET", cost_path or path)
        for attempt in range(1, _READ_TRIES_MAX + 1):
            try:
                body = await self._get_once(call, *self._price(path, cost))
                return self._decode(body, answer, path)
            except Retryable as e:
                if attempt == _READ_TRIES_MAX:
                    raise
                await asyncio.sleep(max(e.after_ms, _RETRY_MS * attempt) / 1000)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def pages(self, path: str, page: type[P], params: Params = ()) -> list[P]:
        """Every page of a list, in the venue's order.

        Raises `RefusedByVenue` when the list is longer than `pages_max` or its cursors run in a circle: the venue
        answers an unreadable cursor with the first page (recorded answer).
        """
        fixed = list(params)
        pages: list[P] = []
        cursor = ""
        seen: set[str] = set()
        while len(pages) < self._settings.pages_max:
            one = await self.get(path, page, [*fixed, ("cursor", cursor or None)])
            pages.append(one)
            cursor = one.cursor
            if not cursor:
                return pages
            if cursor in seen:
                raise RefusedByVenue("cursor_circle", f"{path}: the cursor {cursor!r} came twice")
            seen.add(cursor)
        raise RefusedByVenue(
            "list_too_long",
            f"{path}: more than pages_max={self._settings.pages_max} pages; raise it or narrow the list",
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def _price(self, path: str, cost: int) -> tuple[RateLimiter, int]:
        """Which bucket a read takes its tokens from, and how many."""
        return (self._balance, 1) if path == "/portfolio/balance" else (self._read, cost)

    async def _get_once(self, call: Call, rate_limiter: RateLimiter, cost: int) -> bytes:
        async with rate_limiter.spend(cost):
            try:
                response = await self.send(self._unsigned(call) if call.target in _UNSIGNED else self.signed(call))
            except OutcomeUnknown as e:
                raise Retryable(str(e)) from e
        if response.status == 200:
            return response.body
        failure = failure_of_read(parse_answer(response.status, response.body))
        if isinstance(failure, Retryable) and failure.is_rate_limit:
            rate_limiter.drain()
        raise failure

    def _unsigned(self, call: Call) -> HttpRequest:
        return HttpRequest(call.method, f"{self._settings.rest_prefix}{call.target}")

    @staticmethod
    def _decode(body: bytes, answer: type[T], path: str) -> T:
        try:
            return msgspec.json.decode(body, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise Retryable(f"GET {path}: the answer can't be read as {answer.__name__}: {e}") from e
