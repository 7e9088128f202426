"""Ending every open order of an account over REST alone: what `framework.domain.mass_cancel` asks of a venue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec

from connectors.client.rest import DONE, SignedRest
from connectors.client.wire.calls import Call
from connectors.client.wire.listing import Listing
from framework.domain.errors import Retryable
from framework.domain.mass_cancel import OpenOrder
from framework.domain.rate_limits import RateLimits, RequestKind
from framework.domain.terms import CancelAllScope
from framework.domain.turns import TakeTurn


async def _not_listed() -> None:
    """Open orders can't be listed."""


async def _open_until_proved(_order: OpenOrder) -> bool:
    """Where orders are listed, the list says it."""
    return True


def _says_nothing(_body: bytes) -> bool:
    """An answer says that a cancel was taken, no more."""
    return False


async def _not_offered(symbol: str) -> Call:
    raise NotImplementedError(symbol)


class MassCancelWay(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue adds.

    `list_open` reads every open order, or returns None where they can't be listed; `is_open` reads one there. `cancel`
    is the request that ends one, and `is_ended` says of its answer whether it states the end. `cancel_all` is the
    request for a market (its symbol) or the account (""), as `scope` says; it may have to read something first.
    """

    limits: RateLimits
    read_lag_ms: int
    cancel: Callable[[OpenOrder], Call]
    is_ended: Callable[[bytes], bool] = _says_nothing
    list_open: Callable[[], Awaitable[Sequence[OpenOrder] | None]] = _not_listed
    is_open: Callable[[OpenOrder], Awaitable[bool]] = _open_until_proved
    scope: CancelAllScope = CancelAllScope.NONE
    cancel_all: Callable[[str], Awaitable[Call]] = _not_offered


class RestMassCancel:
    """Implements `framework.domain.mass_cancel.MassCancel`: requests that wait for their turn, then are sent once."""

    def __init__(self, venue: str, rest: SignedRest, way: MassCancelWay, *, is_loopback: bool, turn: TakeTurn) -> None:
        self.venue = venue
        self.is_loopback = is_loopback
        self._rest = rest
        self._way = way
        self._turn = turn

    def __repr__(self) -> str:
        return f"<RestMassCancel {self.venue} {self._rest!r}>"

    @property
    def limits(self) -> RateLimits:
        """The venue's documented limits."""
        return self._way.limits

    @property
    def is_listing(self) -> bool:
        """Whether the venue lists open orders."""
        return self._way.list_open is not _not_listed

    @property
    def scope(self) -> CancelAllScope:
        """What `cancel_all` ends: the account, a market, or nothing."""
        return self._way.scope

    @property
    def read_lag_ms(self) -> int:
        """Milliseconds for which reads may lag behind writes."""
        return self._way.read_lag_ms

    async def open_orders(self) -> Sequence[OpenOrder] | None:
        """Every open order, None where they can't be listed. Raises like reads."""
        return await self._way.list_open()

    async def is_open(self, order: OpenOrder, /) -> bool:
        """Whether the venue shows the order open. Raises like reads."""
        return await self._way.is_open(order)

    async def cancel(self, order: OpenOrder, /) -> bool:
        """Have a cancel taken; whether the answer states the order's end. Raises like writes."""
        return self._way.is_ended(await self._send(self._way.cancel(order)))

    async def cancel_all(self, symbol: str, /) -> None:
        """Have a cancel of all taken. Raises like writes."""
        await self._send(await self._way.cancel_all(symbol))

    async def close(self) -> None:
        """Close the connections; what is under way ends with `OutcomeUnknown`."""
        await self._rest.close()

    async def _send(self, call: Call) -> bytes:
        """Send a cancel once it has its turn; its tokens count unless it is proved that no byte left."""
        async with self._turn(RequestKind.CANCEL) as turn:
            try:
                # Signed after the wait: the signature's time ages.
                response = await self._rest.send(self._rest.signed(call))
            except Retryable:
                turn.not_sent()
                raise
            if response.status in DONE:
                return response.body
            failure = await self._rest.failure_of_write(response, is_cancel=True)
            if isinstance(failure, Retryable) and failure.is_rate_limit:
                turn.was_limited()
            raise failure


def orders_of(listed: Listing[Any], read: Callable[[Any], OpenOrder], name: str) -> Iterable[OpenOrder]:
    """The orders of a list, of which `name` is the field of the venue's id. One whose row can't be read is known by
    that alone. Raises `Retryable` for a row without an id: what is open is not known then."""
    for row in listed.rows:
        yield read(row)
    for bad in listed.bad:
        if not bad.text(name):
            raise Retryable(f"a row of the open orders can't be read: {bad.reason}")
        yield OpenOrder(venue_order_id=bad.text(name), symbol="")
