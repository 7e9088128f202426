"""Takes chosen messages out of a WebSocket stream on its way from the server, or puts others in their place, and leaves
pings, pongs and closes in."""

from __future__ import annotations

from collections.abc import Callable

_HEAD_END = b"\r\n\r\n"
_CONTROL = 0x08
_LENGTH_16, _LENGTH_64 = 126, 127

Rewrite = Callable[[bytes], bytes]


class FrameFilter:
    """One connection, from the first byte of its answer on. What is no upgrade to WebSocket passes untouched."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_upgraded: bool | None = None

    def pass_on(self, data: bytes, is_muted: Callable[[bytes], bool] | None, rewrite: Rewrite | None = None) -> bytes:
        """Take more bytes; give those that go on. An unfinished frame waits for its end. `rewrite` gets each message
        that is not muted and gives the one to pass on."""
        if self._is_upgraded is False:
            return data
        self._rest += data
        head = b""
        if self._is_upgraded is None:
            end = self._rest.find(_HEAD_END)
            if end < 0 and self._rest.startswith(b"HTTP/1.1 101"[: len(self._rest)]):
                return b""
            self._is_upgraded = self._rest.startswith(b"HTTP/1.1 101")
            if not self._is_upgraded:
                whole, self._rest = self._rest, b""
                return whole
            head, self._rest = self._rest[: end + len(_HEAD_END)], self._rest[end + len(_HEAD_END) :]
        return head + b"".join(self._frames(is_muted, rewrite))

    def _frames(self, is_muted: Callable[[bytes], bool] | None, rewrite: Rewrite | None) -> list[bytes]:
        passed = []
        while (size := _frame_size(self._rest)) is not None and len(self._rest) >= sum(size):
            frame, self._rest = self._rest[: sum(size)], self._rest[sum(size) :]
            payload = frame[size[0] :]
            if frame[0] & _CONTROL:
                passed.append(frame)
            elif is_muted is None or not is_muted(payload):
                passed.append(frame if rewrite is None else _frame(frame[0], rewrite(payload)))
        return passed


def _frame(first: int, payload: bytes) -> bytes:
    """An unmasked frame around a payload, with the first byte of the one that it replaces."""
    if len(payload) < _LENGTH_16:
        return bytes((first, len(payload))) + payload
    if len(payload) < 1 << 16:
        return bytes((first, _LENGTH_16)) + len(payload).to_bytes(2, "big") + payload
    return bytes((first, _LENGTH_64)) + len(payload).to_bytes(8, "big") + payload


def _frame_size(data: bytes) -> tuple[int, int] | None:
    """Sizes of the head and of the payload of an unmasked frame; None while its head is incomplete."""
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    if length < _LENGTH_16:
        return 2, length
    width = 2 if length == _LENGTH_16 else 8
    if len(data) < 2 + width:
        return None
    return 2 + width, int.from_bytes(data[2 : 2 + width], "big")
