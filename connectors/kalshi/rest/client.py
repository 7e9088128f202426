"""Kalshi's REST: requests signed, sent when they have their turn, and their failures classified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
import structlog

from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call, Params, with_query
from connectors.client.wire.listing import BadRow, Listing, read_page
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.errors import TIMESTAMP_EXPIRED, failure_of_read, parse_error
from connectors.kalshi.wire.sign import Signer
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as ResponseLost
from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest, HttpResponse, HttpTransport
from connectors.transport.reconnect import Backoff, ConnectBreaker
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.ports import Clock, Rng
from framework.domain.rate_limits import RequestKind
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import LastWord, nothing_against

_JSON = ("Content-Type", "application/json")
_UNSIGNED = frozenset({"/exchange/status"})
"""What is read before the venue's clock is known. Exchange endpoints are public (vendor docs)."""
_READ_TRIES_MAX = 3
_RETRY_MS = 300
_ROW_IDS = ("trade_id", "order_id", "ticker", "event_ticker")


_REPORTED_MAX = 1_000
_log = structlog.get_logger("kalshi")


T = TypeVar("T")


def open_transport(
    settings: KalshiSettings, *, clock: Clock, breaker: ConnectBreaker, proxy: str = ""
) -> Http1Transport:
    """The HTTP client for the REST address of `settings`, through `proxy` where one is given; no connection is opened
    yet."""
    transport = Http1Transport(settings.rest_origin, clock=clock, connections_max=settings.connections_max, proxy=proxy)
    transport.breaker = breaker
    return transport


def make_breaker(settings: KalshiSettings, rng: Rng) -> ConnectBreaker:
    """The breaker that keeps the connects of `open_transport` under `connects_per_minute_max`."""
    return ConnectBreaker(Backoff(rng, connects_per_minute_max=settings.connects_per_minute_max))


class KalshiRest:
    """One account's REST. Reads wait for their `turn`; writes had theirs before they come here."""

    def __init__(
        self,
        transport: HttpTransport,
        signer: Signer,
        settings: KalshiSettings,
        *,
        clock: Clock,
        time: VenueTime,
        turn: TakeTurn = no_limits,
    ) -> None:
        self._transport = transport
        self._signer = signer
        self._settings = settings
        self._clock = clock
        self._time = time
        self._turn = turn
        self._reported: set[tuple[str, str, str]] = set()

    def __repr__(self) -> str:
        return f"<KalshiRest {self._settings.rest_origin} key_id={self._settings.key_id}>"

    @property
    def time(self) -> VenueTime:
        """The venue's clock as measured from responses; signatures and calendars use it."""
        return self._time

    def signed(self, call: Call) -> HttpRequest:
        """Build the request, signed with the venue's time of now. Every attempt needs a new signature."""
        target = f"{self._settings.rest_prefix}{call.target}"
        headers = self._signer.headers(self._time.now_ms(), call.method, target)
        if call.body:
            headers = (*headers, _JSON)
        return HttpRequest(call.method, target, headers, call.body, is_urgent=call.is_urgent)

    async def send(self, request: HttpRequest, *, last_word: LastWord = nothing_against) -> HttpResponse:
        """Send once and return the response, whatever its status.

        Raises `Retryable` when no byte left, `OutcomeUnknown` when one may have. A `last_word` that returns a reason
        raises `Retryable`.
        """
        sent_ns = self._clock.monotonic_ns()
        try:
            response = await self._transport.send(
                request, timeout_ms=self._settings.request_timeout_ms, last_word=last_word
            )
        except NotSent as e:
            raise Retryable(f"{request.method} {request.target}: {e}") from e
        except ResponseLost as e:
            raise OutcomeUnknown(f"{request.method} {request.target}: {e}") from e
        received_ns = self._clock.monotonic_ns()
        if response.status == 401 and parse_error(response.status, response.body).is_code(TIMESTAMP_EXPIRED):
            # The estimate was wrong; the refusal's own `Date` is the newest measurement of the venue's clock.
            self._time.discard()
        self._time.sample_date(response.headers.get("date"), sent_ns=sent_ns, received_ns=received_ns)
        return response

    async def get(self, path: str, expected: type[T], params: Params = (), *, cost_path: str = "") -> T:
        """Read `path` and decode the response as `expected`.

        `cost_path` is the path with `*` for its variable parts, where it has any; parameters of None are left out.

        Tries again what passes by itself (a cut connection, 5xx, an expired timestamp), three times in all.
        Raises `Retryable` after the last try, `UnreadableAnswer` for an answer of another form, `RefusedByVenue` for a
        4xx, `Fatal` for a refused key.
        """
        return await self._get(path, partial(msgspec.json.decode, type=expected), params, cost_path=cost_path)

    async def listing(self, path: str, page: type, params: Params = ()) -> Listing[Any]:
        """Read every page of a list, in the venue's order. Rows that can't be read are among its `bad` ones, and each
        is reported in the log once.

        Raises `RefusedByVenue` when the list is longer than `pages_max` or its cursors run in a circle: the venue
        returns the first page for an unreadable cursor (recorded answer). Otherwise raises like `get`.
        """
        fixed, decode = list(params), partial(read_page, page=page, ids=_ROW_IDS)
        found: Listing[Any] = Listing([], [])
        cursor = ""
        seen: set[str] = set()
        for _ in range(self._settings.pages_max):
            whole, rows = await self._get(path, decode, [*fixed, ("cursor", cursor or None)])
            self._add(found, rows, path)
            cursor = whole.cursor or ""
            if not cursor:
                return found
            if cursor in seen:
                raise RefusedByVenue("cursor_circle", f"{path}: the cursor {cursor!r} came twice")
            seen.add(cursor)
        raise RefusedByVenue(
            "list_too_long",
            f"{path}: more than pages_max={self._settings.pages_max} pages; raise it or narrow the list",
        )

    def _add(self, found: Listing[Any], rows: Listing[Any], path: str) -> None:
        found.rows += rows.rows
        found.bad += rows.bad
        for row in rows.bad:
            self.report(path, row)

    def report(self, path: str, row: BadRow) -> None:
        """Say in the log that a row can't be read, once for each row and reason."""
        key = (path, row.name, row.reason)
        if key not in self._reported and len(self._reported) < _REPORTED_MAX:
            self._reported.add(key)
            _log.warning("a row of a list can't be read", list=path, row=row.name, reason=row.reason)

    async def close(self) -> None:
        """Close the connections; requests in flight end with `OutcomeUnknown`."""
        await self._transport.close()

    async def _get(self, path: str, decode: Callable[[bytes], T], params: Params, *, cost_path: str = "") -> T:
        call = Call("GET", with_query(path, params))
        for attempt in range(1, _READ_TRIES_MAX + 1):
            try:
                return _decoded(await self._get_once(call, cost_path or path), decode, path)
            except UnreadableAnswer:
                raise
            except Retryable as e:
                if attempt == _READ_TRIES_MAX:
                    raise
                await asyncio.sleep(max(e.after_ms, _RETRY_MS * attempt) / 1000)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _get_once(self, call: Call, endpoint: str) -> bytes:
        async with self._turn(RequestKind.QUERY, endpoint) as turn:
            try:
                response = await self.send(self._unsigned(call) if call.target in _UNSIGNED else self.signed(call))
            except Retryable:
                turn.not_sent()
                raise
            except OutcomeUnknown as e:
                raise Retryable(str(e)) from e
            if response.status == 200:
                return response.body
            failure = failure_of_read(parse_error(response.status, response.body))
            if isinstance(failure, Retryable) and failure.is_rate_limit:
                turn.was_limited()
            raise failure

    def _unsigned(self, call: Call) -> HttpRequest:
        return HttpRequest(call.method, f"{self._settings.rest_prefix}{call.target}")


def _decoded(body: bytes, decode: Callable[[bytes], T], path: str) -> T:
    try:
        return decode(body)
    except msgspec.ValidationError as e:
        raise UnreadableAnswer(f"GET {path}: the response can't be read: {e}") from e
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise Retryable(f"GET {path}: the response can't be read: {e}") from e
