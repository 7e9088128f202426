"""Pages of a venue's lists, row by row where one of the rows can't be read. Pure.

A page is a msgspec struct whose first field holds the rows, as a tuple of structs; its other fields (a cursor, a total)
are what a venue says about the list. Where all its lists look alike, it is one struct for any row: `Page[OrderRow]`. A
row that can't be read costs no more than itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Generic, TypeVar, get_args

import msgspec

from connectors.client.wire.json_text import decode_json

T = TypeVar("T")
P = TypeVar("P")


class BadRow(msgspec.Struct, frozen=True):
    """A row that can't be read: what it holds as far as it is JSON, and which field is wrong and how.

    `ids` are the fields that may identify it, the first one first.
    """

    row: object
    reason: str
    ids: tuple[str, ...] = ("id",)

    def text(self, name: str) -> str:
        """The field of this name, empty when it is missing or no text."""
        value = self.row.get(name) if isinstance(self.row, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def name(self) -> str:
        """What identifies the row: the first id that it has, or its beginning."""
        return next((one for one in map(self.text, self.ids) if one), repr(self.row)[:80])


class Listing(msgspec.Struct, Generic[T]):
    """A whole list: the rows that could be read, in the venue's order, and those that could not."""

    rows: list[T] = []
    bad: list[BadRow] = []

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)


def read_page(body: bytes, page: type[P], ids: tuple[str, ...] = ("id",)) -> tuple[P, Listing[Any]]:
    """The page as a struct of type `page`, and its rows. The usual page is decoded at once; where a row can't be read,
    the struct returned has no rows.

    `ids` name the fields that identify a row. For a body that is no such page, whatever its rows are, raises
    `msgspec.ValidationError` or `msgspec.DecodeError`.
    """
    first = msgspec.structs.fields(page)[0]  # type: ignore[arg-type]  # every page is a struct
    rows_field = first.encode_name
    try:
        whole = decode_json(body, partial(msgspec.json.decode, type=page))
    except msgspec.ValidationError:
        row_type = get_args(first.type)[0]
        raw = decode_json(body, msgspec.json.decode)
        rows = raw.get(rows_field) if isinstance(raw, dict) else None
        if not isinstance(rows, list):
            raise msgspec.ValidationError(f"no list {rows_field!r} in it") from None
        return msgspec.convert(raw | {rows_field: []}, page), _row_by_row(rows, row_type, ids)
    return whole, Listing(list(getattr(whole, first.name)))


def _row_by_row(rows: list[object], row_type: type[T], ids: tuple[str, ...]) -> Listing[T]:
    listing: Listing[T] = Listing([], [])
    for row in rows:
        try:
            listing.rows.append(msgspec.convert(row, row_type))
        except msgspec.ValidationError as e:
            listing.bad.append(BadRow(row, str(e), ids))
    return listing
