"""The API keys of an account where its venue has them as a usual list: read, made, changed and ended at one path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from connectors.client.pages import NextPage
from connectors.client.rest import Sign, SignedRest, request_of
from connectors.client.secret_file import read_secret_text
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.decimals import NS_PER_MS, any_unit_ns
from connectors.client.wire.rows import Row
from framework.domain.errors import ConfigurationError, NotSupported
from framework.domain.venue import KeyForm, KeyTerms, ListedKey, MadeKey


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """What such a venue says of its keys.

    They are listed at `path` in pages (`page`, `next_page`), made there by `create`, changed and ended by PATCH and
    DELETE at `path`/ID. `words` are the venue's names by those of `ListedKey`: of its rows, and of what a key is made
    and changed with. `made` are those of the answer to a new key, by those of `MadeKey`. `active` is what a row states
    under the word of `is_active` while the key can be used. Times are sent as milliseconds, and read in any form.
    """

    terms: KeyTerms
    page: Any
    next_page: NextPage[Any]
    words: Mapping[str, str]
    made: Mapping[str, str]
    active: object = True
    path: str = "/api-keys"
    create: str = "POST"


class ListedKeys:
    """The keys of an account as a table says; implements `framework.domain.venue.KeyAdmin`."""

    def __init__(self, name: str, rest: SignedRest, table: KeyList, *, own_key: str, is_loopback: bool) -> None:
        """`own_key` is what the configuration's key names itself by."""
        self.venue = name
        self.is_loopback = is_loopback
        self.terms = table.terms
        self._rest = rest
        self._table = table
        self._own_key = own_key

    def __repr__(self) -> str:
        return f"<ListedKeys {self.venue} {self._rest!r}>"

    async def list_keys(self) -> tuple[ListedKey, ...]:
        """Read every key. Raises `UnreadableAnswer` for one that can't be read: none is left out."""
        rows = await self._rest.listing(self._table.path, self._table.page, self._table.next_page)
        return tuple(map(self._listed, rows))

    async def create_key(self, form: KeyForm, /) -> MadeKey:
        """Have the venue make a key: its secret is in the answer, and nowhere else."""
        call = Call(self._table.create, self._table.path, self._body(form))
        return await self._rest.write(call, self._made)

    async def generate_key(self, form: KeyForm, /) -> MadeKey:
        """The venue makes the secret of each key: that is `create_key`. Raises `NotSupported`."""
        raise NotSupported("this venue makes no pairs of keys: create")

    async def update_key(self, key_id: str, form: KeyForm, /) -> None:
        """Change what the form gives of a key."""
        await self._rest.write(Call("PATCH", self._path_of(key_id), self._body(form)), _check_done)

    async def revoke_key(self, key_id: str, /) -> None:
        """End a key for good."""
        await self._rest.write(Call("DELETE", self._path_of(key_id)), _check_done)

    async def close(self) -> None:
        """Close every connection that it has opened."""
        await self._rest.close()

    def _path_of(self, key_id: str) -> str:
        return f"{self._table.path}/{path_part(key_id)}"

    def _listed(self, row: Row) -> ListedKey:
        words, active = self._table.words, self._table.active
        found = {name: row[word] for name, word in words.items() if row.get(word) is not None}
        found |= {name: shown_ns(value) for name, value in found.items() if name.endswith("_ns")}
        shown = str(found.get("key") or found.get("id") or "")
        found["is_own"] = bool(shown) and self._own_key.startswith(shown)
        found["is_active"] = found.get("is_active", active) == active
        try:
            return msgspec.convert({"label": ""} | found, ListedKey)
        except msgspec.ValidationError as e:
            raise UnreadableAnswer(f"{self._table.path}: a key can't be read: {e}") from e

    def _body(self, form: KeyForm) -> bytes:
        given = {name: value for name, value in msgspec.structs.asdict(form).items() if value is not None}
        fields = {
            word: given[name] // NS_PER_MS if name.endswith("_ns") else given[name]
            for name, word in self._table.words.items()
            if name in given
        }
        return msgspec.json.encode(fields) if fields else b""

    def _made(self, body: bytes) -> MadeKey:
        row = msgspec.json.decode(body, type=Row)
        return msgspec.convert({name: row.get(word) for name, word in self._table.made.items()}, MadeKey)


def shown_ns(value: object) -> int:
    """A time of a key as people are shown it: wall nanoseconds, of any unit or RFC 3339. 0 for none, and for one that
    can't be read: a key must be found and ended all the same."""
    try:
        return any_unit_ns(value)
    except ValueError:
        return 0


def sign_by_session(path: Path | None, field: str, *, remedy: str) -> Sign:
    """Has requests carry the token of a session, for venues whose keys may not ask for keys. `field` is the setting
    that names its file, and `remedy` says how to get one.

    Raises `ConfigurationError` where there is no file, and for one that can't be used (`read_secret_text`).
    """
    if path is None:
        raise ConfigurationError(f"{field}: the venue wants the token of a session for that; {remedy}")
    headers = (("Authorization", f"Bearer {read_secret_text(path, field)}"),)
    return lambda call: request_of(call, headers)


def _check_done(body: bytes) -> None:
    """Let a success pass, but for one that says that it is none. Raises `msgspec.ValidationError`."""
    said = msgspec.json.decode(body) if body.strip() else None
    if isinstance(said, dict) and said.get("ok") is False:
        raise msgspec.ValidationError("ok is false")
