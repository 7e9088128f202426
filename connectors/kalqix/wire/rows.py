"""KalqiX's rows in the form that the toolkit reads (`client.wire.rows`), with amounts as decimals. Pure.

What a row lacks or says wrongly is left empty, so that reading it names the field. B states amounts in base units, and
most of them also as decimals, with `_formatted` behind the name: those count where they are there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from decimal import ROUND_UP, Decimal
from typing import Any

import msgspec

from connectors.client.wire.coins import price_of, size_of
from connectors.client.wire.decimals import any_unit_ns, cut_text, decimals_of, moved_text, sum_text
from connectors.client.wire.json_text import SmallCount
from connectors.client.wire.rows import BALANCE_DECIMALS, Row
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookSnapshot, Level

_SIDES = {"BUY": "buy", "SELL": "sell"}
_OTHER = {"buy": "sell", "sell": "buy"}
_GROUPINGS = ("100", "50", "10", "1", "0.1", "0.01")


class Page(msgspec.Struct, frozen=True):
    """One page of any list."""

    data: tuple[Row, ...]
    page: SmallCount
    page_size: SmallCount
    total: SmallCount


class Market(msgspec.Struct, frozen=True):
    """What requests and amounts in base units need to know of a market beside its instrument."""

    market_id: int
    base_decimals: int
    quote_decimals: int
    money_decimals: int


UNKNOWN = Market(0, 0, 0, 0)
"""A market that has not been read: amounts in base units stay as they are, and its rows can't be read."""


class RowReader:
    """Reads rows of one dialect. `has_base_units`: amounts without a twin are base units. `markets` are by symbol."""

    def __init__(self, *, has_base_units: bool, markets: Mapping[str, Market]) -> None:
        self._has_base_units = has_base_units
        self._markets = markets

    def market(self, row: Row) -> Row:
        """A market of the list. Fees are percents there and rates here; a status that is not known takes no order."""
        known = market_of(row)
        status = row.get("status")
        return {
            "symbol": symbol_of(row),
            "base": row.get("base_asset"),
            "quote": row.get("quote_asset"),
            "tick": row.get("tick_size"),
            "step": row.get("step_size"),
            "size_min": self._amount(row, "min_quantity", known.base_decimals),
            "notional_min": self._amount(row, "min_trade_size", known.quote_decimals),
            "taker_fee": moved_text(row.get("taker_fee", "0"), -2),
            "maker_fee": moved_text(row.get("maker_fee", "0"), -2),
            "state": status if status in ("ACTIVE", "CLOSED") else "",
        }

    def order(self, row: Row) -> Row:
        """An order. What it has filled is what does not remain; a market order's price is none."""
        known = self._markets.get(symbol_of(row), UNKNOWN)
        size, remaining = (self._amount(row, name, known.base_decimals) for name in ("quantity", "remaining_quantity"))
        status = str(row.get("status") or "")
        return {
            "id": row.get("order_id"),
            "market": symbol_of(row),
            "client_id": row.get("client_order_id") or "",
            "side": _SIDES.get(str(row.get("side"))),
            "price": self._amount(row, "price", known.quote_decimals) or "0",
            "size": size,
            "filled": sum_text(size, remaining, sign=-1),
            "state": status,
            "created": _time_text(row.get("timestamp")),
            "reason": "" if status in ("PENDING", "PARTIALLY_FILLED", "FILLED") else status.lower(),
        }

    def trade(self, row: Row) -> Row:
        """A public trade; its side is the taker's."""
        known = self._markets.get(symbol_of(row), UNKNOWN)
        return self._traded(row, known) | {"side": _OTHER.get(_SIDES.get(str(row.get("maker_side")), ""))}

    def fills(self, rows: Iterable[Row], own: Mapping[str, bool]) -> list[Row]:
        """Own trades, one row for each part of the account in them. `own` says of orders whether they are ours; B says
        the role itself. A trade with oneself is two fills: the maker's has an id of its own then. A row may come twice:
        a list that grows moves its rows to the next page."""
        found = {(str(part["id"]), part["role"]): part for row in rows for part in self._parts(row, own)}
        both = {name for name, role in found if role == "taker"}
        return [
            part | {"id": f"{name}:maker"} if role == "maker" and name in both else part
            for (name, role), part in found.items()
        ]

    def balance(self, row: Row) -> Row:
        """A balance, as decimals. What is finer than the digits that are kept of it is left out."""
        free, locked = (cut_text(row.get(f"{name}_formatted"), BALANCE_DECIMALS) for name in ("available", "locked"))
        return {"currency": row.get("asset"), "total": sum_text(free, locked), "available": free}

    def book(self, sides: Mapping[str, Any], instrument: Instrument) -> BookSnapshot:
        """A whole book, without times; each side is a list of levels, or of lists of them. Raises `ValueError` for what
        can't be read."""
        known = self._markets.get(instrument.symbol, UNKNOWN)
        bids, asks = (self._levels(sides.get(name), instrument, known) for name in ("BUY", "SELL"))
        return BookSnapshot(instrument.id, 0, 0, bids, asks)

    def _levels(self, side: object, instrument: Instrument, known: Market) -> tuple[Level, ...]:
        if not isinstance(side, list):
            raise ValueError(f"{instrument.symbol}: the book has not two lists")
        rows = [row for one in side for row in (one if isinstance(one, list) else [one])]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{instrument.symbol}: a level of the book is no object")
        return tuple(
            (
                price_of(self._amount(row, "price", known.quote_decimals), instrument),
                size_of(self._amount(row, "quantity", known.base_decimals), instrument),
            )
            for row in rows
        )

    def _parts(self, row: Row, own: Mapping[str, bool]) -> list[Row]:
        """The parts that the account had in a trade."""
        known = self._markets.get(symbol_of(row), UNKNOWN)
        said, maker_side = str(row.get("role") or "").lower(), _SIDES.get(str(row.get("maker_side")), "")
        roles = [said] if said else [one for one in ("maker", "taker") if own.get(str(row.get(f"{one}_order_id")))]
        return [
            self._traded(row, known)
            | {
                "order_id": row.get(f"{role}_order_id"),
                "side": maker_side if role == "maker" else _OTHER.get(maker_side),
                "role": role,
                "fee": self._fee(row, role, known),
            }
            for role in roles
        ]

    def _fee(self, row: Row, role: str, known: Market) -> str:
        """What the account paid. More digits than our money has are rounded against us."""
        name = "fee" if "fee" in row or "fee_formatted" in row else f"{role}_fee"
        return cut_text(self._amount(row, name, known.quote_decimals), known.money_decimals, rounding=ROUND_UP)

    def _traded(self, row: Row, known: Market) -> Row:
        return {
            "id": row.get("trade_id"),
            "market": symbol_of(row),
            "price": self._amount(row, "price", known.quote_decimals),
            "size": self._amount(row, "quantity", known.base_decimals),
            "time": _time_text(row.get("timestamp")),
        }

    def _amount(self, row: Row, name: str, base_decimals: int) -> str:
        formatted = row.get(f"{name}_formatted")
        if formatted is not None:
            return str(formatted)
        value = row.get(name)
        text = str(value) if isinstance(value, (str, int)) else ""
        return moved_text(text, -base_decimals) if self._has_base_units else text


def market_of(row: Row) -> Market:
    """What is to be known of a listed market; zeros for what it does not state as a number."""
    base, quote = (_count(row.get(f"{name}_asset_decimals")) for name in ("base", "quote"))
    with contextlib.suppress(ValueError):
        money = sum(decimals_of(str(row.get(name))) for name in ("tick_size", "step_size"))
        return Market(_count(row.get("market_id")), base, quote, money)
    return UNKNOWN


def symbol_of(row: Row) -> str:
    """The market of any row as paths and queries name it: "BTC_USDC", also where the row has "BTC/USDC"."""
    return str(row.get("ticker") or "").replace("/", "_")


def grouping_of(instrument: Instrument) -> str | None:
    """The coarsest `tickSize` that leaves every price of the instrument as it is; None where there is none."""
    step = Decimal(instrument.tick_bands[0].step).scaleb(-instrument.price_decimals)
    return next((one for one in _GROUPINGS if step % Decimal(one) == 0), None)


def _time_text(value: object) -> str:
    """Nanoseconds as text; what is no time is left as it is, so that reading it names the field."""
    try:
        return str(any_unit_ns(value))
    except ValueError:
        return str(value)[:60]


def _count(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
