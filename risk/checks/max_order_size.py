"""The largest order (C1)."""

from __future__ import annotations

from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView
from risk.limit_table import Limit, LimitTable, exceptions_to
from risk.order_proposal import shrinks


class MaxOrderSize(BaseModel):
    """C1: what one order may come to over its life is at most `max_size`. For an amend that is the new total, what has
    traded of the order included: an order that is amended up after each fill comes to no more than a new one may.

    Of any size may be what makes the worst case smaller: an order that can only close positions, in the account and in
    the strategy (so it turns neither around), and an amend after which less could trade than now."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    max_size: Limit = Field(description='Largest order in contracts or coins, for example "100".')
    overrides: dict[str, Limit] = Field(
        default_factory=dict,
        json_schema_extra=exceptions_to("max_size"),
        description='Exceptions: instrument pattern = size, first match wins, for example {"kalshi:KXBTC*" = "20"}.',
    )

    @cached_property
    def _table(self) -> LimitTable:
        return LimitTable(self.max_size, self.overrides, decimals_of=lambda each: each.size_decimals)

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with ORDER_SIZE_MAX; `size`, `max_size` and what has `filled` of the size are scaled by the
        instrument's size decimals."""
        size, max_size = proposal.intent.size, self._table.scaled(proposal.instrument)
        if 0 <= size <= max_size or proposal.is_reducing or shrinks(proposal):
            return None
        if proposal.order is None:
            return Refusal(RefusalCode.ORDER_SIZE_MAX, size=size, max_size=max_size)
        return Refusal(RefusalCode.ORDER_SIZE_MAX, size=size, max_size=max_size, filled=proposal.order.filled)
