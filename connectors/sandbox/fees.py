"""What a fill costs: the model fee, its rounding, and the per-order accumulator that gives rounding back.

Source of the rules: vendor docs of Kalshi as of October 2026. The trade fee is the model fee rounded up to
`FeeModel.unit`; the balance change (revenue - trade fee) is rounded down to `FeeModel.grid`; the difference is the
rounding fee. Rounding fees of one order accumulate over its taker and maker fills; whole grid steps are given back, but
never more than the fill's own fee. The order of accumulation before rebate is an assumption.
"""

from typing import NamedTuple

from connectors.sandbox.model import PPM, FeeModel, MarketSpec


class FillFee(NamedTuple):
    """The fee of one fill in money units: `total` is charged; `accumulated` goes with the order to its next fill."""

    trade: int
    rounding: int
    rebate: int
    accumulated: int

    @property
    def total(self) -> int:
        """What the account pays: trade fee plus rounding fee minus rebate, never negative."""
        return self.trade + self.rounding - self.rebate


def trade_fee(spec: MarketSpec, price: int, *, size: int, taker: bool) -> int:
    """The model fee of `size` at `price`, rounded up to the fee unit."""
    model = spec.fees
    rate = model.taker_ppm if taker else model.maker_ppm
    numerator = rate * model.multiplier_ppm * size * price
    denominator = PPM * PPM
    if model.formula == "quadratic":
        numerator *= spec.one - price
        denominator *= spec.one
    step = denominator * model.unit
    return -(-numerator // step) * model.unit


def fill_fee(model: FeeModel, revenue: int, *, trade: int, accumulated: int = 0) -> FillFee:
    """Round one fill. `revenue` is the signed cash flow without fees, `accumulated` what the order carries so far."""
    grid = model.grid
    exact = revenue - trade
    rounding = exact - exact // grid * grid
    accumulated += rounding
    rebate = min(accumulated, trade + rounding) // grid * grid
    return FillFee(trade, rounding, rebate, accumulated - rebate)


def fee_bound(spec: MarketSpec, price: int, *, size: int, taker: bool) -> int:
    """An amount that covers the fees of filling `size` at `price` in any number of ordinary pieces.

    Two grid steps are added for rounding, unless neither a fee nor a rounding can occur.
    """
    model = trade_fee(spec, price, size=size, taker=taker)
    grid = spec.fees.grid
    if model == 0 and price % grid == 0:
        return 0
    return -(-model // grid) * grid + 2 * grid
