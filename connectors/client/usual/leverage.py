"""Leverage and margin mode of perpetuals: set at the start where the settings say so, and by operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

import msgspec

from connectors.client.rest import SignedRest
from connectors.client.wire.calls import Call
from framework.domain.errors import ConfigurationError, RefusedByVenue


class MarginTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue takes of it, and where: a POST of `{"symbol", "leverage"}` and one of `{"symbol", "marginType"}`,
    each of which comes to the same when it is sent again.

    `read_symbols` reads every market, unsigned, so that its `Date` gives the venue's time, which signatures need.
    `leverage_of` reads the leverage of a market's open position, None where there is none.
    """

    leverage_max: int
    margin_types: tuple[str, ...]
    read_symbols: Callable[[SignedRest], Awaitable[Collection[str]]]
    leverage_of: Callable[[SignedRest, str], Awaitable[int | None]]
    leverage_path: str = "/futures/leverage"
    margin_type_path: str = "/futures/margin-type"


class MarginSetup:
    """Sets leverage and margin mode of an account's markets by its REST."""

    def __init__(self, rest: SignedRest, terms: MarginTerms) -> None:
        self._rest = rest
        self._terms = terms

    async def set_leverage(self, symbol: str, leverage: str) -> str:
        """Set the leverage of what is opened in a market from now on; what the operator is told.

        An open position keeps its own: where it has another one nothing is changed. Raises `ConfigurationError` for
        that, for a value that the venue does not have, and for what it refuses; else like reads.
        """
        most = self._terms.leverage_max
        wanted = int(leverage) if leverage.isdecimal() and len(leverage) < 5 else 0
        if not 1 <= wanted <= most:
            raise ConfigurationError(f"leverage={leverage}: {symbol} takes a whole number from 1 to {most}")
        held = await self._terms.leverage_of(self._rest, symbol)
        if held not in (None, wanted):
            raise ConfigurationError(
                f"leverage={leverage}: {symbol} has an open position at {held}; close it first, or leave leverage out"
            )
        if held is None:
            body: dict[str, str | int] = {"symbol": symbol, "leverage": wanted}
            await self._write(self._terms.leverage_path, body, f"leverage={leverage}")
        return f"{symbol}: leverage is {wanted}"

    async def set_margin_type(self, symbol: str, margin_type: str) -> str:
        """Set the margin mode of a market; what the operator is told. Raises `ConfigurationError` for another mode and
        for what the venue refuses; else like reads."""
        if margin_type not in self._terms.margin_types:
            raise ConfigurationError(f"margin={margin_type}: {symbol} takes {' or '.join(self._terms.margin_types)}")
        body: dict[str, str | int] = {"symbol": symbol, "marginType": margin_type}
        await self._write(self._terms.margin_type_path, body, f"margin={margin_type}")
        return f"{symbol}: margin mode is {margin_type}"

    async def configure(self, symbols: Iterable[str], leverage: int | None, margin_type: str | None) -> None:
        """Set what is not None in each of these markets. Raises like `set_leverage`."""
        for symbol in symbols:
            if margin_type is not None:
                await self.set_margin_type(symbol, margin_type)
            if leverage is not None:
                await self.set_leverage(symbol, str(leverage))

    async def operate(self, words: Sequence[str]) -> list[str]:
        """Do what an operator's words ask for (`leverage SYMBOL N` or `margin SYMBOL MODE`), and close the connections.

        Raises `ConfigurationError` for words that ask for nothing, and like `set_leverage`.
        """
        try:
            symbols = await self._terms.read_symbols(self._rest)
            what, symbol, value = words if len(words) == 3 else ("", "", "")
            if what not in ("leverage", "margin"):
                modes = "|".join(self._terms.margin_types)
                raise ConfigurationError(f'"{" ".join(words)}": say leverage SYMBOL N, or margin SYMBOL {modes}')
            if symbol not in symbols:
                raise ConfigurationError(f'"{symbol}": the venue has no such market; check the name')
            act = self.set_leverage if what == "leverage" else self.set_margin_type
            return [await act(symbol, value.upper())]
        finally:
            await self._rest.close()

    async def _write(self, path: str, body: dict[str, str | int], setting: str) -> None:
        # Sent again when its answer is lost: it comes to the same.
        try:
            await self._rest.ask(Call("POST", path, msgspec.json.encode(body)), bytes, endpoint=path)
        except RefusedByVenue as e:
            raise ConfigurationError(f"{setting}: the venue refuses it for {body['symbol']}: {e}") from e
