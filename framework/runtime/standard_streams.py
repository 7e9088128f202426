"""The standard streams of a process: closed ones are opened, and a reader that has gone is no failure."""

from __future__ import annotations

import os
import sys

_NAMES = ("stdin", "stdout", "stderr")


def open_standard_streams() -> None:
    """Put /dev/null in the place of each standard stream that is closed. Otherwise the next file or socket gets its
    number: the event loop refuses such a socket, and what is printed ends up in such a file."""
    for descriptor, name in enumerate(_NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", closefd=False))


def discard_output() -> None:
    """Print what is held back, or let it go nowhere when that fails: the end of the program must not fail by it."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(null, stream.fileno())
    os.close(null)
