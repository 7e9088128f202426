"""Signals: kept until they are asked for; the first one asks, the second one ends, and nothing is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from framework.domain.errors import EXIT_INTERRUPTED
from tests.support.signals import STOPS, inherited

_PROGRAM = """
import signal, sys, time
from framework.runtime.stop_signals import StopSignals

signals = StopSignals()
signals.install()
print("ready", flush=True)
if "early" in sys.argv:
    while not signals._reason:
        time.sleep(0.01)
reasons = []
signals.follow(reasons.append, lambda: "order may be left: a-1\\n")
while not reasons:
    time.sleep(0.01)
print(reasons, flush=True)
time.sleep(60 if "stubborn" in sys.argv else 0)
"""


@contextmanager
def program(*arguments: str, ignored: Sequence[signal.Signals] = ()) -> Iterator[subprocess.Popen[str]]:
    """A process that has its signals, for the length of a `with`; `ignored` are ignored when it starts."""
    with inherited(ignored):
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("number", STOPS)
def test_signal_when_it_is_the_first_then_it_asks_for_a_stop_whenever_it_came(
    number: signal.Signals, when: str
) -> None:
    with program(when) as process:
        process.send_signal(number)
        out, errors = process.communicate(timeout=10)
    assert (process.returncode, out, errors) == (0, f"['{number.name} received']\n", "")


def test_signal_when_it_is_the_second_then_the_process_says_its_last_words_and_ends_at_once() -> None:
    with program("stubborn") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (EXIT_INTERRUPTED, "order may be left: a-1\n")


def test_hangup_when_it_comes_after_another_signal_then_it_ends_nothing() -> None:
    with program("stubborn") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGHUP)
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)


def test_signal_when_only_hangups_came_before_then_it_asks_too_and_the_next_one_ends_at_once() -> None:
    with program("stubborn") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGHUP)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (EXIT_INTERRUPTED, "order may be left: a-1\n")


def test_hangup_when_it_was_ignored_before_then_it_stays_so() -> None:
    with program("late", ignored=[signal.SIGHUP]) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
    assert out == "['SIGTERM received']\n"
