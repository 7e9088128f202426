"""What a fill costs: the model fee, its rounding, and the per-order accumulator that gives rounding back.

Source of the rules: vendor docs of Kalshi as of October 2026. The trade fee is the model fee rounded up to
`FeeModel.fee_step`; the balance change (revenue - trade fee) is rounded down to `FeeModel.balance_step`; the difference
is the rounding fee. Rounding fees of one order accumulate over its taker and maker fills; whole balance steps are given
back, but never more than the fill's own fee. That a rounding is accumulated before the rebate is taken is an
*assumption*.
"""

from typing import NamedTuple

from connectors.sandbox.engine.model import PPM, FeeModel, MarketSpec


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
    """The model fee of `size` at `price`, as money rounded up to `FeeModel.fee_step`; 0 where the rate is 0."""
    model = spec.fees
    rate = model.taker_ppm if taker else model.maker_ppm
    numerator = rate * model.multiplier_ppm * size * price
    denominator = PPM * PPM
    if model.formula == "quadratic":
        numerator *= spec.one - price
        denominator *= spec.one
    step = denominator * model.fee_step
    return -(-numerator // step) * model.fee_step


def fill_fee(model: FeeModel, revenue: int, *, trade: int, accumulated: int = 0) -> FillFee:
    """Round one fill; all arguments and results are money.

    `revenue` is the signed cash flow without fees, `trade` the fill's trade fee, `accumulated` the rounding that the
    order carries from earlier fills and has not been given back.
    """
    step = model.balance_step
    exact = revenue - trade
    rounding = exact - exact // step * step
    accumulated += rounding
    rebate = min(accumulated, trade + rounding) // step * step
    return FillFee(trade, rounding, rebate, accumulated - rebate)


def fee_bound(spec: MarketSpec, price: int, *, size: int, taker: bool) -> int:
    """An amount that covers the fees of filling `size` at `price` in any number of ordinary pieces.

    Two balance steps are added for rounding, unless neither a fee nor a rounding can occur. Very many very small pieces
    can cost more: `Execution` then cancels orders until the reserve is covered.
    """
    fee = trade_fee(spec, price, size=size, taker=taker)
    step = spec.fees.balance_step
    if fee == 0 and price % step == 0:
        return 0
    return -(-fee // step) * step + 2 * step
