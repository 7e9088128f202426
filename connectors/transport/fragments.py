"""Whole messages from fragmented WebSocket frames. Pure."""

from __future__ import annotations


class FragmentError(Exception):
    """The frames break the protocol (`is_too_big` False) or the size limit (`is_too_big` True)."""

    def __init__(self, text: str, *, is_too_big: bool = False) -> None:
        """Say what was wrong in `text`."""
        super().__init__(text)
        self.is_too_big = is_too_big


class MessageAssembler:
    """Joins the fragments of one message at a time, up to a size."""

    def __init__(self, *, message_bytes_max: int) -> None:
        """Refuse messages over `message_bytes_max` bytes."""
        self._message_bytes_max = message_bytes_max
        self._pieces: list[bytes] | None = None
        self._size = 0

    @property
    def is_midway(self) -> bool:
        """A message has begun and not ended."""
        return self._pieces is not None

    def take(self, payload: bytes, *, fin: bool, continues: bool) -> bytes | None:
        """Take one data frame; return the message it completes. Raises FragmentError."""
        if continues != (self._pieces is not None):
            raise FragmentError("a continuation without a start" if continues else "a new message inside another")
        self._size += len(payload)
        if self._size > self._message_bytes_max:
            raise FragmentError(f"message over {self._message_bytes_max} bytes", is_too_big=True)
        pieces = self._pieces if self._pieces is not None else []
        pieces.append(payload)
        if not fin:
            self._pieces = pieces
            return None
        self._pieces = None
        self._size = 0
        return b"".join(pieces)
