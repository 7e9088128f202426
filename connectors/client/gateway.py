"""The way of an order out: signed, sent once, and reported as far as the answer proves it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from connectors.client.rest import DONE, SignedRest
from connectors.client.wire.calls import Call
from connectors.client.wire.reports import refused
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import OrderSnapshot
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.intents import CANCELS, NewOrder
from framework.domain.orders import Order, OrderKind
from framework.domain.ports import Clock
from framework.domain.venue import IsClaimed, LastWord, nothing_against
from framework.domain.verdicts import Approved, Signed


def digest_of(request: HttpRequest) -> str:
    """SHA-256 of target and body. A venue whose orders state something of the request hashes that instead, so that an
    order is known again after a crash."""
    return hashlib.sha256(request.target.encode() + b"\n" + request.body).hexdigest()


async def _reported(_approved: Approved, _refusal: RefusedByVenue, _request: HttpRequest) -> None:
    """Every refusal is reported as one."""


OnRefusal = Callable[[Approved, RefusedByVenue, HttpRequest], Awaitable[tuple[Event, ...] | None]]
"""What more a venue finds in a refusal than a refusal: the events to publish instead, None for none."""


def shown_when_taken(code: str, find: Callable[[str], Awaitable[OrderSnapshot | None]]) -> OnRefusal:
    """For `OrderCodec.on_refusal`, where a new order is refused with `code` because our id is in use at the venue.

    Then an earlier attempt has arrived, and the order that is there is shown, as `find` reads it by our id; it is
    `OutcomeUnknown` when it can't be read. Ids must be unique for ever, as those of the framework are.
    """

    async def found(
        approved: Approved, refusal: RefusedByVenue, _request: HttpRequest
    ) -> tuple[OrderSnapshot, ...] | None:
        if not isinstance(approved.intent, NewOrder) or refusal.code != code:
            return None
        order = await find(approved.client_order_id)
        if order is None:
            raise OutcomeUnknown(f"{approved.client_order_id} exists at the venue, and is not listed yet")
        return (order,)

    return found


def one_alike(
    found: Iterable[OrderSnapshot], order: Order, *, since_ns: int, is_claimed: IsClaimed
) -> OrderSnapshot | None:
    """The order among those `found` that has the terms of ours and was taken since `since_ns` (the venue's time), with
    our id; None when there is none. For venues that keep no client id and show nothing else of what was sent.

    A market order's price and the size of one by amount are not compared. Raises `Retryable` when several are like it.
    """
    alike = [one for one in found if _has_terms(one, order) and one.created_ns >= since_ns]
    free = [one for one in alike if not is_claimed(one.venue_order_id)]
    if len(free) > 1:
        raise Retryable(f"{order.client_order_id}: {len(free)} orders are like it, and nothing tells them apart")
    return msgspec.structs.replace(free[0], client_order_id=order.client_order_id) if free else None


def _has_terms(one: OrderSnapshot, order: Order) -> bool:
    is_priced, is_sized = order.kind is OrderKind.LIMIT, not order.quote_amount
    return (
        (one.instrument, one.side) == (order.instrument, order.side)
        and (one.price == order.price or not is_priced)
        and (one.size == order.size or not is_sized)
    )


class OrderCodec(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue adds to an order's way out.

    `encode` makes the request of what was approved and of the order to change (None for a new one); it raises
    `Retryable` when the order must be looked up first, `RefusedByVenue` when it can't be asked for. `decode` turns the
    body of a successful answer into events, and raises `OutcomeUnknown` for one that can't be read. `on_refusal` may
    find more in a refusal than a refusal: its events are returned instead, None has it reported as one; when a read of
    it fails, the outcome is unknown. `digest` is of what is signed.
    """

    encode: Callable[[Approved, Order | None], Call]
    decode: Callable[[Approved, bytes], tuple[Event, ...]]
    on_refusal: OnRefusal = _reported
    digest: Callable[[HttpRequest], str] = digest_of


class OrderGateway:
    """Signs and sends; `sign` and `send` are those of `framework.domain.venue.Gateway`. A venue's gateway holds one and
    adds the look-ups. Call `send` right after `sign`, because the signature's timestamp ages."""

    def __init__(self, rest: SignedRest, codec: OrderCodec, *, clock: Clock) -> None:
        self._rest = rest
        self._codec = codec
        self._clock = clock

    def sign(self, approved: Approved, order: Order | None) -> Signed:
        """Build and sign the request with a timestamp of now. Raises what `encode` raises."""
        request = self._rest.signed(self._codec.encode(approved, order))
        return Signed(approved, request, self._codec.digest(request))

    async def send(self, signed: Signed, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        """Send once. Refusals by the venue come back as events.

        Raises `Retryable` when nothing was done and another try may succeed, `OutcomeUnknown` when something may have
        been done, `AccountRefused` for a refused key, and `TypeError` for a request that was not signed here.
        """
        request = signed.wire
        if not isinstance(request, HttpRequest):
            raise TypeError(f"wire: {type(request).__name__} was not signed by this gateway")
        response = await self._rest.send(request, last_word=last_word)
        approved = signed.approved
        if response.status in DONE:
            return self._codec.decode(approved, response.body)
        failure = await self._rest.failure_of_write(response, is_cancel=isinstance(approved.intent, CANCELS))
        if not isinstance(failure, RefusedByVenue):
            raise failure
        try:
            events = await self._codec.on_refusal(approved, failure, request)
        except (Retryable, RefusedByVenue, AccountRefused) as e:
            # There was more to find than a refusal: until it is found, the order may be at the venue.
            raise OutcomeUnknown(f"{failure}; what exists at the venue can't be looked up: {e}") from e
        return refused(approved, failure, ts_recv=self._clock.now_ns()) if events is None else events
