"""Funds that leave an account by its venue's REST: checked, signed, sent once, found again, followed to their end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from connectors.client.pages import NextPage
from connectors.client.rest import SignedRest
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.rows import Row
from connectors.transport.ports import HttpRequest
from framework.domain.errors import ConfigurationError
from framework.domain.venue import FundMove, FundMoveState, FundVerb, SignedMove

_AMOUNT = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII).fullmatch


class FundTable(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue says of the moves that it offers.

    `call_of` makes the request of a move, whose amount is in its shortest form; it raises `ConfigurationError`, naming
    the option, for what the venue does not take. `ids` name the member of the answer that is the move's id, and `paths`
    are where a move is read again, with `{id}` in it; `state_of` says what such a row, and the answer itself, state of
    it: raising `ValueError` or `KeyError` for one that can't be read.

    `holding` is where the balance of an asset is read (`{asset}`), and `available` and `decimals` the members of what
    may leave and of the most decimals there. Where the venue lists moves with what each was signed with, `lists` has
    the path of the list; `digest_of` reads the digest of a request, `digest_in` that of a row.
    """

    call_of: Callable[[FundMove], Call]
    ids: Mapping[FundVerb, str]
    paths: Mapping[FundVerb, str]
    state_of: Callable[[FundVerb, str, Row], FundMoveState]
    holding: str
    available: str
    decimals: str
    page: Any
    next_page: NextPage[Any]
    lists: Mapping[FundVerb, str]
    digest_of: Callable[[HttpRequest], str]
    digest_in: Callable[[Row], str]


class RestFunds:
    """Moves funds as a table says; implements `framework.domain.venue.FundMover`."""

    def __init__(self, rest: SignedRest, table: FundTable) -> None:
        """`rest` signs moves, and is closed with this."""
        self._rest = rest
        self._table = table

    def __repr__(self) -> str:
        return f"<RestFunds {self._rest!r}>"

    @property
    def verbs(self) -> frozenset[FundVerb]:
        """What the venue offers of it."""
        return frozenset(self._table.ids)

    async def sign(self, move: FundMove, /) -> SignedMove:
        """Compare with the balance, and sign: that read brings the venue's time as well. Raises `ConfigurationError`
        for what the venue would not take; else like reads."""
        wanted = msgspec.structs.replace(move, amount=plain_amount(move.amount))
        call = self._table.call_of(wanted)
        await self._check_balance(wanted)
        request = self._rest.signed(call)
        digest = self._table.digest_of(request) if move.verb in self._table.lists else ""
        return SignedMove(move=move, wire=request, digest=digest)

    async def send(self, signed: SignedMove, /) -> FundMoveState:
        """Send once. Raises `TypeError` for a move that was not signed here."""
        request, verb = signed.wire, signed.move.verb
        if not isinstance(request, HttpRequest):
            raise TypeError(f"wire: {type(request).__name__} was not signed by this mover")
        return await self._rest.write_signed(request, lambda body: self._stated(verb, body))

    async def find(self, verb: FundVerb, digest: str, /) -> FundMoveState | None:
        """The move that was signed so; None where no list shows it."""

        def is_it(row: Row) -> bool:
            return self._table.digest_in(row) == digest

        if verb not in self._table.lists:
            return None
        path, page, after = self._table.lists[verb], self._table.page, self._table.next_page
        rows = await self._rest.listing(path, page, after, is_known=is_it)
        return next((self._state(verb, row) for row in rows if is_it(row)), None)

    async def look_up(self, verb: FundVerb, move_id: str, /) -> FundMoveState:
        """What has become of the move with the venue's id."""
        path = self._table.paths[verb].format(id=path_part(move_id))
        return self._state(verb, await self._rest.get(path, Row), move_id)

    async def close(self) -> None:
        """Close every connection that it has opened."""
        await self._rest.close()

    async def _check_balance(self, move: FundMove) -> None:
        path = self._table.holding.format(asset=path_part(move.asset))
        row = await self._rest.get(path, Row, endpoint=self._table.holding)
        held, decimals = row.get(self._table.available), row.get(self._table.decimals)
        if not isinstance(held, str) or not _AMOUNT(held) or not isinstance(decimals, int):
            raise UnreadableAnswer(f"{path}: the balance can't be read")
        if len(move.amount.partition(".")[2]) > decimals:
            raise ConfigurationError(f"--amount: {move.amount} is finer than the {decimals} decimals of {move.asset}")
        if Decimal(move.amount) > Decimal(held):
            raise ConfigurationError(f"--amount: {move.amount} is more than the {held} {move.asset} that are available")

    def _stated(self, verb: FundVerb, body: bytes) -> FundMoveState:
        try:
            return self._state(verb, msgspec.json.decode(body, type=Row))
        except UnreadableAnswer as e:
            raise msgspec.ValidationError(str(e)) from e

    def _state(self, verb: FundVerb, row: Row, move_id: str = "") -> FundMoveState:
        found = move_id or row.get(self._table.ids[verb])
        try:
            if not isinstance(found, str):
                raise ValueError("it has no id")
            return self._table.state_of(verb, found, row)
        except (ValueError, KeyError) as e:
            raise UnreadableAnswer(f"{verb.value}: what became of it can't be read: {e}") from e


def plain_amount(amount: str) -> str:
    """An amount in its shortest form: "100.50" is "100.5". Exact."""
    text = f"{Decimal(amount):f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text
