from __future__ import annotations

import pytest

from connectors.transport.reconnect import SilenceWatch


def test_watch_when_nothing_comes_for_the_limit_then_silent() -> None:
    watch = SilenceWatch(100, started_ns=1000)
    assert [watch.is_silent(now) for now in (1000, 1099, 1100, 5000)] == [False, False, True, True]


def test_watch_when_something_comes_then_the_limit_starts_anew() -> None:
    watch = SilenceWatch(100, started_ns=1000)
    watch.on_receive(1090)
    assert (watch.remaining_ns(1100), watch.is_silent(1189), watch.is_silent(1190)) == (90, False, True)


def test_watch_when_an_older_sign_comes_late_then_it_changes_nothing() -> None:
    watch = SilenceWatch(100, started_ns=1000)
    watch.on_receive(1090)
    watch.on_receive(1010)
    assert watch.remaining_ns(1100) == 90


def test_watch_when_limit_is_not_positive_then_refused() -> None:
    with pytest.raises(ValueError, match="limit_ns=0"):
        SilenceWatch(0, started_ns=0)
