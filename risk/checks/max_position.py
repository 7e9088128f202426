"""The largest position in the worst case (C5)."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from framework.domain.orders import Side
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import ExposureView, Proposal, RiskView
from risk.limit_table import Limit, LimitTable, exceptions_to
from risk.order_proposal import shrinks


class MaxPosition(BaseModel):
    """C5: if everything that could still be bought were bought and nothing sold, the position would be at most the
    limit; and the reverse for sales. What could be bought or sold: working, in-flight and unknown orders, amends
    at their worse, and the order in question.

    Counted per instrument for the whole account, whoever placed the orders, and for the strategy. So an order that can
    only shrink a position passes however far that is above the limit, and none may turn it around further than the
    limit on the other side. An amend after which less could trade than now passes too: the worst case is smaller.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    max_position: Limit = Field(description='Largest long or short position of the account per instrument: "100".')
    max_strategy_position: Limit | None = Field(
        None, description="The same per strategy and instrument; none: only the account's counts."
    )
    overrides: dict[str, Limit] = Field(
        default_factory=dict,
        json_schema_extra=exceptions_to("max_position"),
        description="Exceptions to max_position: instrument pattern = size, first match wins.",
    )
    strategy_overrides: dict[str, Limit] = Field(
        default_factory=dict,
        json_schema_extra=exceptions_to("max_strategy_position"),
        description="Exceptions to max_strategy_position, which must be given then.",
    )

    @model_validator(mode="after")
    def _has_general_limit(self) -> Self:
        if self.strategy_overrides and self.max_strategy_position is None:
            raise ValueError("strategy_overrides: exceptions to no limit; give max_strategy_position too")
        return self

    @cached_property
    def _account(self) -> LimitTable:
        return LimitTable(self.max_position, self.overrides, decimals_of=lambda each: each.size_decimals)

    @cached_property
    def _strategy(self) -> LimitTable | None:
        general = self.max_strategy_position
        if general is None:
            return None
        return LimitTable(general, self.strategy_overrides, decimals_of=lambda each: each.size_decimals)

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with POSITION_MAX, the scope and the worst case; sizes are scaled by the instrument's size
        decimals."""
        if shrinks(proposal):
            return None
        instrument = proposal.instrument
        refusal = _compare(proposal, view.exposure(instrument.id), self._account.scaled(instrument), "account")
        own_limits = self._strategy
        if refusal is not None or own_limits is None:
            return refusal
        exposure = view.strategy_exposure(proposal.strategy, instrument.id)
        return _compare(proposal, exposure, own_limits.scaled(instrument), "strategy")


def _compare(proposal: Proposal, exposure: ExposureView, limit: int, scope: str) -> Refusal | None:
    if proposal.side is Side.BUY:
        worst = exposure.position + exposure.open_buy + proposal.increase
    else:
        worst = exposure.open_sell + proposal.increase - exposure.position
    if worst <= limit and proposal.increase >= 0:
        return None
    return Refusal(
        RefusalCode.POSITION_MAX,
        scope=scope,
        side=proposal.side.value,
        worst=worst,
        max_position=limit,
        position=exposure.position,
        increase=proposal.increase,
    )
