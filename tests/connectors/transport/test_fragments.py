from __future__ import annotations

import pytest

from connectors.transport.websocket import FragmentError, MessageAssembler


def test_message_when_fragmented_then_it_comes_whole_once() -> None:
    assembler = MessageAssembler(message_bytes_max=6)
    assert assembler.take(b"ab", fin=False, continues=False) is None
    midway = [assembler.is_midway]
    assert assembler.take(b"", fin=False, continues=True) is None
    assert assembler.take(b"cdef", fin=True, continues=True) == b"abcdef"
    assert [*midway, assembler.is_midway] == [True, False]
    assert assembler.take(b"123456", fin=True, continues=False) == b"123456"


def test_message_when_fragments_exceed_the_limit_then_too_big() -> None:
    assembler = MessageAssembler(message_bytes_max=3)
    assembler.take(b"ab", fin=False, continues=False)
    with pytest.raises(FragmentError) as caught:
        assembler.take(b"cd", fin=False, continues=True)
    assert caught.value.is_too_big


@pytest.mark.parametrize("starts", [True, False])
def test_message_when_frames_break_the_order_then_refused(starts: bool) -> None:
    assembler = MessageAssembler(message_bytes_max=9)
    if starts:
        assembler.take(b"a", fin=False, continues=False)
    with pytest.raises(FragmentError) as caught:
        assembler.take(b"b", fin=True, continues=not starts)
    assert not caught.value.is_too_big
