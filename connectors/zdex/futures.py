"""Leverage and margin mode of the account's markets: set at the start where the settings say so, and by operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

import msgspec

from connectors.client.rest import SignedRest
from connectors.client.wire.calls import Call
from connectors.zdex.settings import LEVERAGE_MAX, MarginType
from connectors.zdex.wire.messages import DataPage, PositionPage, SymbolRow
from framework.domain.errors import ConfigurationError, RefusedByVenue


async def set_leverage(rest: SignedRest, symbol: str, leverage: str) -> str:
    """Set the leverage of what is opened in a market from now on; what the operator is told.

    An open position keeps its own: where it has another one nothing is changed (v2's OPEN_POSITION_LEVERAGE_GUARD).
    Raises `ConfigurationError` for that, for a value the venue does not have, and for what it refuses; else like reads.
    """
    wanted = int(leverage) if leverage.isdecimal() and len(leverage) < 5 else 0
    if not 1 <= wanted <= LEVERAGE_MAX:
        raise ConfigurationError(f"leverage={leverage}: {symbol} takes a whole number from 1 to {LEVERAGE_MAX}")
    held = (await rest.get("/positions", PositionPage, [("status", "OPEN")])).positions
    at = next((row.leverage for row in held if row.symbol == symbol and row.quantity.strip("-0.")), None)
    if at not in (None, wanted):
        raise ConfigurationError(
            f"leverage={leverage}: {symbol} has an open position at {at}; close it first, or leave leverage out"
        )
    if at is None:
        await _write(rest, "/futures/leverage", {"symbol": symbol, "leverage": wanted}, f"leverage={leverage}")
    return f"{symbol}: leverage is {wanted}"


async def set_margin_type(rest: SignedRest, symbol: str, margin_type: str) -> str:
    """Set the margin mode of a market; what the operator is told. The venue applies it with the next order (vendor
    docs). Raises `ConfigurationError` for another mode and for what the venue refuses; else like reads."""
    if margin_type not in get_args(MarginType):
        raise ConfigurationError(f"margin={margin_type}: {symbol} takes {' or '.join(get_args(MarginType))}")
    body: dict[str, str | int] = {"symbol": symbol, "marginType": margin_type}
    await _write(rest, "/futures/margin-type", body, f"margin={margin_type}")
    return f"{symbol}: margin mode is {margin_type}"


async def configure(
    rest: SignedRest, symbols: Iterable[str], leverage: int | None, margin_type: MarginType | None
) -> None:
    """Set what is not None in each of these markets. Raises like `set_leverage`."""
    for symbol in symbols:
        if margin_type is not None:
            await set_margin_type(rest, symbol, margin_type)
        if leverage is not None:
            await set_leverage(rest, symbol, str(leverage))


async def set_futures(rest: SignedRest, words: Sequence[str]) -> list[str]:
    """Do what an operator's words ask for, and close the connections.

    Raises `ConfigurationError` for words that ask for nothing, and like `set_leverage`.
    """
    try:
        # Unsigned, and its Date header gives the venue's time, which signatures need.
        page = await rest.get("/market/symbols", DataPage[SymbolRow])
        what, symbol, value = words if len(words) == 3 else ("", "", "")
        if what not in ("leverage", "margin"):
            raise ConfigurationError(f'"{" ".join(words)}": say leverage SYMBOL N, or margin SYMBOL CROSSED|ISOLATED')
        if symbol not in {row.symbol for row in page.data}:
            raise ConfigurationError(f'"{symbol}": the venue has no such market; check the name')
        act = set_leverage if what == "leverage" else set_margin_type
        return [await act(rest, symbol, value.upper())]
    finally:
        await rest.close()


async def _write(rest: SignedRest, path: str, body: dict[str, str | int], setting: str) -> None:
    # Sent again when its answer is lost: it comes to the same.
    try:
        await rest.ask(Call("POST", path, msgspec.json.encode(body)), bytes, endpoint=path)
    except RefusedByVenue as e:
        raise ConfigurationError(f"{setting}: the venue refuses it for {body['symbol']}: {e}") from e
