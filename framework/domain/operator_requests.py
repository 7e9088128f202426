"""What an operator may ask of a running daemon, and the answer. On the wire each is one line of JSON, for example
`{"command": "set_trading_state", "scope": "global", "state": "halted", "reason": "maintenance"}`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from framework.domain.account_events import Scope, TradingState


class SetTradingState(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="set_trading_state", forbid_unknown_fields=True
):
    """Halt, reduce or resume a scope (C14). `target` is empty for the global scope."""

    scope: Scope
    state: TradingState
    reason: str
    target: str = ""


class CancelOrders(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="cancel_orders", forbid_unknown_fields=True
):
    """Cancel one order (by our id or the venue's), those of a strategy, or `is_all`: exactly one of the three."""

    reason: str
    order: str = ""
    strategy: str = ""
    is_all: bool = False


class AdoptExternalOrder(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="adopt_orphan", forbid_unknown_fields=True
):
    """Give an order at the venue that is not ours to a strategy. `order` is the venue's id, or how it begins."""

    order: str
    strategy: str


class CancelExternalOrder(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="cancel_orphan", forbid_unknown_fields=True
):
    """Adopt an orphan in the operator's name, and cancel it."""

    order: str
    reason: str


class IgnoreExternalOrder(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="ignore_orphan", forbid_unknown_fields=True
):
    """Leave an orphan where it is, and stop showing it."""

    order: str
    reason: str


class Reconcile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="reconcile", forbid_unknown_fields=True
):
    """Compare with the venues now. A dry run only reads and tells."""

    is_dry_run: bool = False


SOCKET_NAME = "operator.sock"
"""Where a daemon listens, in its state directory."""

Request = SetTradingState | CancelOrders | AdoptExternalOrder | CancelExternalOrder | IgnoreExternalOrder | Reconcile
"""What can be asked."""

OPERATOR_COMMANDS: tuple[str, ...] = (
    "set_trading_state", "cancel_orders", "adopt_orphan", "cancel_orphan", "ignore_orphan", "reconcile",
)  # fmt: skip
"""The commands' names on the wire."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: whether it was done, sentences for a person, and `data` for a program.

    `is_ok` False: nothing was done, and `lines` say why and what to do instead.
    """

    is_ok: bool
    lines: tuple[str, ...] = ()
    data: Any = None
