"""Why a daemon is not ready to trade: reasons of known kinds, so that a metric has a series for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

import msgspec

from framework.domain.account_events import Scope, TradingState
from framework.domain.instruments import InstrumentStatus
from framework.engine.kernel import Kernel
from framework.runtime.metrics import Metrics, Sample
from framework.state.trading_states import TradingStates
from framework.venues import BookWatch


class NotReadyKind(Enum):
    """What keeps a daemon from being ready. The values are a format: metrics show them."""

    STARTING = "starting"
    VENUE_DOWN = "venue_down"
    VENUE_UNUSABLE = "venue_unusable"
    """A venue refuses the account, or can't be used as it is configured; it is tried again each minute."""
    BOOK_STALE = "book_stale"
    HALTED = "halted"
    """Everything is halted; a halt of one scope leaves the others ready."""
    POSITION_DIFFERS = "position_differs"
    FOREIGN_ORDERS = "foreign_orders"
    """Open orders that a daemon with another state directory placed are to be decided about."""
    QUARANTINED = "quarantined"
    STOPPING = "stopping"


class NotReady(msgspec.Struct, frozen=True):
    """One reason: its kind, the sentence for people, and the venue, instrument or strategy that it is about, empty when
    it is about all of them."""

    kind: NotReadyKind
    text: str
    target: str = ""


def halt_reasons(trading: TradingStates) -> list[NotReady]:
    """The reason that a halt of everything is; none for halts of a part, nor for the shutdown, which says so itself."""
    return [
        NotReady(NotReadyKind.HALTED, f"everything is halted: {row.reason}")
        for row in trading.rows()
        if row.scope is Scope.GLOBAL and trading.is_set(Scope.GLOBAL, "", TradingState.HALTED)
    ][:1]


def quarantines(kernel: Kernel) -> list[NotReady]:
    """A reason for each strategy that is quarantined."""
    return [
        NotReady(NotReadyKind.QUARANTINED, f"strategy {host.name} is quarantined", host.name)
        for host in kernel.hosts.values()
        if host.is_quarantined
    ]


def stale_books(kernel: Kernel, watches: Iterable[BookWatch]) -> list[NotReady]:
    """The stale books of active instruments that a strategy trades, while their venue is up."""
    traded = {instrument for name in kernel.hosts for instrument in kernel.instruments_of(name)}
    known = kernel.dependencies.accounts.instruments
    return [
        NotReady(NotReadyKind.BOOK_STALE, f"book {instrument} is stale: {reason}", instrument)
        for watch in watches
        for instrument, reason in watch.stale.items()
        if instrument in traded and known[instrument].status is InstrumentStatus.ACTIVE
    ]


def scopes_in(trading: TradingStates, state: TradingState) -> list[dict[str, str]]:
    """The scopes that are in this state, each with its target and reason, as `/readyz` lists them."""
    return [
        {"scope": row.scope.value, "target": row.target, "reason": row.reason}
        for row in trading.rows()
        if row.state is state
    ]


def show_readiness(metrics: Metrics, not_ready: Callable[[], Sequence[NotReady]]) -> None:
    """Make metrics of the reasons: whether there is one, and a series for each kind."""
    metrics.ready.pull(lambda: [((), int(not not_ready()))])
    metrics.not_ready.pull(lambda: _by_kind(not_ready()))


def _by_kind(reasons: Iterable[NotReady]) -> Iterable[Sample]:
    found = {reason.kind for reason in reasons}
    return [((kind.value,), int(kind in found)) for kind in NotReadyKind]
