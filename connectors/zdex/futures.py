"""Leverage and margin mode as this venue has them: an open position keeps its leverage (v2's guard, vendor docs), and
the margin mode counts from the next order on."""

from __future__ import annotations

from typing import get_args

from connectors.client.rest import SignedRest
from connectors.client.usual.leverage import MarginSetup, MarginTerms
from connectors.zdex.settings import LEVERAGE_MAX, MarginType
from connectors.zdex.wire.encode import SYMBOLS
from connectors.zdex.wire.messages import DataPage, PositionPage, SymbolRow


async def _read_symbols(rest: SignedRest) -> set[str]:
    return {row.symbol for row in (await rest.get(SYMBOLS, DataPage[SymbolRow])).data}


async def _leverage_of(rest: SignedRest, symbol: str) -> int | None:
    held = (await rest.get("/positions", PositionPage, [("status", "OPEN")])).positions
    return next((row.leverage for row in held if row.symbol == symbol and row.quantity.strip("-0.")), None)


def margin_setup(rest: SignedRest) -> MarginSetup:
    """What sets them for an account."""
    return MarginSetup(
        rest,
        MarginTerms(
            leverage_max=LEVERAGE_MAX,
            margin_types=get_args(MarginType),
            read_symbols=_read_symbols,
            leverage_of=_leverage_of,
        ),
    )
