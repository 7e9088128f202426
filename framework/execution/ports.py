"""What a dispatcher is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from framework.domain.errors import AccountRefused, Fatal
from framework.domain.events import Event
from framework.domain.intents import CancelAll
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.rate_limits import RequestKind
from framework.domain.venue import Gateway
from framework.domain.verdicts import Signed
from framework.execution.request_queue import QueuedRequest, RequestQueue

STAGES = ("sign", "durable", "venue")
"""The stages of a request whose latency is observed: signing, waiting for the journal, waiting for the answer."""


class DispatchBudget(Protocol):
    """The dispatcher's side of a venue's budget; `risk.budget.venue_budget.VenueBudget` says what each call means."""

    def dispatch_wait_ns(self, kind: RequestKind, monotonic_ns: int, /) -> int:
        """Nanoseconds until a held request of this kind may be sent; 0 = now."""
        ...

    def start(self, kind: RequestKind, /) -> None:
        """One held request is about to be sent: its tokens count as under way."""
        ...

    def take_back(self, kind: RequestKind, /) -> None:
        """A started request has proved not to have left."""
        ...


def nobody_asks(_order: Order) -> None:
    """Nothing follows from a refused change: for a core without a reconciler."""


def stay(_error: AccountRefused) -> None:
    """Nothing follows from a refused account: for a core without a daemon."""


def covers_nothing(_intent: CancelAll) -> Sequence[Order]:
    """No order is known: for a core that cancels them one by one."""
    return ()


def keep_no_ledger(_signed: Signed) -> None:
    """Nothing is compared: for a core without a send ledger."""


def never() -> bool:
    """No newer run takes over: for a core without a state directory."""
    return False


class DispatchDependencies(msgspec.Struct, frozen=True, kw_only=True):
    """What a dispatcher needs.

    `publish` is the kernel's; `wait_durable` returns once everything recorded so far is durable; `observe` takes
    the latency of one of `STAGES` in nanoseconds; `on_fatal` is told when the account can't be used any more;
    `why_unwanted` says why a queued request must not leave any more, None when it may
    (`framework.execution.last_look.LastLook`);
    `on_account_refused` is called when the venue refuses the account: nothing of the request was done;
    `covered` says which of our orders a cancel of all is to end: what becomes of the request is reported of each;
    `on_refused` is called with an order whose change the venue refused: it may have ended without a report of it;
    `why_unaccounted` says why what was signed must not be written, because it is not what was approved and recorded;
    None when it may, asked once for each write (`framework.execution.send_ledger.SendLedger`);
    `is_fenced` says that a newer run has taken over the state: nothing is sent any more, not even a cancel.
    """

    venue: str
    gateway: Gateway
    queue: RequestQueue
    publish: Callable[[Event], None]
    find: Callable[[str], Order | None]
    budget: Callable[[], DispatchBudget | None]
    wait_durable: Callable[[], Awaitable[None]]
    observe: Callable[[str, int], None]
    on_fatal: Callable[[Fatal], None]
    why_unwanted: Callable[[QueuedRequest], str | None]
    clock: Clock
    on_refused: Callable[[Order], None] = nobody_asks
    covered: Callable[[CancelAll], Sequence[Order]] = covers_nothing
    on_account_refused: Callable[[AccountRefused], None] = stay
    is_fenced: Callable[[], bool] = never
    why_unaccounted: Callable[[Signed], str | None] = keep_no_ledger
    requests_max: int = 8
