"""A venue's terms: what it offers to this account. Its connector declares them (`TermsDeclared`), the gate refuses what
is not offered, and reconciliation asks only for what can be asked."""

from __future__ import annotations

from enum import Enum

import msgspec

from framework.domain.orders import OrderKind, TimeInForce, TriggerKind


class FillListing(Enum):
    """Where the account's own fills can be read."""

    LISTED = "listed"
    """Every fill is in the list of fills."""
    BY_ORDER = "by_order"
    """Nowhere; an order states how much of it is filled, and at what cost."""
    TAKER_ONLY = "taker_only"
    """The list of fills leaves out those of resting orders; only the position shows them."""


class PositionListing(Enum):
    """Whether the account's positions can be read."""

    LISTED = "listed"
    NONE = "none"
    """They can't, as at most spot venues: balances are compared in their place."""


class CancelAllScope(Enum):
    """What one request can cancel at once."""

    NONE = "none"
    """Nothing: orders are cancelled one by one."""
    MARKET = "market"
    """Every order of the account in one market."""
    ACCOUNT = "account"
    """Every order of the account."""


class VenueTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue offers. The defaults are those of a connector that declares none: it lists everything, and takes
    limit orders alone.

    `open_orders`: whether open orders can be listed. `client_ids`: whether an order can be looked up by our id.
    `good_till_date`: whether an order can end by itself at a given time. `quote_amounts`: whether the size of a market
    order can be given as an amount of the quote currency. `trading`: whether the account's key may trade; without it
    there is data only.
    """

    open_orders: bool = True
    fills: FillListing = FillListing.LISTED
    positions: PositionListing = PositionListing.LISTED
    client_ids: bool = True
    cancel_all: CancelAllScope = CancelAllScope.NONE
    amend: bool = True
    post_only: bool = True
    reduce_only: bool = True
    times_in_force: tuple[TimeInForce, ...] = tuple(TimeInForce)
    good_till_date: bool = True
    order_kinds: tuple[OrderKind, ...] = (OrderKind.LIMIT,)
    triggers: tuple[TriggerKind, ...] = ()
    quote_amounts: bool = False
    trading: bool = True


UNDECLARED = VenueTerms()
"""The terms of a venue that has declared none."""
