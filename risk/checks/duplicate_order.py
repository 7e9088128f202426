"""Not the same order twice within a moment (C10)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.intents import NewOrder
from framework.domain.orders import Side
from framework.domain.verdicts import Approved, Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView

_NS_PER_MS = 1_000_000

_Content = tuple[str, str, bool, int, int]
"""Strategy, instrument, whether it buys, price and size."""


class DuplicateOrder(BaseModel):
    """C10: a new order is not one that the strategy has placed within `duplicate_ms` before: of the same instrument,
    side, price and size, whatever has become of that one since. A strategy that means it says so
    (`allow_duplicate=True`). Amends pass, and so do repeats of what was refused.

    That no client order id is used twice needs no setting: ids are counted, and the state refuses a second one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicate_ms: int = Field(
        ge=0, le=3_600_000, description="The same order is refused for so many milliseconds; 0: never."
    )

    def begin(self, before: RecentOrders | None = None, /) -> RecentOrders:
        """The check at work, with the orders that `before` knows."""
        return RecentOrders(self.duplicate_ms, {} if before is None else before.approved_ns)


class RecentOrders:
    """The orders that were approved within the last `duplicate_ms` milliseconds, by their content, with the monotonic
    time of the newest of each. Older ones are forgotten as new ones come."""

    follows = (Approved,)

    def __init__(self, duplicate_ms: int, approved_ns: dict[_Content, int]) -> None:
        self._duplicate_ns = duplicate_ms * _NS_PER_MS
        self.approved_ns = approved_ns

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with DUPLICATE_ORDER, and say how many milliseconds the other one is old."""
        intent = proposal.intent
        if not self._duplicate_ns or not isinstance(intent, NewOrder) or intent.allow_duplicate:
            return None
        placed_ns = self.approved_ns.get(_content_of(intent))
        if placed_ns is None or view.monotonic_ns - placed_ns > self._duplicate_ns:
            return None
        return Refusal(
            RefusalCode.DUPLICATE_ORDER,
            age_ms=(view.monotonic_ns - placed_ns) // _NS_PER_MS,
            duplicate_ms=self._duplicate_ns // _NS_PER_MS,
            give="allow_duplicate=True if it is meant",
        )

    def follow(self, approved: Approved, view: RiskView, /) -> tuple[()]:
        """Keep what was approved, and forget what is too old to matter."""
        if self._duplicate_ns and isinstance(approved.intent, NewOrder):
            kept, now_ns = self.approved_ns, view.monotonic_ns
            content = _content_of(approved.intent)
            kept.pop(content, None)
            kept[content] = now_ns
            # In the order of their times: what is too old stands first.
            while now_ns - kept[oldest := next(iter(kept))] > self._duplicate_ns:
                del kept[oldest]
        return ()


def _content_of(intent: NewOrder) -> _Content:
    return intent.strategy, intent.instrument, intent.side is Side.BUY, intent.price, intent.size
