"""A venue's REST: requests signed, sent when they have their turn, tried again where that is safe, and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from connectors.client.pages import NextPage, Place, whole_list
from connectors.client.venue_time import VenueTime
from connectors.client.wire.address import origin_of, path_of
from connectors.client.wire.answers import (
    HTTP_FORBIDDEN,
    NO_ACCESS,
    ErrorResponse,
    Meaning,
    UnreadableAnswer,
    Verdicts,
    after_ms_of,
)
from connectors.client.wire.calls import Call, Params, with_query
from connectors.client.wire.listing import BadRow, Listing, read_page
from connectors.client.wire.reports import NOT_FOUND
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as ResponseLost
from connectors.transport.http_pool import Http1Transport
from connectors.transport.ports import HttpRequest, HttpResponse, HttpTransport
from connectors.transport.reconnect import Backoff, ConnectBreaker
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError
from framework.domain.loading import load_late
from framework.domain.plausibility import UNREADABLE
from framework.domain.ports import Clock, Rng
from framework.domain.rate_limits import RequestKind
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import LastWord, nothing_against

T = TypeVar("T")
P = TypeVar("P")

Sign = Callable[[Call], HttpRequest]
"""Signs a request with the time of now; `target` begins at the root of the host. Every attempt is signed anew."""

_READ_TRIES_MAX = 3
_WRITE_TRIES_MAX = 5
_RETRY_MS = 300
_REPORTED_MAX = 1_000
DONE = (200, 201, 204)
"""The statuses of an answer that says that the request was done."""
_OF_CLOCK = (Meaning.CLOCK, Meaning.ACCOUNT)
_JSON = ("Content-Type", "application/json")


OnAnswer = Callable[[HttpRequest, HttpResponse, int], None]
"""Sees a request, its answer, and the nanoseconds that it took."""


def _nothing_of_it(_request: HttpRequest, _answer: HttpResponse, _took_ns: int, /) -> None:
    """The headers say nothing that is used."""


class RestRules(msgspec.Struct, frozen=True, kw_only=True):
    """What REST is like at a venue.

    `name` is the logger's, `url` the base address, `prefix` the path that every target begins with. `parse_error` reads
    an answer other than success: its status, its body, and the milliseconds that it asks to wait. `row_ids` name the
    fields that identify a row of a list. `unsigned` are the paths of reads that are sent without a signature, as those
    must be that give the venue's time, before it is known. `open_path` is one that anybody may read, for a venue whose
    403 says as little of a right that a key lacks as of an address that is not allowed: it is asked after each 403, and
    when it is forbidden, too, the account is refused. `on_answer` is called with each request, its answer and the
    nanoseconds that it took, whatever the status: for what headers say of the rate limits (`WindowSeen`). `renewed`
    puts the body of what was read into the form that is decoded, at a venue that has had several; it never raises.
    """

    name: str
    url: str
    prefix: str
    timeout_ms: int
    pages_max: int
    verdicts: Verdicts
    parse_error: Callable[[int, bytes, int], ErrorResponse]
    row_ids: tuple[str, ...] = ("id",)
    unsigned: frozenset[str] = frozenset()
    open_path: str = ""
    on_answer: OnAnswer = _nothing_of_it
    renewed: Callable[[bytes], bytes] = bytes


class SignedRest:
    """One account's REST. Reads wait for their `turn`; writes had theirs before they come here."""

    def __init__(
        self,
        transport: HttpTransport,
        sign: Sign,
        rules: RestRules,
        *,
        clock: Clock,
        time: VenueTime,
        turn: TakeTurn = no_limits,
    ) -> None:
        self._transport = transport
        self._sign = sign
        self._rules = rules
        self._clock = clock
        self._time = time
        self._turn = turn
        self._reported: set[tuple[str, str, str]] = set()

    def __repr__(self) -> str:
        return f"<SignedRest {self._rules.url}>"

    @property
    def time(self) -> VenueTime:
        """The venue's clock as measured from responses; signatures and calendars use it."""
        return self._time

    def signed(self, call: Call) -> HttpRequest:
        """Build the request, signed with the venue's time of now. Every attempt needs a new signature."""
        return self._sign(self._from_root(call))

    async def send(self, request: HttpRequest, *, last_word: LastWord = nothing_against) -> HttpResponse:
        """Send once and return the response, whatever its status.

        Raises `Retryable` when no byte left, `OutcomeUnknown` when one may have. A `last_word` that returns a reason
        raises `Retryable`.
        """
        sent_ns = self._clock.monotonic_ns()
        try:
            response = await self._transport.send(request, timeout_ms=self._rules.timeout_ms, last_word=last_word)
        except NotSent as e:
            raise Retryable(f"{request.method} {_shown(request)}: {e}") from e
        except ResponseLost as e:
            raise OutcomeUnknown(f"{request.method} {_shown(request)}: {e}") from e
        received_ns = self._clock.monotonic_ns()
        self._rules.on_answer(request, response, received_ns - sent_ns)
        if response.status not in DONE and self._rules.verdicts.meaning(self._error_of(response))[0] in _OF_CLOCK:
            # The estimate was wrong, or may have been: some venues refuse a key and a timestamp with the same words.
            # The refusal's own `Date` is the newest measurement of the venue's clock.
            self._time.discard()
        self._time.sample_date(response.headers.get("date"), sent_ns=sent_ns, received_ns=received_ns)
        return response

    async def failure_of_write(self, response: HttpResponse, *, is_cancel: bool) -> TidegateError:
        """What an answer to a write means, other than success, as an error to raise: see `Verdicts.of_write`, and
        `RestRules.open_path`, which may be asked."""
        return await self._weighed(self._rules.verdicts.of_write(self._error_of(response), is_cancel=is_cancel))

    async def get(self, path: str, expected: type[T], params: Params = (), *, endpoint: str = "", weight: int = 1) -> T:
        """Read `path` and decode the answer as `expected`. Otherwise like `read`."""
        decode = partial(msgspec.json.decode, type=expected)
        return await self.read(path, decode, params, endpoint=endpoint, weight=weight)

    async def read(
        self,
        path: str,
        decode: Callable[[bytes], T],
        params: Params = (),
        *,
        endpoint: str = "",
        weight: int = 1,
    ) -> T:
        """Read `path` and decode the answer. Otherwise like `ask`, with `path` where `endpoint` is empty."""
        call = Call("GET", with_query(path, params))
        return await self.ask(call, decode, endpoint=endpoint or path, weight=weight)

    async def ask(self, call: Call, decode: Callable[[bytes], T], *, endpoint: str, weight: int = 1) -> T:
        """Send what may be repeated, and decode the answer: a read, or a write that the venue does once however often
        it comes. `endpoint` is the name under which the venue's limits give this request a cost of its own; `weight` is
        how often that cost is due.

        Tries again what passes by itself (a cut connection, 5xx, a refused timestamp), three times in all. Raises
        `Retryable` after the last try, `UnreadableAnswer` for an answer of another form, `RefusedByVenue` for a 4xx,
        `AccountRefused` for a refused key.
        """
        name = f"{call.method} {call.target.partition('?')[0]}"

        async def once() -> T:
            try:
                body = await self._ask_once(call, endpoint, weight)
            except RefusedByVenue as e:
                raise await self._weighed(e) from e
            return _decoded(body, decode, name)

        return await _tried(once, _READ_TRIES_MAX, lambda attempt: _RETRY_MS * attempt)

    async def write(self, call: Call, decode: Callable[[bytes], T]) -> T:
        """Send what is no order and must not be done twice, as what makes a key, and decode the answer.

        It takes no turn, so a limit may be reached: what proves that nothing was done is tried again, five times in
        all. Raises like `send`, like `Verdicts.of_write` for an answer other than success, and `OutcomeUnknown` for one
        that can't be read.
        """
        return await _tried(
            lambda: self.write_signed(self.signed(call), decode),
            _WRITE_TRIES_MAX,
            lambda attempt: _RETRY_MS * 2 ** (attempt - 1),
        )

    async def write_signed(self, request: HttpRequest, decode: Callable[[bytes], T]) -> T:
        """Send once what `signed` made, of what is no order and must not be done twice, as what moves funds: its owner
        writes down before that it leaves. Raises like `write`, `OutcomeUnknown` for an answer that proves nothing."""
        name = f"{request.method} {_shown(request)}"
        response = await self.send(request)
        if response.status not in DONE:
            failure = await self.failure_of_write(response, is_cancel=False)
            unproved = f"{name}: {self._error_of(response).text}: this proves nothing"
            raise OutcomeUnknown(unproved) if isinstance(failure, OutcomeUnknown) else failure
        try:
            return _decoded(response.body, decode, name)
        except Retryable as e:
            raise OutcomeUnknown(str(e)) from e

    async def listing(
        self,
        path: str,
        page: type[P],
        next_page: NextPage[P],
        params: Params = (),
        *,
        endpoint: str = "",
        weight: int = 1,
        is_known: Callable[[Any], bool] | None = None,
    ) -> Listing[Any]:
        """Read every page of a list, in the venue's order, as `whole_list` does. `params` are those of the first page;
        where a later page names one of them, that takes its place. Rows that can't be read are among its `bad` ones,
        and each is reported in the log once. Raises like `read` and like `whole_list`."""
        first, decode = list(params), partial(read_page, page=page, ids=self._rules.row_ids)

        async def read(place: Place) -> tuple[P, Listing[Any]]:
            moved = {name for name, _ in place}
            kept = [one for one in first if one[0] not in moved]
            return await self.read(path, decode, [*kept, *place], endpoint=endpoint, weight=weight)

        pages_max = self._rules.pages_max
        found = await whole_list(read, next_page, name=path, pages_max=pages_max, is_known=is_known)
        for row in found.bad:
            self.report(path, row)
        return found

    def report(self, path: str, row: BadRow) -> None:
        """Say in the log that a row can't be read, once for each row and reason."""
        key = (path, row.name, row.reason)
        if key not in self._reported and len(self._reported) < _REPORTED_MAX:
            self._reported.add(key)
            # Late, because it loads for a while, and a process that ends orders has no log.
            log = load_late("structlog:get_logger")(self._rules.name)
            log.warning("a row of a list can't be read", list=path, row=row.name, reason=row.reason)

    async def close(self) -> None:
        """Close the connections; requests in flight end with `OutcomeUnknown`."""
        await self._transport.close()

    async def _ask_once(self, call: Call, endpoint: str, weight: int) -> bytes:
        async with self._turn(RequestKind.QUERY, endpoint, weight) as turn:
            try:
                response = await self.send(self._request(call))
            except Retryable:
                turn.not_sent()
                raise
            except OutcomeUnknown as e:
                raise Retryable(str(e)) from e
            if response.status in DONE:
                return self._rules.renewed(response.body)
            failure = self._rules.verdicts.of_read(self._error_of(response))
            if isinstance(failure, Retryable) and failure.is_rate_limit:
                turn.was_limited()
            raise failure

    async def _weighed(self, failure: TidegateError) -> TidegateError:
        """A refusal as it is to be raised: where what anybody may read is forbidden as well, it is not about this one
        request, and the account is refused."""
        path = self._rules.open_path
        if not path or not isinstance(failure, RefusedByVenue) or failure.status != HTTP_FORBIDDEN:
            return failure
        try:
            await self._ask_once(Call("GET", path), path, 1)
        except RefusedByVenue as e:
            return AccountRefused(f"{failure.message}: {NO_ACCESS}") if e.status == HTTP_FORBIDDEN else failure
        except AccountRefused as e:
            return e
        except Retryable:
            return failure
        return failure

    def _error_of(self, response: HttpResponse) -> ErrorResponse:
        return self._rules.parse_error(response.status, response.body, after_ms_of(response.headers))

    def _request(self, call: Call) -> HttpRequest:
        if call.target.partition("?")[0] in self._rules.unsigned:
            return request_of(self._from_root(call))
        return self.signed(call)

    def _from_root(self, call: Call) -> Call:
        return Call(call.method, f"{self._rules.prefix}{call.target}", call.body, call.is_urgent)


def request_of(call: Call, headers: tuple[tuple[str, str], ...] = ()) -> HttpRequest:
    """A request with these headers, and with that of JSON where it has a body and they don't name it."""
    given = (*headers, _JSON) if call.body and _JSON not in headers else headers
    return HttpRequest(call.method, call.target, given, call.body, is_urgent=call.is_urgent)


def open_transport(
    origin: str, *, connections_max: int, clock: Clock, breaker: ConnectBreaker, proxy: str = ""
) -> Http1Transport:
    """The HTTP client of an address ("https://host[:port]"), through `proxy` where one is given; no connection is
    opened yet."""
    transport = Http1Transport(origin, clock=clock, connections_max=connections_max, proxy=proxy)
    transport.breaker = breaker
    return transport


def make_breaker(rng: Rng, *, connects_per_minute_max: int) -> ConnectBreaker:
    """The breaker that keeps the connects of `open_transport` under a number in any minute."""
    return ConnectBreaker(Backoff(rng, connects_per_minute_max=connects_per_minute_max))


class RestSettings(Protocol):
    """The settings of an account that its REST needs, under the names of `connectors.client.settings`."""

    @property
    def rest_url(self) -> str:
        """REST base address with its path."""
        ...

    @property
    def request_timeout_ms(self) -> int:
        """Longest time for one request, waits included."""
        ...

    @property
    def connections_max(self) -> int:
        """Most connections kept open."""
        ...

    @property
    def connects_per_minute_max(self) -> int:
        """Most connection attempts in any minute."""
        ...

    @property
    def pages_max(self) -> int:
        """Most pages read of one list."""
        ...


def open_rest(
    name: str,
    settings: RestSettings,
    sign: Callable[[VenueTime], Sign],
    *,
    verdicts: Verdicts,
    parse_error: Callable[[int, bytes, int], ErrorResponse],
    unsigned: frozenset[str],
    clock: Clock,
    rng: Rng,
    proxy: str = "",
    turn: TakeTurn = no_limits,
    on_answer: OnAnswer = _nothing_of_it,
) -> SignedRest:
    """The REST of an account by its settings; no connection is opened yet. `name` is the logger's, the path of
    `rest_url` that of every target; `sign` gets the venue's measured clock; the rest as in `RestRules`."""
    time = VenueTime(clock)
    rules = RestRules(
        name=name,
        url=settings.rest_url,
        prefix=path_of(settings.rest_url),
        timeout_ms=settings.request_timeout_ms,
        pages_max=settings.pages_max,
        verdicts=verdicts,
        parse_error=parse_error,
        unsigned=unsigned,
        on_answer=on_answer,
    )
    breaker = make_breaker(rng, connects_per_minute_max=settings.connects_per_minute_max)
    http = open_transport(
        origin_of(settings.rest_url),
        connections_max=settings.connections_max,
        clock=clock,
        breaker=breaker,
        proxy=proxy,
    )
    return SignedRest(http, sign(time), rules, clock=clock, time=time, turn=turn)


async def or_none(read: Awaitable[T]) -> T | None:
    """Await a read of one object. None when the venue does not know it (`not_found`); raises like the read itself."""
    try:
        return await read
    except RefusedByVenue as e:
        if not e.code.startswith(NOT_FOUND):
            raise
        return None


async def _tried(once: Callable[[], Awaitable[T]], tries_max: int, pause_ms: Callable[[int], int]) -> T:
    """What `once` returns, tried again while it raises `Retryable`, but for an answer that would be the same again: so
    often in all, with a pause after each attempt (1, 2, …), or the longer one that the venue asks for."""
    for attempt in range(1, tries_max + 1):
        try:
            return await once()
        except UnreadableAnswer:
            raise
        except Retryable as e:
            if attempt == tries_max:
                raise
            await asyncio.sleep(max(e.after_ms, pause_ms(attempt)) / 1000)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _shown(request: HttpRequest) -> str:
    """The target without its query, which may hold a signature."""
    return request.target.partition("?")[0]


def _decoded(body: bytes, decode: Callable[[bytes], T], name: str) -> T:
    try:
        return decode(body)
    except msgspec.ValidationError as e:
        raise UnreadableAnswer(f"{name}: the answer can't be read: {e}") from e
    except UNREADABLE as e:
        raise Retryable(f"{name}: the answer can't be read: {e}") from e
