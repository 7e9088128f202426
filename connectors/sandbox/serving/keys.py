"""Keys of a sandbox: their files, the check of a keyed digest, and what may be used only once.

Written apart from any signer of a client: a mistake that both share would pass on both sides.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path


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
