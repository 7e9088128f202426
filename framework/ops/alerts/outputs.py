"""The outputs of alerts: an HTTP POST, or a run of a program. What either says of a failure has no secret in it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from framework.config.model import AlertOutputRow, AlertSettings
from framework.domain.errors import ConfigurationError, TidegateError
from framework.ops.alerts.alert import AlertLevel
from framework.ops.alerts.messages import TEMPLATES, AlertMessage
from framework.runtime.secrets import SecretRegistry, passwords_in, read_secret_file

SAID_BYTES_MAX = 4_096
_SAID_MAX = 200
_SECRET_PART_MIN = 16
"""A part of an address that is as long is taken for a secret of its own: texts may show it without the rest."""

_encode = msgspec.json.encode


class AlertNotTaken(TidegateError):
    """An output did not take a message. `is_final`: it would not take it at a later try either; `after_s`: seconds that
    it asks to be left alone."""

    def __init__(self, reason: str, *, is_final: bool = False, after_s: float = 0) -> None:
        super().__init__(reason)
        self.is_final = is_final
        self.after_s = after_s


class AlertOutput(Protocol):
    """One way out for alerts."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def level(self) -> AlertLevel:
        """The least that is sent here."""
        ...

    async def send(self, message: AlertMessage, /) -> str:
        """Send one message once, within the output's own time; say in a few words how it was taken. Raises
        `AlertNotTaken`."""
        ...

    async def close(self) -> None:
        """Give back what is open. A second call does nothing."""
        ...


def make_outputs(settings: AlertSettings, secrets: SecretRegistry) -> list[AlertOutput]:
    """The outputs that are switched on, with their secrets read and registered for masking.

    Raises `ConfigurationError` with a line for each that can't be used.
    """
    made: list[AlertOutput] = []
    problems: list[str] = []
    for name, row in settings.outputs.items():
        if row.enabled:
            try:
                made.append(
                    WebhookOutput(name, row, secrets) if row.use == "webhook" else CommandOutput(name, row, secrets)
                )
            except ConfigurationError as e:
                problems.append(f"alerts.outputs.{name}: {e}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return made


class WebhookOutput:
    """An `AlertOutput` that posts each message to an address. The address and the token are read on construction.

    Raises `ConfigurationError` for a file that can't be read, or holds no address.
    """

    def __init__(self, name: str, row: AlertOutputRow, secrets: SecretRegistry) -> None:
        self.name = name
        self.level = AlertLevel(row.level)
        self._row = row
        self._redact: Callable[[str], str] = secrets.redact
        self._address = _read_address(row, secrets)
        self._headers = {"Content-Type": "application/json", "User-Agent": "tidegate"}
        if row.token_path is not None:
            self._headers["Authorization"] = f"Bearer {_read_line(row, 'token_path', secrets)}"
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<WebhookOutput {self.name}>"

    async def send(self, message: AlertMessage, /) -> str:
        """POST the message; anything but an answer of 2xx within the time is a failure. Raises `AlertNotTaken`."""
        session = self._session = self._session or aiohttp.ClientSession()
        body = _encode(TEMPLATES[self._row.template](_redacted(message, self._redact), self._row.chat_id))
        timeout_s = self._row.timeout_ms / 1000
        try:
            async with session.post(
                self._address,
                data=body,
                headers=self._headers,
                allow_redirects=False,  # an address elsewhere would get the token
                proxy=self._row.proxy or None,
                params={"wait": "true"} if self._row.template == "discord" else None,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                said = self._said(await answer.content.read(SAID_BYTES_MAX))
                _refuse(answer.status, said, answer.headers.get("Retry-After", ""))
                return f"HTTP {answer.status}"
        except TimeoutError as e:
            raise AlertNotTaken(f"no answer within {timeout_s:g} s") from e
        except (aiohttp.ClientError, OSError) as e:
            raise AlertNotTaken(self._said(f"{type(e).__name__}: {e}".encode())) from e

    async def close(self) -> None:
        """Close what is open to its address."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _said(self, content: bytes) -> str:
        """The beginning of it as one line. Masked before it is cut: a part of a secret would not be known again."""
        return _one_line(self._redact(content.decode("utf-8", "replace")))


def _redacted(message: AlertMessage, redact: Callable[[str], str]) -> AlertMessage:
    """The message without secrets: an error of a plugin may have put one into its text."""
    return msgspec.structs.replace(message, text=redact(message.text))


def _refuse(status: int, said: str, retry_after: str) -> None:
    """Raises `AlertNotTaken` for an answer that is no yes. Only 408, 429 and 5xx are worth another try."""
    if 200 <= status < 300:
        return
    words = f"HTTP {status}{f': {said}' if said else ''}"
    if 300 <= status < 400:
        words += "; redirects are not followed: give the address that it leads to"
    after_s = float(retry_after) if retry_after.isdecimal() else 0
    raise AlertNotTaken(words, is_final=status < 500 and status not in (408, 429), after_s=after_s)


def _read_line(row: AlertOutputRow, field: str, secrets: SecretRegistry) -> str:
    """The secret in the file that a field names: one line of plain characters. Raises `ConfigurationError`."""
    path = getattr(row, field)
    content = read_secret_file(path, secrets).strip()
    if not content.isascii() or len(content.split()) != 1:
        raise ConfigurationError(f"{field}: {path} must hold one line without spaces (its content is not shown)")
    return content.decode()


def _read_address(row: AlertOutputRow, secrets: SecretRegistry) -> str:
    address = _read_line(row, "address_path", secrets)
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # its text repeats parts of the address
        is_address = False
    if not is_address:
        raise ConfigurationError(
            f"address_path: {row.address_path} must hold an address as https://host/path (its content is not shown)"
        )
    for part in (*parts.path.split("/"), *(part.removeprefix("bot") for part in parts.path.split("/"))):
        if len(part) >= _SECRET_PART_MIN:
            secrets.add(part)
    for secret in passwords_in(address):
        secrets.add(secret)
    return address


class CommandOutput:
    """An `AlertOutput` that runs a program for each message, without a shell. The message comes to its standard input
    as one JSON object; exit code 0 means that it was taken. What still runs after its time is killed, and what it has
    started with it."""

    def __init__(self, name: str, row: AlertOutputRow, secrets: SecretRegistry) -> None:
        self.name = name
        self._redact: Callable[[str], str] = secrets.redact
        self.level = AlertLevel(row.level)
        self._argv = row.argv
        self._timeout_s = row.timeout_ms / 1000

    def __repr__(self) -> str:
        return f"<CommandOutput {self.name} {self._argv[0]}>"

    async def send(self, message: AlertMessage, /) -> str:
        """Run the program once. Raises `AlertNotTaken`."""
        # A pipe of our own for its errors: one of asyncio's would be waited for until everything that the program has
        # started has ended, too.
        errors, its_end = os.pipe()
        os.set_blocking(errors, False)
        try:
            process = await self._start(its_end)
            try:
                async with asyncio.timeout(self._timeout_s):
                    code = await _converse(process, _encode(_redacted(message, self._redact)))
            except TimeoutError as e:
                raise AlertNotTaken(f"not done within {self._timeout_s:g} s, so it was killed") from e
            finally:
                await _end(process)
            if code != 0:
                raise AlertNotTaken(self._reason(code, errors))
            return "exit code 0"
        finally:
            os.close(errors)

    async def close(self) -> None:
        """Does nothing: each program has ended with its message."""

    async def _start(self, its_end: int) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=its_end,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as e:
            raise AlertNotTaken(f"{self._argv[0]} can't be run ({e.strerror or e})", is_final=True) from e
        finally:
            os.close(its_end)

    def _reason(self, code: int, errors: int) -> str:
        """Why a program has failed: its code, and the first of its words."""
        try:
            said = os.read(errors, SAID_BYTES_MAX)
        except BlockingIOError:  # it has said nothing, and something that it has started lives on
            said = b""
        words = _one_line(self._redact(said.decode("utf-8", "replace")))
        return f"exit code {code}{f': {words}' if words else ''}"


async def _converse(process: asyncio.subprocess.Process, content: bytes) -> int:
    """Give a program its input, and wait until it has ended."""
    into = cast("asyncio.StreamWriter", process.stdin)
    with suppress(ConnectionError):  # it need not read its input
        into.write(content + b"\n")
        await into.drain()
    into.close()
    return await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a program that still runs, and what it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _environment() -> Mapping[str, str]:
    """What a program inherits: not our own variables, which may hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in " ".join(text.split()))[:_SAID_MAX]
