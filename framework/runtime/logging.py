"""Logging: JSON lines for machines, coloured text for a terminal, secrets masked by value in both.

Log cold events only (start, stop, connects, faults): a line costs tens of microseconds, so nothing logs per
market event. Lines of other libraries go through the same formatter and the same mask.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TextIO, TypeAlias

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from framework.domain.errors import TidegateError, describe_error
from framework.domain.ports import Clock
from framework.runtime.secrets import SecretRegistry

LOG_BYTES_MAX = 16_777_216
"""Bytes of a log file at which the next one begins."""
LOG_FILES_MAX = 5
"""Log files that are kept, the one that is written included."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LEADING = ("ts", "level", "logger", "event")
_encode = msgspec.json.Encoder(enc_hook=str).encode
_Renderer: TypeAlias = Callable[[WrappedLogger, str, EventDict], str]


class LineStream(Protocol):
    """What log lines are written to: a text stream, or a `LogFile`."""

    def write(self, text: str, /) -> int:
        """Write `text`; raises `OSError` or `ValueError` when it can't."""
        ...

    def flush(self) -> None:
        """Hand what was written on."""
        ...

    def isatty(self) -> bool:
        """Whether a person reads it at a terminal."""
        ...


def configure_logging(
    level: str,
    line_format: str,
    *,
    clock: Clock,
    secrets: SecretRegistry,
    stream: LineStream | None = None,
    has_tracebacks: bool = False,
) -> None:
    """Send every log line of the process through one formatter. Call it once, before the first line.

    `level` is debug, info, warning or error; `line_format` is json, console, or auto (console on a terminal).
    Without `stream` lines go to what `sys.stdout` is at that moment. Without `has_tracebacks` an exception is its type,
    its message and where it was raised, in `error`.
    """
    output = Output(stream)
    is_console = line_format == "console" or (line_format == "auto" and output.is_terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _add_logger_name,
        _stamp(clock),
        *([] if has_tracebacks else [_shorten_exception]),
    ]
    render = _masked(_console_renderer(has_colours=output.is_terminal) if is_console else _json_line, secrets)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *names: LineLogger(output, str(names[0]) if names else ""),
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging(level, shared, render, output)


class Output:
    """Where lines go. When they can't be written they are dropped: a closed pipe is no reason to stop trading."""

    def __init__(self, stream: LineStream | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write `text`, or drop it when the stream is closed or its reader is gone."""
        stream = self._stream or sys.stdout
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            return

    @property
    def is_terminal(self) -> bool:
        """Whether lines go to a terminal: then they are coloured text unless JSON is asked for."""
        return (self._stream or sys.stdout).isatty()


class LogFile:
    """A file of log lines for the owner alone. At `bytes_max` it is renamed to `NAME.1` (`NAME.1` to `NAME.2`, and so
    on) and begun anew; the oldest of `LOG_FILES_MAX` files goes. Raises `OSError` when it can't be opened or written.
    """

    def __init__(self, path: Path, *, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._file = self._open()

    def write(self, text: str) -> int:
        """Append `text` and return its length; never splits one text between two files."""
        if self._file.tell() + len(text) > self._bytes_max and self._file.tell():
            self._rotate()
        return self._file.write(text)

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()

    def isatty(self) -> bool:
        """Whether a person reads it at a terminal: never."""
        return False

    def close(self) -> None:
        """Close the file; nothing may be written any more."""
        self._file.close()

    def _open(self) -> TextIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)  # one that was made by an earlier version may be open to others
        return open(descriptor, "a", encoding="utf-8")

    def _rotate(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, LOG_FILES_MAX))]
        with suppress(OSError):  # a name that can't be had makes the file longer; it costs no line
            for old, new in reversed(list(pairwise(names))):
                if old.exists():
                    old.replace(new)
        full, self._file = self._file, self._open()
        full.close()


class LineLogger:
    """The logger under structlog: gets each finished line."""

    __slots__ = ("_output", "name")

    def __init__(self, output: Output, name: str) -> None:
        self._output = output
        self.name = name

    def msg(self, message: str) -> None:
        """Write one finished line; the end of line is added here."""
        self._output.write(message + "\n")

    debug = info = warning = error = critical = exception = msg


class OutputHandler(logging.Handler):
    """Brings the standard library's lines to the same output."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Format one record as all other lines and write it. Called by the standard library."""
        self._output.write(self.format(record) + "\n")


def _take_over_standard_logging(level: str, shared: list[Processor], render: _Renderer, output: Output) -> None:
    handler = OutputHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Other libraries talk per connection and per request at INFO: shown at level debug only.
    root.setLevel(logging.DEBUG if level == "debug" else max(_LEVELS[level], logging.WARNING))


def _stamp(clock: Clock) -> Processor:
    """Adds `ts`: wall time in UTC with milliseconds."""

    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        seconds, rest_ns = divmod(clock.now_ns(), 1_000_000_000)
        event["ts"] = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"
        return event

    return stamp


def _shorten_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """One line in place of a traceback: whoever runs the daemon can't read one. What we raise on purpose says in its
    message what to do; that is in the line already."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException) and not isinstance(error, TidegateError):
        event["error"] = describe_error(error)
    return event


def _add_logger_name(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    name = getattr(logger, "name", "") if record is None else record.name
    if name:
        event["logger"] = name
    return event


def _json_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    event = structlog.processors.format_exc_info(logger, method, event)
    ordered = {key: event.pop(key) for key in _LEADING if key in event}
    return _encode({**ordered, **event}).decode()


def _console_renderer(*, has_colours: bool) -> _Renderer:
    # Plain tracebacks: the pretty ones print local variables, and those may be secrets not yet registered.
    renderer = structlog.dev.ConsoleRenderer(
        colors=has_colours, timestamp_key="ts", exception_formatter=structlog.dev.plain_traceback
    )

    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        event["ts"] = event["ts"][11:]
        return renderer(logger, method, event)

    return render


def _masked(render: _Renderer, secrets: SecretRegistry) -> _Renderer:
    def render_masked(logger: WrappedLogger, method: str, event: EventDict) -> str:
        return secrets.redact(render(logger, method, event))

    return render_masked
