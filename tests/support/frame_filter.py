"""Takes chosen messages out of a WebSocket stream on its way from the server, and leaves pings, pongs and closes in."""

from __future__ import annotations

from collections.abc import Callable

_HEAD_END = b"\r\n\r\n"
_CONTROL = 0x08
_LENGTH_16, _LENGTH_64 = 126, 127


class FrameFilter:
    """One connection, from the first byte of its answer on. What is no upgrade to WebSocket passes untouched."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_upgraded: bool | None = None

    def pass_on(self, data: bytes, is_muted: Callable[[bytes], bool] | None) -> bytes:
        """Take more bytes; give those that go on. An unfinished frame waits for its end."""
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
        return head + b"".join(self._frames(is_muted))

    def _frames(self, is_muted: Callable[[bytes], bool] | None) -> list[bytes]:
        passed = []
        while (size := _frame_size(self._rest)) is not None and len(self._rest) >= sum(size):
            frame, self._rest = self._rest[: sum(size)], self._rest[sum(size) :]
            is_control = bool(frame[0] & _CONTROL)
            if is_control or is_muted is None or not is_muted(frame[size[0] :]):
                passed.append(frame)
        return passed


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
