"""What an operator may ask of a running daemon, and the answer.

On the wire each is one line of JSON, for example
`{"command": "set_trading_state", "scope": "global", "state": "halted", "reason": "maintenance"}`. Unknown members are
refused: a misspelt `target` must not turn a halt of one venue into a halt of everything. The way of a request: the
command line makes it (`framework.cli.operator`), the socket reads it (`framework.ops.operator_socket`), the daemon
serves it (`framework.ops.operator_commands`).
"""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec

from framework.domain.account_events import Scope, TradingState

SOCKET_NAME = "operator.sock"
"""Where a daemon listens, in its state directory."""

OPERATOR = "operator"
"""Who sets a trading state by request, and in whose name external orders are adopted that are no strategy's: those to
be cancelled, and those of a daemon of before. No strategy may be named so."""

BY_THE_OPERATOR = "by the operator"
"""The reason that is recorded where none was given."""

NAME_ONE = "cancel: name one order, or --strategy S, --venue V, --instrument I, or --all"
"""Why a `CancelOrders` is refused that does not name exactly one of its five."""


WHOSE_EXTERNAL = "cancel: --external goes with --venue V, --instrument I or --all: other orders are no strategy's"
"""Why a `CancelOrders` is refused that wants orders of others and names one order or a strategy."""


NAME_ONE_ALERT = "ack: name one alert as `tidegate alerts` does, or --all"
"""Why an `AcknowledgeAlerts` is refused that does not name exactly one of its two."""


class SetTradingState(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="set_trading_state", forbid_unknown_fields=True
):
    """Halt, reduce or resume a scope (C14). `target` is empty for the global scope, else what is named there: a venue,
    an instrument or a strategy. A resume needs a `reason`. `is_cancelling` also cancels what is open in the scope.
    `for_ms`: so many milliseconds later it ends by itself; 0 for never. `is_dry_run`: only say what it would do.
    `is_kill`: a resume that takes the kill latch of this scope away, too; without it, one under a latch is refused."""

    scope: Scope
    state: TradingState
    reason: str
    target: str = ""
    is_cancelling: bool = False
    for_ms: int = 0
    is_dry_run: bool = False
    is_kill: bool = False


class Kill(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="kill", forbid_unknown_fields=True):
    """Set the kill latch of a venue, or of everything, where it is not set, act on it now, and say what is left: `data`
    of the answer has a row for each venue. Ask again to see what has ended since."""

    venue: str = ""
    reason: str = ""
    by: str = OPERATOR


class CancelOrders(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="cancel_orders", forbid_unknown_fields=True
):
    """Cancel one order (by our id or the venue's), those of a strategy, venue or instrument, or `is_all`: exactly one
    of the five. `with_external`, for a venue, an instrument or all: also the open orders there that are not ours, which
    are adopted in the operator's name first. `is_dry_run`: only say what it would cancel."""

    reason: str
    order: str = ""
    strategy: str = ""
    is_all: bool = False
    venue: str = ""
    instrument: str = ""
    with_external: bool = False
    is_dry_run: bool = False

    @property
    def names_one(self) -> bool:
        """Whether exactly one of the five is given; any other request is refused with `NAME_ONE`."""
        named = (self.order, self.strategy, self.venue, self.instrument, self.is_all)
        return [bool(one) for one in named].count(True) == 1


class AdoptExternalOrder(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="adopt_orphan", forbid_unknown_fields=True
):
    """Give an order at the venue that is not ours to a strategy. `order` is the venue's id, or how it begins."""

    order: str
    strategy: str


class CancelExternalOrder(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="cancel_orphan", forbid_unknown_fields=True
):
    """Adopt such an order in the operator's name, and cancel it: only an order of ours can be cancelled and retried."""

    order: str
    reason: str


class IgnoreExternalOrder(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="ignore_orphan", forbid_unknown_fields=True
):
    """Leave such an order where it is, and show it only on request from now on; `reason` is recorded."""

    order: str
    reason: str


class Reconcile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="reconcile", forbid_unknown_fields=True
):
    """Compare with the venues now. A dry run only reads: nothing is published, nothing halts."""

    is_dry_run: bool = False


class MoveFunds(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="move_funds", forbid_unknown_fields=True
):
    """Move funds out of the account at a venue, which its configuration must allow. `verb` is "transfer", to another
    account of the venue (`to`), or "withdraw", out of it, to a chain where it asks for one (`chain_id`). `amount` is a
    decimal in units of `asset`. `is_again`: an operator has looked what became of one that was unknown."""

    venue: str
    verb: str
    asset: str
    amount: str
    to: str = ""
    chain_id: int = 0
    is_again: bool = False

    @property
    def flaw(self) -> str:
        """Why it can't be asked for, in the words of the command line; empty when it can."""
        if not _AMOUNT.fullmatch(self.amount) or not self.amount.strip("0."):
            return f"--amount: {self.amount} is no amount; write a decimal above 0, as in 100.5"
        if not _NAME.fullmatch(self.asset):
            return f"--asset: {self.asset!a} is no asset; write it as the venue does, as in USDC"
        if self.verb == "transfer" and not _NAME.fullmatch(self.to):
            return f"--to: {self.to!a} is no account; give the address or name that the venue knows it by"
        return ""


_AMOUNT = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_NAME = re.compile(r"[!-~]{1,128}")


class ShowFundMove(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="show_fund_move", forbid_unknown_fields=True
):
    """Say what has become of a move of funds; `id` is the venue's."""

    venue: str
    verb: str
    id: str


class Flatten(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="flatten", forbid_unknown_fields=True
):
    """Get strategies out of their positions in a scope: it is set reducing, its orders are cancelled, and limit orders
    work the positions out for `time_ms`, each at most `collar_bps` beyond the other side's best price. `is_dry_run`:
    only say what would be worked out."""

    scope: Scope
    reason: str
    target: str = ""
    time_ms: int = 20_000
    collar_bps: int = 50
    is_dry_run: bool = False


class SetLimit(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="set_limit", forbid_unknown_fields=True
):
    """Give a setting of a check of the gate another value while the daemon runs. `key` is dotted; `value` is TOML, and
    empty for the configuration's. What is not surely stricter waits for the same request once more, with the word of
    the first answer in `confirm`, within a minute."""

    check: str
    key: str
    value: str
    reason: str
    confirm: str = ""


class ShowLimits(msgspec.Struct, frozen=True, tag_field="command", tag="show_limits", forbid_unknown_fields=True):
    """Say every setting of the checks as it counts now: `data` of the answer are `framework.domain.views.LimitView`s.
    Changes nothing."""

    check: str = ""


class ShowAlerts(msgspec.Struct, frozen=True, tag_field="command", tag="alerts", forbid_unknown_fields=True):
    """List the alerts that hold, and the outputs: `data` of the answer is a `framework.ops.alerts.alert.AlertsShown`.
    Changes nothing."""


class AcknowledgeAlerts(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="acknowledge_alerts", forbid_unknown_fields=True
):
    """Take over the alerts of one name, or `is_all` that nobody has: they are not repeated any more. `by` is who does,
    `reason` what that person says."""

    name: str = ""
    is_all: bool = False
    reason: str = ""
    by: str = OPERATOR


class SendTestAlert(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag="send_test_alert", forbid_unknown_fields=True
):
    """Send a message to one output of alerts now, and say whether it was taken."""

    output: str


class ShowStatus(msgspec.Struct, frozen=True, tag_field="command", tag="status", forbid_unknown_fields=True):
    """Say how the daemon is: `data` of the answer is a `framework.ops.status.Status`. Changes nothing."""


Request = (
    SetTradingState
    | CancelOrders
    | AdoptExternalOrder
    | CancelExternalOrder
    | IgnoreExternalOrder
    | Reconcile
    | ShowStatus
    | MoveFunds
    | ShowFundMove
    | SetLimit
    | ShowLimits
    | Flatten
    | ShowAlerts
    | AcknowledgeAlerts
    | SendTestAlert
    | Kill
)
"""Everything that can be asked: the one list. A new request is a struct above and a member here; what reads it off the
wire follows from this, and a test names each place that does not serve it yet."""

OPERATOR_COMMANDS: tuple[str, ...] = tuple(str(one.__struct_config__.tag) for one in get_args(Request))
"""The names of the commands on the wire, in the order of `Request`."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: whether it was done, sentences to read in `lines`, and `data` for a program.

    `is_ok` False: nothing was done, and `lines` say why and what to do instead.
    """

    is_ok: bool
    lines: tuple[str, ...] = ()
    data: Any = None
