"""The venue's answers as they come, field by field (vendor docs; what is assumed of them: `dialect.py`)."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

from connectors.client.wire.json_text import Millis, SmallCount

R = TypeVar("R")


class SymbolRow(msgspec.Struct, rename="camel"):
    """One market with its rules; the status is TRADING while it trades."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[dict[str, str | int]]


class OrderRow(msgspec.Struct, rename="camel"):
    """One order. How much of it has traded is not stated."""

    id: str
    symbol: str
    side: Literal["BUY", "SELL"]
    type: str
    quantity: str
    status: str
    price: str | None = None
    stop_price: str | None = None
    client_order_id: str | None = None
    venue_order_id: str | int | None = None
    created_at: int | str | None = None


class OrderAnswer(msgspec.Struct):
    """The answer to a new order, a cancel, or a read of one order."""

    order: OrderRow
    venue: dict[str, object] | str | None = None

    @property
    def number(self) -> str:
        """The order's number behind the gateway, by which trades name it; empty where it is not stated."""
        behind = self.venue.get("orderId") if isinstance(self.venue, dict) else None
        return str(self.order.venue_order_id or behind or "")


class OrderPage(msgspec.Struct):
    """A page of orders."""

    orders: tuple[OrderRow, ...]
    total: int


class TradeRow(msgspec.Struct, rename="camel"):
    """An own trade. There is no fee in it, and no trade of a resting order."""

    id: int
    order_id: str | int
    symbol: str
    price: str
    qty: str
    side: Literal["BUY", "SELL"]
    time: Millis


class FundingRow(msgspec.Struct):
    """A funding payment: above zero what came."""

    id: str
    symbol: str
    asset: str
    amount: str
    time: Millis


class DataPage(msgspec.Struct, Generic[R]):
    """A page of rows under the name "data"."""

    data: tuple[R, ...]
    total: int = 0


class PositionRow(msgspec.Struct, rename="camel"):
    """A position; `quantity` is above zero for a long one."""

    symbol: str
    quantity: str
    avg_entry_price: str | None = None
    mark_price: str | None = None
    liquidation_price: str | None = None
    initial_margin: str | None = None
    leverage: SmallCount | None = None


class PositionPage(msgspec.Struct):
    """Every open position, in one page."""

    positions: tuple[PositionRow, ...]


class AssetRow(msgspec.Struct, rename="camel"):
    """The balance of an asset."""

    asset: str
    wallet_balance: str
    available_balance: str


class Assets(msgspec.Struct):
    """Balances as v2 nests them."""

    assets: list[AssetRow]


class BalanceAnswer(msgspec.Struct):
    """Balances: a list in v1, nested in v2."""

    balances: list[AssetRow] | Assets

    @property
    def rows(self) -> list[AssetRow]:
        """The balances in either form."""
        return self.balances.assets if isinstance(self.balances, Assets) else self.balances
