"""Logging: one line per event, masked, in the format that fits the reader."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from framework.runtime.clock import ManualClock
from framework.runtime.logging import LOG_FILES_MAX, LogFile, configure_logging
from framework.runtime.secrets import MASK, SecretRegistry
from tests.support.command_line import Capsys

SECRET = "sesame-open-42"


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_ns=1_795_253_400_123_456_789)


@pytest.fixture
def secrets() -> SecretRegistry:
    registry = SecretRegistry()
    registry.add(SECRET)
    return registry


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_line_when_logged_then_has_time_level_logger_and_fields(
    clock: ManualClock, secrets: SecretRegistry
) -> None:
    stream = io.StringIO()
    configure_logging("info", "auto", clock=clock, secrets=secrets, stream=stream)
    structlog.get_logger("kernel").info("order sent", order="a-1", size=3)
    line = stream.getvalue()
    assert line.endswith("\n")
    assert json.loads(line) == {
        "ts": "2026-11-21T09:30:00.123Z",
        "level": "info",
        "logger": "kernel",
        "event": "order sent",
        "order": "a-1",
        "size": 3,
    }
    assert list(json.loads(line))[:4] == ["ts", "level", "logger", "event"]


@pytest.mark.parametrize("line_format", ["json", "console"])
def test_line_when_a_secret_is_in_a_field_or_an_exception_then_is_masked(
    clock: ManualClock, secrets: SecretRegistry, line_format: str
) -> None:
    stream = io.StringIO()
    configure_logging("info", line_format, clock=clock, secrets=secrets, stream=stream)
    try:
        raise RuntimeError(f"bad key {SECRET}")
    except RuntimeError:
        structlog.get_logger("x").exception("failed", header={"key": SECRET})
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count(MASK) >= 2
    assert "RuntimeError" in stream.getvalue()


def test_standard_library_line_when_logged_then_takes_the_same_way(clock: ManualClock, secrets: SecretRegistry) -> None:
    stream = io.StringIO()
    configure_logging("info", "json", clock=clock, secrets=secrets, stream=stream)
    logging.getLogger("aiohttp.server").warning("token %s refused", SECRET)
    logging.getLogger("aiohttp.access").info("every request")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["logger"] == "aiohttp.server"
    assert json.loads(line)["event"] == f"token {MASK} refused"


def test_level_when_below_then_is_silent(clock: ManualClock, secrets: SecretRegistry) -> None:
    stream = io.StringIO()
    configure_logging("warning", "json", clock=clock, secrets=secrets, stream=stream)
    log = structlog.get_logger("x")
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_auto_format_when_on_a_terminal_then_is_text(clock: ManualClock, secrets: SecretRegistry) -> None:
    stream = Terminal()
    configure_logging("info", "auto", clock=clock, secrets=secrets, stream=stream)
    structlog.get_logger("x").info("hello")
    assert "hello" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    assert "09:30:00.123" in stream.getvalue()


def test_line_when_the_reader_is_gone_then_is_dropped(clock: ManualClock, secrets: SecretRegistry) -> None:
    stream = io.StringIO()
    configure_logging("info", "json", clock=clock, secrets=secrets, stream=stream)
    stream.close()
    structlog.get_logger("x").info("nobody listens")


def test_output_when_no_stream_is_given_then_is_the_standard_output_of_the_moment(
    clock: ManualClock, secrets: SecretRegistry, capsys: Capsys
) -> None:
    configure_logging("info", "json", clock=clock, secrets=secrets)
    structlog.get_logger("x").info("now")
    assert json.loads(capsys.readouterr().out)["event"] == "now"


def test_log_file_when_it_is_full_then_the_next_begins_and_the_oldest_goes(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log.jsonl", bytes_max=10)
    for n in range(LOG_FILES_MAX + 3):
        file.write(f"line {n:03}\n")
    file.close()
    held = {path.name: path.read_text() for path in tmp_path.iterdir()}
    newest = LOG_FILES_MAX + 2
    assert held == {
        "log.jsonl" if age == 0 else f"log.jsonl.{age}": f"line {newest - age:03}\n" for age in range(LOG_FILES_MAX)
    }
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_log_file_when_an_earlier_version_left_it_open_to_others_then_it_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("before\n")
    path.chmod(0o644)
    file = LogFile(path)
    file.write("after\n")
    file.close()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("before\nafter\n", 0o600)


def test_log_file_when_it_can_not_be_renamed_then_lines_still_go_into_it(tmp_path: Path) -> None:
    last = tmp_path / f"log.jsonl.{LOG_FILES_MAX - 1}"
    last.mkdir()
    (last / "in the way").touch()
    (tmp_path / f"log.jsonl.{LOG_FILES_MAX - 2}").touch()
    file = LogFile(tmp_path / "log.jsonl", bytes_max=10)
    for n in range(3):
        file.write(f"line {n:03}\n")
    file.close()
    assert (tmp_path / "log.jsonl").read_text() == "line 000\nline 001\nline 002\n"


@pytest.mark.parametrize("line_format", ["json", "console"])
def test_line_when_it_has_an_exception_then_it_is_one_line_without_a_traceback(
    clock: ManualClock, secrets: SecretRegistry, line_format: str
) -> None:
    for has_tracebacks in (False, True):
        stream = io.StringIO()
        configure_logging(
            "info", line_format, clock=clock, secrets=secrets, stream=stream, has_tracebacks=has_tracebacks
        )
        try:
            raise ValueError(f"bad {SECRET}\nsecond line")
        except ValueError as e:
            structlog.get_logger("supervisor").error("task ended", exc_info=e)
            logging.getLogger("asyncio").error("never retrieved", exc_info=e)
        text = stream.getvalue()
        assert SECRET not in text
        assert ("Traceback" in text) is has_tracebacks
        if not has_tracebacks:
            assert text.count("\n") == 2
            assert text.count(f"ValueError: bad {MASK} second line at {__file__}:") == 2


def test_line_when_it_has_a_url_with_a_password_then_that_is_masked(
    clock: ManualClock, secrets: SecretRegistry
) -> None:
    stream = io.StringIO()
    configure_logging("info", "json", clock=clock, secrets=secrets, stream=stream)
    structlog.get_logger("venue").warning("no answer", url="http://me:pw@proxy:3128/x?a=1&api_key=k42")
    assert json.loads(stream.getvalue())["url"] == f"http://{MASK}@proxy:3128/x?a=1&api_key={MASK}"
