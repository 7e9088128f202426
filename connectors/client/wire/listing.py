"""Pages of Kalshi's lists, row by row where one of the rows can't be read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar, get_args, get_type_hints

import msgspec

T = TypeVar("T")


class Page(Protocol):
    """A page of a list: its rows are its first field, and it names the next page."""

    @property
    def cursor(self) -> str:
        """Where the next page starts; empty on the last one (recorded answer)."""
        ...


P = TypeVar("P", bound=Page)


class BadRow(msgspec.Struct, frozen=True):
    """A row that can't be read: what it holds as far as it is JSON, and which field is wrong and how."""

    row: object
    reason: str

    def text(self, name: str) -> str:
        """The field of this name, empty when it is missing or no text."""
        value = self.row.get(name) if isinstance(self.row, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def name(self) -> str:
        """What identifies the row: the first id that it has, or its beginning."""
        ids = (self.text(name) for name in ("trade_id", "order_id", "ticker", "event_ticker"))
        return next((one for one in ids if one), repr(self.row)[:80])


class Listing(msgspec.Struct, Generic[T]):
    """A whole list: the rows that could be read, in the venue's order, and those that could not."""

    rows: list[T] = []
    bad: list[BadRow] = []

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)


def read_page(body: bytes, page: type[P]) -> tuple[str, Listing[Any]]:
    """The cursor of the next page, and the rows of this one. The usual page is decoded at once.

    Raises `msgspec.DecodeError` and `UnicodeDecodeError` for a body that is no such page, whatever its rows are.
    """
    rows_field, *_ = page.__struct_fields__  # type: ignore[attr-defined]  # every page is a struct
    try:
        whole = msgspec.json.decode(body, type=page)
    except msgspec.ValidationError:
        row_type = get_args(get_type_hints(page)[rows_field])[0]
        return _row_by_row(msgspec.json.decode(body), rows_field, row_type)
    return whole.cursor, Listing(list(getattr(whole, rows_field)))


def _row_by_row(raw: object, rows_field: str, row_type: type[T]) -> tuple[str, Listing[T]]:
    rows = raw.get(rows_field) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(rows, list):
        raise msgspec.ValidationError(f"no list {rows_field!r} in it")
    cursor = raw.get("cursor")
    if not isinstance(cursor, (str, type(None))):
        raise msgspec.ValidationError(f"cursor: {cursor!r} is no text")
    listing: Listing[T] = Listing([], [])
    for row in rows:
        try:
            listing.rows.append(msgspec.convert(row, row_type))
        except msgspec.ValidationError as e:
            listing.bad.append(BadRow(row, str(e)))
    return cursor or "", listing
