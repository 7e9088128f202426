"""Keys of a sandbox: their files, the check of a keyed digest, what may be used only once, and who may send what.

`Access` is the check that a signed request passes before its endpoint, in the order of most venues: a venue says what
a request claims (`Claim`) and how it refuses, and builds the text that is signed by itself.

Written apart from any signer of a client: a mistake that both share would pass on both sides.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from connectors.sandbox.engine.model import NS_PER_MS
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.rest import Arrival, Refusal
from connectors.sandbox.serving.venue import ServedVenue


def write_private(path: Path, text: str) -> None:
    """Write a secret so that only its owner can read it, from the first byte on. A file of that name is replaced.

    Raises `OSError` when the file cannot be written.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret of an earlier run in the same directory, else a fresh one of `make`, which is kept.

    Raises `OSError` when the file cannot be read or written.
    """
    if not path.exists():
        write_private(path, make())
    return path.read_text(encoding="ascii").strip()


def hmac_is_valid(secret: bytes, text: bytes, signature: str, *, is_base64: bool = False) -> bool:
    """True when `signature` is the HMAC-SHA256 of `text`: lower-case hex digits, or base64."""
    digest = hmac.new(secret, text, hashlib.sha256).digest()
    expected = base64.b64encode(digest).decode() if is_base64 else digest.hex()
    # A header may hold bytes that are no text.
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


class UsedOnce:
    """Values that may come once within `window_ns`: nonces, or signatures where a venue refuses replays.

    At most `most` of them are kept; the oldest goes first.
    """

    def __init__(self, window_ns: int, *, most: int = 100_000) -> None:
        self._window_ns = window_ns
        self._most = most
        self._seen: OrderedDict[str, int] = OrderedDict()

    def take(self, value: str, now_ns: int) -> bool:
        """True when the value is new within the window, which it then uses up; False for a replay."""
        while self._seen and now_ns - next(iter(self._seen.values())) >= self._window_ns:
            self._seen.popitem(last=False)
        if value in self._seen:
            return False
        if len(self._seen) >= self._most:
            self._seen.popitem(last=False)
        self._seen[value] = now_ns
        return True


Flaw = Literal["unknown_key", "bad_signature", "stale_time", "replayed", "too_fast", "may_not_trade"]
"""Why a request is refused before anybody looks at what it asks for."""


class Claim(NamedTuple):
    """What a request says of itself: the id of its key, the signature, the text that it is to be of, and its time in
    milliseconds as text."""

    key_id: str
    signature: str
    text: bytes
    stamp_ms: str


class HmacKey(NamedTuple):
    """One key of the venue: its secret as the HMAC is keyed with, and whether it may trade."""

    secret: str
    may_trade: bool = True


def member_keys(directory: Path, keys: dict[str, HmacKey]) -> dict[str, str]:
    """Put the keys `trader` and `reader`, which may only read, among `keys`, with the secrets of an earlier run in the
    directory or fresh ones. Returns members of the ready line: `trader_id`, `trader_secret_path`, the same of `reader`.

    Raises `OSError` when a secret can't be read or written.
    """
    ready: dict[str, str] = {}
    for name in ("trader", "reader"):
        path = directory / f"{name}.secret"
        keys[name] = HmacKey(kept_secret(path, lambda: secrets.token_hex(32)), may_trade=name == "trader")
        ready |= {f"{name}_id": name, f"{name}_secret_path": str(path)}
    return ready


class Access:
    """The check of HMAC keys with a time of their own, one signature once, under one limit of requests.

    `keys` by id may be filled later. A request is refused when its time is more than `stamp_ms_max` off the venue's
    clock. `refuse` makes the venue's answer.
    """

    def __init__(
        self,
        keys: Mapping[str, HmacKey],
        window: RequestWindow,
        *,
        stamp_ms_max: int,
        refuse: Callable[[Flaw, Mapping[str, str]], Refusal],
    ) -> None:
        self._keys = keys
        self._window = window
        self._stamp_ms_max = stamp_ms_max
        self._refuse = refuse
        self._used = UsedOnce(2 * stamp_ms_max * NS_PER_MS)

    def check(self, claim: Claim, arrival: Arrival, served: ServedVenue, *, trades: bool) -> None:
        """Let a request pass, which counts against the limit; `trades`: its key must be one that may. Raises
        `Refusal`. `refuse` gets the headers that say how long to wait."""
        key = self._keys.get(claim.key_id)
        if key is None:
            raise self._refuse("unknown_key", {})
        if not hmac_is_valid(key.secret.encode(), claim.text, claim.signature):
            raise self._refuse("bad_signature", {})
        if not self._is_timely(claim.stamp_ms, served.clock.ms(arrival.now_ns)):
            raise self._refuse("stale_time", {})
        if not self._used.take(claim.signature, arrival.now_ns):
            raise self._refuse("replayed", {})
        if not self._window.take(1, arrival.now_ns):
            raise self._refuse("too_fast", {"Retry-After": str(self._window.resets_s(arrival.now_ns))})
        if trades and not key.may_trade:
            raise self._refuse("may_not_trade", {})

    def _is_timely(self, stamp_ms: str, now_ms: int) -> bool:
        is_number = stamp_ms.isascii() and stamp_ms.isdigit() and len(stamp_ms) < 20
        return is_number and abs(int(stamp_ms) - now_ms) <= self._stamp_ms_max
