"""A client for what the daemon never does by itself: order groups, decrease, and batches.

It is for operators and engineers, at a prompt or in a script. It is not a way for orders of strategies: it takes no
intent and no verdict, asks no risk gate and writes no journal, and the daemon has no reference to it. Whatever it
places on an account that a daemon trades appears there as an external order. Both use the same rate limits without
knowing of each other, so give such an account's client a smaller `tier`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from connectors.kalshi.rest import queries
from connectors.kalshi.rest.client import KalshiRest, make_breaker, open_transport
from connectors.kalshi.rest.clock_sync import VenueTime
from connectors.kalshi.rest.rate_limiter import RateLimiter
from connectors.kalshi.rest.rate_limits import CostTable, documented_costs, tier_limits
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire import write_requests
from connectors.kalshi.wire.account_messages import BatchItem, BatchResponse, OrderAck, OrderGroupCreated
from connectors.kalshi.wire.encode import Call
from connectors.kalshi.wire.errors import detail_text, failure_of_write, parse_error
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.kalshi.wire.write_requests import OrderRef, OrderTerms
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable, TidegateError
from framework.domain.numbers import Size
from framework.domain.ports import Clock, Rng

T = TypeVar("T")

_ORDERS = "/portfolio/events/orders"
_GROUPS = "/portfolio/order_groups"


class AccountWrites:
    """Writes of one account, each sent once, when its tokens are there.

    Every write raises `ValueError` before anything is sent for invalid terms, `RefusedByVenue` for a refusal,
    `Retryable` when nothing happened and another try may succeed, `OutcomeUnknown` when something may have happened
    (read orders or groups before trying again), and `Fatal` for a refused key. Reads are in `queries`. Sizes are
    hundredths of a contract. `shard` None lets the venue choose; the write then counts against every shard's limit
    (vendor docs).
    """

    def __init__(self, rest: KalshiRest, settings: KalshiSettings, *, clock: Clock) -> None:
        """Pace by the documented limits of `settings.tier` until `learn_limits` is called."""
        self._rest = rest
        self._subaccount = settings.subaccount
        self._costs: CostTable = documented_costs()
        assumed = tier_limits(settings.tier).write
        self._rate_limiter = RateLimiter(
            capacity=assumed.bucket_capacity, refill_per_s=assumed.refill_rate, clock=clock
        )

    def __repr__(self) -> str:
        return f"<AccountWrites {self._rest!r} write={self._rate_limiter!r}>"

    @property
    def rest(self) -> KalshiRest:
        """The same account's reads, for the functions of `queries`."""
        return self._rest

    async def learn_limits(self) -> None:
        """Read the account's costs and limits and pace by them from now on. Raises like `KalshiRest.get`."""
        self._costs = CostTable(await queries.get_endpoint_costs(self._rest))
        bucket = (await queries.get_account_limits(self._rest)).write
        self._rate_limiter.configure(capacity=bucket.bucket_capacity, refill_per_s=bucket.refill_rate)

    async def batch_create(self, orders: Sequence[OrderTerms]) -> tuple[BatchItem, ...]:
        """Place several orders; the items are in the same order, each with an id or with its own `error`.

        `failure_of` classifies an item's error. The whole batch must fit the write bucket, or the venue refuses all
        of it (vendor docs): a larger one raises `ValueError`. Raises `OutcomeUnknown` also when the items do not match
        the orders.
        """
        call = write_requests.batch_create(orders, subaccount=self._subaccount)
        items = _items(await self._send(call, f"{_ORDERS}/batched", count=len(orders)), len(orders))
        for asked, item in zip(orders, items, strict=True):
            if item.client_order_id and item.client_order_id != asked.client_order_id:
                raise OutcomeUnknown(f"the response has {item.client_order_id} in the place of {asked.client_order_id}")
        return items

    async def batch_cancel(self, orders: Sequence[OrderRef]) -> tuple[BatchItem, ...]:
        """Cancel several orders; the items are in the same order. An order that has ended is `not_found`."""
        call = write_requests.batch_cancel(orders, subaccount=self._subaccount)
        body = await self._send(call, f"{_ORDERS}/batched", count=len(orders), is_cancel=True)
        return _items(body, len(orders))

    async def decrease(self, order: OrderRef, *, by: Size | None = None, to: Size | None = None) -> OrderAck:
        """Shrink what rests of an order by or to a size; give exactly one. `remaining_count` is what rests now."""
        call = write_requests.decrease(order, by=by, to=to, subaccount=self._subaccount)
        return _decoded(await self._send(call, f"{_ORDERS}/*/decrease"), OrderAck)

    async def create_group(self, limit: Size, *, shard: int | None = None) -> str:
        """Make an order group; return its id. More than `limit` matched within 15 s cancels its orders (vendor docs).

        Raises `OutcomeUnknown` also when the response names no group.
        """
        call = write_requests.create_group(limit, shard=shard, subaccount=self._subaccount)
        created = _decoded(await self._send(call, f"{_GROUPS}/create"), OrderGroupCreated)
        if not created.order_group_id:
            raise OutcomeUnknown("the response names no group; list the groups")
        return created.order_group_id

    async def limit_group(self, group_id: str, limit: Size, *, shard: int | None = None) -> None:
        """Change a group's limit. Below what matched in the last 15 s it cancels the group's orders (vendor docs)."""
        call = write_requests.limit_group(group_id, limit, shard=shard, subaccount=self._subaccount)
        await self._send(call, f"{_GROUPS}/*/limit")

    async def reset_group(self, group_id: str, *, shard: int | None = None) -> None:
        """Start a group's count from zero, so that it takes orders again after it was triggered."""
        call = write_requests.act_on_group(group_id, "reset", shard=shard, subaccount=self._subaccount)
        await self._send(call, f"{_GROUPS}/*/reset")

    async def trigger_group(self, group_id: str, *, shard: int | None = None) -> None:
        """Cancel a group's orders now; it takes no new ones until it is reset."""
        call = write_requests.act_on_group(group_id, "trigger", shard=shard, subaccount=self._subaccount)
        await self._send(call, f"{_GROUPS}/*/trigger", is_cancel=True)

    async def delete_group(self, group_id: str, *, shard: int | None = None) -> None:
        """Remove a group and cancel its orders."""
        call = write_requests.delete_group(group_id, shard=shard, subaccount=self._subaccount)
        await self._send(call, f"{_GROUPS}/*", is_cancel=True)

    async def close(self) -> None:
        """Close the HTTP connections; a write in flight ends with `OutcomeUnknown`."""
        await self._rest.close()

    async def _send(self, call: Call, cost_path: str, *, count: int = 1, is_cancel: bool = False) -> bytes:
        """Wait for the tokens, sign, send once. `cost_path` has `*` for its variable parts."""
        cost = self._costs.of(call.method, cost_path) * count
        if cost > self._rate_limiter.capacity:
            raise ValueError(
                f"orders: {count} of them cost {cost} tokens, and the write bucket holds "
                f"{self._rate_limiter.capacity}; send them in smaller batches"
            )
        async with self._rate_limiter.spend(cost):
            response = await self._rest.send(self._rest.signed(call))
        if response.status in (200, 201, 204):
            return response.body
        failure = failure_of_write(parse_error(response.status, response.body), is_cancel=is_cancel)
        if isinstance(failure, Retryable) and failure.is_rate_limit:
            self._rate_limiter.drain()
        raise failure


def connect(settings: KalshiSettings, *, clock: Clock, rng: Rng) -> AccountWrites:
    """A client of the account of these settings; nothing is opened yet. Raises `ConfigurationError` for a bad key.

    Call order: `connect`, `learn_limits`, the writes, `close`.
    """
    signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
    transport = open_transport(settings, clock=clock, breaker=make_breaker(settings, rng))
    rest = KalshiRest(transport, signer, settings, clock=clock, time=VenueTime(clock))
    return AccountWrites(rest, settings, clock=clock)


def failure_of(item: BatchItem) -> TidegateError | None:
    """The failure of one item of a batch: None when done, `RefusedByVenue` with the venue's code, `OutcomeUnknown`
    for an item that proves neither."""
    if item.error is not None:
        said = " ".join(part for part in (item.error.message, detail_text(item.error.details)) if part)
        return RefusedByVenue(item.error.code, said) if item.error.code else OutcomeUnknown(said or "an empty error")
    return None if item.order_id else OutcomeUnknown("the item has neither an order's id nor an error")


def _items(body: bytes, count: int) -> tuple[BatchItem, ...]:
    items = _decoded(body, BatchResponse).orders
    if len(items) != count:
        raise OutcomeUnknown(f"{count} orders were sent and {len(items)} answered; look them up")
    return items


def _decoded(body: bytes, expected: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise OutcomeUnknown(f"the response can't be read as {expected.__name__}: {e}: {body[:200]!r}") from e
