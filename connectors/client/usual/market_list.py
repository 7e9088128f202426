"""Instruments of venues that list all their markets at once, without a read for one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from connectors.client.instruments import ListedInstrument, Selection
from connectors.client.wire.answers import UnusableInstrument
from framework.domain.instruments import Instrument

M = TypeVar("M")


async def _nothing() -> Sequence[str]:
    return ()


class MarketList(Generic[M]):
    """An `InstrumentSource` that reads the whole list each time and takes out what is asked for."""

    def __init__(
        self,
        selection: Selection,
        read_all: Callable[[], Awaitable[Iterable[M]]],
        *,
        symbol_of: Callable[[M], str],
        instrument_of: Callable[[M], Instrument],
        held: Callable[[], Awaitable[Iterable[str]]] = _nothing,
    ) -> None:
        """`read_all` reads every row, `symbol_of` names one, `instrument_of` makes an instrument of it and raises
        `UnusableInstrument` where that can't be traded. `held` reads the symbols in which the account has a position
        or an open order: their rows can't be read before the market's scales are known."""
        self._selection = selection
        self._read_all = read_all
        self._symbol_of = symbol_of
        self._instrument_of = instrument_of
        self._held = held

    def __repr__(self) -> str:
        return f"<MarketList {self._selection.patterns}>"

    async def list_wanted(self) -> Mapping[str, M]:
        """By symbol everything that the selection names. Raises like `read_all`."""
        return {name: row for name, row in (await self._by_symbol()).items() if self._selection.wants(name)}

    async def list_named(self, symbols: Sequence[str]) -> Iterable[M]:
        """These instruments, as far as they are listed. Raises like `read_all`."""
        listed = await self._by_symbol() if symbols else {}
        return [listed[symbol] for symbol in symbols if symbol in listed]

    async def read(self, symbol: str) -> M | None:
        """One instrument, None when it is not listed. Raises like `read_all`."""
        return (await self._by_symbol()).get(symbol)

    async def list_held(self) -> Sequence[str]:
        """The symbols in which the account has something. Raises like `held`."""
        return tuple(dict.fromkeys(await self._held()))

    async def describe(self, row: M) -> ListedInstrument:
        """What a row says. Raises `UnusableInstrument` naming the market."""
        try:
            return ListedInstrument(self._instrument_of(row))
        except UnusableInstrument:
            raise
        except ValueError as e:
            raise UnusableInstrument(f"{self._symbol_of(row)}: {e}") from e

    async def _by_symbol(self) -> dict[str, M]:
        return {self._symbol_of(row): row for row in await self._read_all()}
