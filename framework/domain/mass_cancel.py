"""What a venue plugin gives a process beside the daemon that ends every open order of an account.

It must work while the daemon hangs or is dead, and within a moment: so it knows no instruments, no streams and no
kernel, only the venue's ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from framework.domain.rate_limits import RateLimits
from framework.domain.terms import CancelAllScope


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that may be open at a venue, and the venue's name of its market. `client_order_id` is empty where the
    venue shows none."""

    venue_order_id: str
    symbol: str
    client_order_id: str = ""


class Stamps(Protocol):
    """Milliseconds for the signatures of a process beside the daemon: none that the daemon, or such a process before
    this one, has used. Venues take an equal stamp for a replay."""

    def first_from(self, stamp_ms: int, /) -> int:
        """The first one from `stamp_ms` on that is free; it is used from now on."""
        ...


class MassCancel(Protocol):
    """Ends the open orders of one account.

    A plugin's `mass_cancel(name, settings, *, clock, rng, turn, stamps, see)` makes it without opening a connection,
    with `proxy` as a further argument where it can connect through one; it raises `ConfigurationError` for a secret
    that can't be used. `turn` gives reads and cancels alike their part of `limits`; `see` takes what answers show of a
    window (`WindowSeen`). All that is awaited raises `Retryable`
    when nothing was done, `OutcomeUnknown` when something may have been, `RefusedByVenue` for a refusal and
    `AccountRefused` for a refused key.
    """

    @property
    def venue(self) -> str:
        """The name of the account in the configuration."""
        ...

    @property
    def is_loopback(self) -> bool:
        """Whether every address it talks to is on this machine."""
        ...

    @property
    def limits(self) -> RateLimits:
        """The venue's documented limits."""
        ...

    @property
    def is_listing(self) -> bool:
        """Whether the venue lists open orders."""
        ...

    @property
    def scope(self) -> CancelAllScope:
        """What `cancel_all` ends: the account, one market, or nothing where the venue has no such request."""
        ...

    @property
    def read_lag_ms(self) -> int:
        """How many milliseconds the venue's reads may lag behind its writes."""
        ...

    async def open_orders(self) -> Sequence[OpenOrder] | None:
        """Every order that is open at the venue, ours or not; None where the venue does not list them."""
        ...

    async def is_open(self, order: OpenOrder, /) -> bool:
        """Whether the venue shows this one order open. Called only where open orders are not listed."""
        ...

    async def cancel(self, order: OpenOrder, /) -> bool:
        """Have the venue take a cancel of one order; whether its answer states that the order has ended."""
        ...

    async def cancel_all(self, symbol: str, /) -> None:
        """Have the venue take a cancel of all orders of a market, or of the account, where `symbol` is empty."""
        ...

    async def close(self) -> None:
        """Close every connection, whatever was answered."""
        ...
