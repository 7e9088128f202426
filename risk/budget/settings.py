"""How a venue's budget is kept, and which limits make sense."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.rate_limits import Pool, PoolShape, RateLimits


class BudgetSettings(BaseModel):
    """How a venue's budget is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cancel_reserve_percent: int = Field(
        10,
        ge=0,
        le=90,
        description="Part of a pool's capacity that new orders, amends and queries leave alone. Reducing orders may "
        "use its upper half, each strategy a part of it; its lower half is for cancels alone.",
    )
    query_share_percent: int = Field(
        10,
        ge=1,
        le=50,
        description="Part of a pool's flow that queries have for themselves where orders take from the same pool.",
    )
    cancel_within_ms: int = Field(
        1_000,
        ge=0,
        le=600_000,
        description="Every open order can be cancelled within this time: a new order that would make them too many is "
        "refused. As many cancels as the limit can hold at once are kept back in any case.",
    )
    clock_drift_ppm: int = Field(
        200,
        ge=0,
        le=5_000,
        description="By how much our clock may outrun the venue's, in millionths: that much refill is not counted.",
    )


def require_valid(limits: RateLimits) -> None:
    """Raises `ValueError` for limits that are not positive, and for costs that name no pool."""
    names = {pool.name for pool in limits.pools}
    for pool in limits.pools:
        flaw = _flaw_of(pool)
        if flaw:
            raise ValueError(f"limits.pools.{pool.name}: {flaw}")
    for cost in limits.costs:
        if cost.pool not in names or cost.tokens < 0:
            raise ValueError(
                f"limits.costs.{cost.kind.value}: {cost.tokens} tokens of pool {cost.pool!r} make no sense; "
                f"the pools are {sorted(names)}"
            )


def _flaw_of(pool: Pool) -> str:
    if pool.capacity <= 0 or pool.refill <= 0 or pool.period_ns <= 0:
        given = f"capacity {pool.capacity}, refill {pool.refill} and period_ns {pool.period_ns}"
        return f"{given} must be positive"
    if pool.shape is PoolShape.WINDOW and pool.refill != pool.capacity:
        return f"refill {pool.refill} of a window must be its capacity, {pool.capacity}"
    return ""
