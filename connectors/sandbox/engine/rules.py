"""What differs from venue to venue in how orders are taken, matched and cancelled: one `Rules` value per exchange."""

from typing import Literal

import msgspec

from connectors.sandbox.engine.model import OrderKind, SelfTrade, TriggerKind

Halted = Literal["none", "marked", "all"]
"""Which resting orders a halt ends: none, those that asked for it (`cancel_on_pause`), or all."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are the plainest: everything is offered, nothing is cancelled by itself, cancels are done at once.

    `self_trade` is for orders that do not choose. `kinds` and `triggers` are what is offered. `refuses_unfillable_fok`:
    a fill-or-kill order that cannot be filled is refused; else it is accepted and ends "unfilled". A cancel takes from
    `cancel_min_ns` to `cancel_max_ns`, evenly drawn: until then the order is "cancelling" and may trade; 0 is at once.
    `lists_maker_fills`: false where a member never sees the fills that it made as a maker.
    """

    self_trade: SelfTrade = "allow"
    kinds: tuple[OrderKind, ...] = ("limit", "market")
    triggers: tuple[TriggerKind, ...] = ("stop", "take_profit")
    reduce_only_needs_ioc: bool = False
    post_only_needs_gtc: bool = True
    expiry_needs_gtc: bool = True
    refuses_unfillable_fok: bool = False
    pause_cancels: Halted = "none"
    resume_cancels: Halted = "none"
    cancel_min_ns: int = 0
    cancel_max_ns: int = 0
    lists_maker_fills: bool = True
