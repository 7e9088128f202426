"""The largest position in the worst case (C5)."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from framework.domain.orders import Side
from framework.domain.ports import ExposureView, Proposal, RiskView
from framework.domain.refusals import Refusal, RefusalCode
from risk.limit_table import Limit, LimitTable


class MaxPosition(BaseModel):
    """C5: if everything that could still be bought were bought and nothing sold, the position would be at most the
    limit; and the reverse for sales. What could be bought or sold: working, in-flight and unknown orders, amends
    at their worse, and the order in question.

    Counted per instrument for the whole account and for the strategy. An order that can only shrink both positions,
    whatever else fills first, passes also above a limit; by its meaning it can't turn a position around.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_position: Limit = Field(description='Largest long or short position of the account per instrument: "100".')
    max_strategy_position: Limit | None = Field(
        None, description="The same per strategy and instrument; none: only the account's counts."
    )
    overrides: dict[str, Limit] = Field(
        default_factory=dict, description="Exceptions to max_position: instrument pattern = size, first match wins."
    )
    strategy_overrides: dict[str, Limit] = Field(
        default_factory=dict, description="Exceptions to max_strategy_position, which must be given then."
    )

    _account: LimitTable = PrivateAttr()
    _strategy: LimitTable | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _has_general_limit(self) -> Self:
        if self.strategy_overrides and self.max_strategy_position is None:
            raise ValueError("strategy_overrides: exceptions to no limit; give max_strategy_position too")
        return self

    def model_post_init(self, context: Any, /) -> None:
        """Prepare the scaled limits."""
        self._account = LimitTable(self.max_position, self.overrides, decimals_of=lambda each: each.size_decimals)
        if self.max_strategy_position is not None:
            self._strategy = LimitTable(
                self.max_strategy_position, self.strategy_overrides, decimals_of=lambda each: each.size_decimals
            )

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with POSITION_MAX."""
        if proposal.is_reducing:
            return None
        instrument = proposal.instrument
        refusal = _compare(proposal, view.exposure(instrument.id), self._account.scaled(instrument), "account")
        if refusal is not None or self._strategy is None:
            return refusal
        exposure = view.strategy_exposure(proposal.strategy, instrument.id)
        return _compare(proposal, exposure, self._strategy.scaled(instrument), "strategy")


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
