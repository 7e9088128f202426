"""What an operator asks of single orders, as kernel events: recorded like every other input, so that replay and
recovery see it. Trading states and adoptions are events too: see `framework.domain.events`.
"""

from __future__ import annotations

import msgspec


class CancelRequested(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An operator wants one of our orders ended. The kernel cancels it in its owner's name; an order that is not
    known or has ended is left alone."""

    venue: str
    client_order_id: str
    reason: str
    ts_recv: int


class OrphanIgnored(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True, array_like=True):
    """An operator knows of an open order at the venue that is not ours, and does not want to be told of it again.
    Durable; ends when the order is adopted."""

    venue: str
    venue_order_id: str
    reason: str
    ts_recv: int
