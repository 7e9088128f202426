"""What the exchange engine speaks: markets, orders, fills, requests, answers. Plain records, integers only.

Units: a price counts 10^-price_decimals, a size 10^-size_decimals, money 10^-(price_decimals + size_decimals), so that
price x size is money without any division. Times are nanoseconds since the epoch. Zero means "not set" for times.
The engine is written apart from the daemon on purpose: it shares no type with it, so it can contradict it.

Identifiers from the injected generator: the same seed names the same things.

Prices on a banded tick grid.
"""

import random
from typing import Literal

import msgspec

Side = Literal["bid", "ask"]
TimeInForce = Literal["gtc", "ioc", "fok"]
SelfTrade = Literal["taker_at_cross", "maker"]
OrderStatus = Literal["resting", "canceled", "executed"]
MarketKind = Literal["binary", "spot"]
MarketStatus = Literal["initialized", "active", "inactive", "closed", "determined", "finalized"]
Phase = Literal["open", "trading_paused", "exchange_paused"]
UpdateReason = Literal[
    "",
    "Decrease",
    "Amend",
    "MarginCancel",
    "SelfTradeCancel",
    "ExpiryCancel",
    "CloseCancel",
    "HaltCancel",
    "Trade",
    "PostOnlyCrossCancel",
    "ReduceOnlyCancel",
]
"""Why an order last changed (vendor docs). Cancels by the owner or by an order group are a Decrease."""

PPM = 1_000_000


class FeeModel(msgspec.Struct, frozen=True):
    """How one fill is charged. `formula` "quadratic" is rate x size x P x (1 - P); "notional" is rate x size x P.

    Rates are parts per million of money, `multiplier_ppm` scales both. `unit` is the step (in money units) to which
    the trade fee is rounded up; `grid` the step to which an account's balance change is rounded down.
    """

    formula: Literal["quadratic", "notional"] = "quadratic"
    taker_ppm: int = 70_000
    maker_ppm: int = 0
    multiplier_ppm: int = PPM
    unit: int = 1
    grid: int = 100


class PriceBand(msgspec.Struct, frozen=True):
    """Valid prices from `start` to `end` (inclusive) in steps of `step`."""

    start: int
    end: int
    step: int


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What never changes about a market. `quote` and `base` name assets; a binary market has no base.

    Times: it opens by itself at `open_ns`, closes at `close_ns`, cancels what rests `cancel_delay_ns` later, is
    determined `determine_delay_ns` after the close and paid out `settle_delay_ns` after that. A close of 0 means never.
    """

    market_id: str
    kind: MarketKind = "binary"
    price_decimals: int = 4
    size_decimals: int = 2
    bands: tuple[PriceBand, ...] = (PriceBand(0, 10_000, 100),)
    size_step: int = 1
    size_max: int = 10**12
    fees: FeeModel = FeeModel()
    quote: str = "USD"
    base: str = ""
    exchange_index: int = 0
    open_ns: int = 0
    close_ns: int = 0
    cancel_delay_ns: int = 2_000_000_000
    determine_delay_ns: int = 5_000_000_000
    settle_delay_ns: int = 10_000_000_000
    settle_value: int = -1

    @property
    def one(self) -> int:
        """The price 1: what one contract of the winning side pays."""
        return int(10**self.price_decimals)

    @property
    def cash(self) -> str:
        """The cash balance this market draws on: the quote asset, one purse per shard ("USD", "USD#2")."""
        return self.quote if self.exchange_index == 0 else f"{self.quote}#{self.exchange_index}"


class Market(msgspec.Struct, kw_only=True):
    """A market as it stands now; the engine changes it, everybody else only reads.

    `clock` is the exchange's operation number at the last change of this market: non-decreasing, skips values.
    `settle_value` is the price paid per YES once determined, -1 before. `traded_money` is the sum of price x size.
    """

    spec: MarketSpec
    status: MarketStatus = "initialized"
    clock: int = 0
    last_price: int = 0
    last_size: int = 0
    last_trade_ns: int = 0
    previous_price: int = 0
    volume: int = 0
    traded_money: int = 0
    open_interest: int = 0
    close_ns: int = 0
    settle_value: int = -1
    quoted_bid: bool = False
    quoted_ask: bool = False
    updated_ns: int = 0
    determined_ns: int = 0
    settled_ns: int = 0

    @property
    def market_id(self) -> str:
        """The market's name at the venue."""
        return self.spec.market_id

    @property
    def result(self) -> str:
        """ "" before determination, then "yes", "no" or "scalar"."""
        if self.settle_value < 0:
            return ""
        return {0: "no", self.spec.one: "yes"}.get(self.settle_value, "scalar")


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new order. `size` and `price` in the market's units; `expiration_ns` 0 means none."""

    account: str
    market_id: str
    side: Side
    price: int
    size: int
    tif: TimeInForce = "gtc"
    self_trade: SelfTrade = "taker_at_cross"
    client_order_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    expiration_ns: int = 0
    group_id: str = ""
    cancel_on_pause: bool = False


class AmendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a resting order. `size` is the total including what is filled.

    `expiration_ns`: None keeps, 0 clears. `client_order_id`, when given, must be the order's; `new_client_order_id`
    replaces it. `side` and `market_id`, when given, must be the order's.
    """

    account: str
    order_id: str
    price: int
    size: int
    side: Side | None = None
    market_id: str | None = None
    expiration_ns: int | None = None
    client_order_id: str | None = None
    new_client_order_id: str | None = None


class Order(msgspec.Struct, kw_only=True):
    """An accepted order. `initial` is the total asked for (an amend changes it), `remaining` what still rests.

    `sequence` orders the queue within a price. Fees and costs are money. `arrival_ns` is when the request came.
    """

    order_id: str
    client_order_id: str
    account: str
    market_id: str
    side: Side
    price: int
    initial: int
    remaining: int
    filled: int = 0
    tif: TimeInForce
    self_trade: SelfTrade
    post_only: bool
    reduce_only: bool
    expiration_ns: int
    group_id: str
    cancel_on_pause: bool
    status: OrderStatus = "resting"
    reason: UpdateReason = ""
    arrival_ns: int
    updated_ns: int
    sequence: int = 0
    taker_cost: int = 0
    maker_cost: int = 0
    taker_fees: int = 0
    maker_fees: int = 0
    rounding: int = 0


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One account's half of a trade. `fee` is what was charged net of rebates (money); `position` after the fill."""

    trade_id: str
    order_id: str
    client_order_id: str
    account: str
    market_id: str
    side: Side
    is_taker: bool
    price: int
    size: int
    fee: int
    position: int
    ns: int
    exchange_index: int


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A paid position: `net` contracts (+YES, -NO) that had cost `cost`, paid `revenue` at `value` per YES."""

    account: str
    market_id: str
    net: int
    cost: int
    revenue: int
    value: int
    fees: int
    ns: int
    exchange_index: int


class Accepted(msgspec.Struct, frozen=True):
    """The engine took it. `order` is the live record (read it before the next call), `fills` those of this call."""

    order: Order
    fills: tuple[Fill, ...] = ()
    reduced: int = 0


class Rejection(msgspec.Struct, frozen=True):
    """The engine refused it and nothing changed. `code` is one of REJECTIONS; `details` says more, may be empty."""

    code: str
    details: str = ""


REJECTIONS = (
    "exchange_is_paused",
    "fill_or_kill_insufficient_resting_volume",
    "insufficient_balance",
    "invalid_order",
    "invalid_order_size",
    "invalid_parameters",
    "invalid_price",
    "market_closed",
    "market_inactive",
    "market_not_found",
    "not_found",
    "order_already_exists",
    "order_id_and_client_order_id_mismatch",
    "order_side_mismatch",
    "order_ticker_mismatch",
    "trading_is_paused",
    "user_not_found",
)
"""Every code a Rejection can carry."""


def new_uuid(rng: random.Random) -> str:
    """A version 4 UUID as text."""
    text = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def seeded(seed: int, *names: str) -> random.Random:
    """A generator of its own for each name under one seed, the same in every process."""
    return random.Random("/".join((str(seed), *names)))  # noqa: S311 - simulation, nothing secret


def on_grid(spec: MarketSpec, price: int) -> bool:
    """Whether a price is valid: on a band's step, and strictly inside (0, 1) for a binary market."""
    if price <= 0 or (spec.kind == "binary" and price >= spec.one):
        return False
    return any(band.start <= price <= band.end and (price - band.start) % band.step == 0 for band in spec.bands)


def at_or_below(spec: MarketSpec, price: int) -> int | None:
    """The highest valid price not above `price`; None when there is none."""
    ceiling = min(price, spec.one - 1) if spec.kind == "binary" else price
    found = [
        band.start + (min(ceiling, band.end) - band.start) // band.step * band.step
        for band in spec.bands
        if band.start <= ceiling
    ]
    best = max(found, default=0)
    return best if best > 0 else None


def above(spec: MarketSpec, price: int) -> int | None:
    """The lowest valid price above `price`; None when there is none."""
    found = [
        max(band.start, band.start + ((price - band.start) // band.step + 1) * band.step)
        for band in spec.bands
        if price < band.end
    ]
    return min((candidate for candidate in found if on_grid(spec, candidate)), default=None)


def stepped(spec: MarketSpec, price: int, *, steps: int) -> int | None:
    """The valid price `steps` grid steps up (or down, when negative) from a valid price; None off the ends."""
    found: int | None = price
    for _ in range(abs(steps)):
        if found is None:
            return None
        found = above(spec, found) if steps > 0 else at_or_below(spec, found - 1)
    return found
