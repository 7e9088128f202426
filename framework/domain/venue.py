"""What a venue plugin gives the daemon for one account: a connector (streams in) and its gateway (requests out)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order
from framework.domain.verdicts import Approved, Signed

LastWord = Callable[[], str | None]
"""Asked when all waiting is over and the first byte would leave: why it must not after all, or None."""


def nothing_against() -> str | None:
    """The `LastWord` that never objects: the request leaves as soon as a connection is there."""
    return None


IsClaimed = Callable[[str], bool]
"""Whether an order of ours has this venue order id already."""


def nothing_claimed(_venue_order_id: str, /) -> bool:
    """The `IsClaimed` where no order is looked up by its content."""
    return False


class UnreadableRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of one of the account's lists that can't be read, alone neither: what it states is not known.

    `listing` is "orders", "fills" or "positions". `instrument` and `subject` (the venue's id of the order or the fill)
    are empty where the row does not show them. `detail` says which field is wrong and how.
    """

    listing: str
    instrument: InstrumentId
    subject: str
    detail: str


@runtime_checkable
class LeavesRowsOut(Protocol):
    """A gateway whose lists leave out rows that it can't read, and that says which: they must not count as absent. The
    lists of a gateway without it are whole."""

    @property
    def unreadable_rows(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out."""
        ...


class Gateway(Protocol):
    """A venue's way out and its look-ups, for one account.

    `sign` is pure but for the clock; `send` does the I/O. Errors follow `framework.domain.errors`.
    """

    def sign(self, approved: Approved, order: Order | None, /) -> Signed:
        """Build and sign the request with the time of now. `order` is what is known of the order that is changed or
        ended, None for a new one."""
        ...

    async def send(self, signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        """Send and translate the answer into events. A refusal by the venue is an event, not an error. An answer that
        leaves open what traded gives no event: the order keeps its exposure and is looked up. Where the venue does not
        list every fill, the answer to a cancel is CANCEL_PENDING unless it states what was filled: a look-up shows the
        end. A request may wait for a connection: `last_word` decides after that whether it leaves; a reason raises
        `Retryable`.

        Raises `Retryable` when it proved to have had no effect (nothing left; or, with `was_answered`, the venue
        said so), `OutcomeUnknown` when it may have had one, `AccountRefused` when the venue does not take the
        account (key refused; nothing was done).
        """
        ...

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed) -> OrderSnapshot | None:
        """Look an order up by its client id, its venue id, or, where a venue keeps no client id, by what was sent
        (`order.sent_as`) or by content and time. None: the venue shows no such order. Raises like `send`, and
        `RefusedByVenue` when the venue refuses to say.

        By content and time means: the same instrument, side, price, size and terms, taken by the venue not before
        `order.created_ns` (give or take what the clocks may differ), and not `is_claimed` by another order of ours,
        so that two equal orders never match one. A gateway remembers nothing for it, and a restart changes nothing.
        When several fit and nothing tells them apart, raise `Retryable`; never guess. The snapshot carries our client
        id.

        `filled` is the least that the venue states: where it says only that a part is filled, one lot.
        """
        ...

    async def open_orders(self) -> tuple[OrderSnapshot, ...] | None:
        """Every order of the account that is open at the venue, ours or not. None where they can't be listed
        (`VenueTerms.open_orders`). Raises like `find_order`."""
        ...

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...] | None:
        """Every fill of the account since a venue time in nanoseconds, oldest first; a few older ones may come along.
        None where fills can't be listed (`FillListing.BY_ORDER`). Raises like `find_order`."""
        ...

    async def positions(self) -> tuple[PositionReport, ...] | None:
        """Every position of the account that is not flat; one that is missing is flat. None where they can't be read
        (`PositionListing.NONE`). Raises like `find_order`."""
        ...

    @property
    def read_lag_ms(self) -> int:
        """How many milliseconds the venue's reads may lag behind its writes: until then absence proves nothing."""
        ...


def left_out(gateway: Gateway, listing: str) -> tuple[UnreadableRow, ...]:
    """The rows that a gateway's last read of "orders", "fills" or "positions" left out."""
    rows = gateway.unreadable_rows if isinstance(gateway, LeavesRowsOut) else ()
    return tuple(row for row in rows if row.listing == listing)


class Publish(Protocol):
    """Takes an event into the kernel; the event is handled when this returns.

    A connector that hands on what it has received this very moment also says when that was, as wall and as monotonic
    nanoseconds; without them the kernel reads the clocks.
    """

    def __call__(self, event: Event, now_ns: int = 0, monotonic_ns: int = 0, /) -> None: ...


class Connector(Protocol):
    """One venue account: its streams in, its gateway out.

    Call order: `start` once (loads instruments and limits, publishes them), `run` until cancelled (streams,
    reconnects by itself), `close`.
    """

    @property
    def venue(self) -> str:
        """The name of the account in the configuration, `[venues.NAME]`: the first part of its instruments' ids."""
        ...

    @property
    def gateway(self) -> Gateway:
        """The way out for requests and look-ups; the same object during the whole life of the connector."""
        ...

    @property
    def account(self) -> str:
        """Which account of which venue this is, whatever its name here: two daemons must not share one. No secret."""
        ...

    @property
    def is_loopback(self) -> bool:
        """Whether every address it talks to is on this machine."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is assumed of the venue without proof: listed before live use."""
        ...

    async def start(self, publish: Publish, /) -> None:
        """Load instruments and rate limits and publish them as events. May be called again after it failed.

        Raises `Retryable` or `OutcomeUnknown` when the venue does not answer (the daemon tries again), `RefusedByVenue`
        when it refuses, `AccountRefused` when the account can't be used, `ConfigurationError` for what can't be used of
        the settings: then this venue is tried again each minute, and the others go on.
        """
        ...

    async def run(self) -> None:
        """Stream until cancelled. Never returns by itself but by `AccountRefused`, after which `start` and `run` are
        called again, or by `Fatal`, which ends the daemon."""
        ...

    def resync(self, instrument: InstrumentId, /) -> None:
        """Get the instrument's whole book anew: it came to contradict itself, and only a snapshot proves it again.

        Returns at once; the snapshot comes as an event. Does nothing while one is under way, while the stream is
        down, or when asked again within a second.
        """
        ...

    def reread(self, instrument: InstrumentId, /) -> None:
        """Read the instrument again: its position is gone at the venue, or it is one of an earlier run that `start` did
        not define, so it may have been settled without a message.

        Returns at once; what is new comes as events. Does nothing for one of another venue, or while it is under way.
        """
        ...

    async def close(self) -> None:
        """Close every connection and give back what they hold; safe after a `start` that failed."""
        ...
