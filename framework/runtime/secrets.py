"""Secrets: read from files that only their owner can read, and masked by value wherever text leaves the process."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from framework.domain.errors import ConfigurationError
from framework.domain.loading import secret_file_flaw

MASK = "********"
"""What is shown in place of a secret."""

_SECRET_OF_QUERY = re.compile(
    r"([?&][^=\s&]*(?:secret|password|passphrase|token|key|signature)[^=\s&]*=)([^&\s\"'<>]+)", re.IGNORECASE
)
_CHARACTERS_MIN = 4
_LINE_CHARACTERS_MIN = 16
_CORE_CHARACTERS_MIN = 6
_USER_INFO = re.compile(r"(?<=://)([^/\s@:]*)(?::([^/\s]*))?@")
# More than that: a "/" in a password must be written %2F, but whoever forgot that must not see it in a log.
_MAY_BE_USER_INFO = re.compile(r"(?<=://)(?!\[)[^/\s@:\"'<>]*(?::[^\s\"'<>]*)?@")


class SecretRegistry:
    """Every secret value the process knows. `redact` masks them in text, also when encoded.

    Masked by value, not by field name: a secret inside an exception, a URL or a header is found too. Known
    encodings: as is, URL-quoted, hexadecimal, Base64 (both alphabets, at any offset inside a longer text), and the
    escapes of JSON and `repr`. Of a value with several lines each long line is masked too.
    """

    __slots__ = ("_forms", "_pattern")

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str | bytes) -> None:
        """Mask `value` from now on. Raises `ConfigurationError` when it has fewer than 4 characters:
        masking so short a text would hide parts of ordinary words."""
        raw = value.encode() if isinstance(value, str) else value
        if len(raw.strip()) < _CHARACTERS_MIN:
            raise ConfigurationError(
                f"secret: one is shorter than {_CHARACTERS_MIN} characters and can't be masked; use a longer one"
            )
        self._forms |= _forms_of(raw)
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """`text` with every known secret, and what is secret in a URL, replaced by `MASK`."""
        return mask_urls(text if self._pattern is None else self._pattern.sub(MASK, text))

    def __len__(self) -> int:
        return len(self._forms)

    def __repr__(self) -> str:
        return f"SecretRegistry({len(self._forms)} forms)"


def mask_urls(text: str) -> str:
    """`text` with user and password of every address in it replaced by `MASK`, "http://u:p@host" loses both, and with
    what an address's query calls a secret replaced, too."""
    return _SECRET_OF_QUERY.sub(rf"\1{MASK}", _MAY_BE_USER_INFO.sub(f"{MASK}@", text)) if "://" in text else text


def passwords_in(text: str) -> list[str]:
    """The passwords of the addresses in `text`, as they are written and decoded, and the secrets of their queries; none
    that is too short to be masked."""
    found = [password for _user, password in _USER_INFO.findall(text)] if "://" in text else []
    found += [secret for _name, secret in _SECRET_OF_QUERY.findall(text)] if "://" in text else []
    return [one for one in dict.fromkeys([*found, *map(unquote, found)]) if len(one.strip()) >= _CHARACTERS_MIN]


def read_secret_file(path: Path, registry: SecretRegistry) -> bytes:
    """The content of a secret file without its final line break, registered for masking.

    Raises `ConfigurationError` when it is missing, empty, or readable by others (`secret_file_flaw`).
    """
    try:
        with path.open("rb") as file:
            flaw = secret_file_flaw(os.fstat(file.fileno()))
            content = file.read().rstrip(b"\r\n")
    except OSError as e:
        raise ConfigurationError(f"{path}: secret file can't be read ({e.strerror}); check path and owner") from e
    if flaw:
        raise ConfigurationError(f"{path}: {flaw}")
    if not content:
        raise ConfigurationError(f"{path}: secret file is empty; write the secret into it")
    registry.add(content)
    return content


def _forms_of(raw: bytes) -> set[str]:
    pieces = {raw, raw.strip()}
    pieces |= {line.strip() for line in raw.splitlines() if len(line.strip()) >= _LINE_CHARACTERS_MIN}
    forms: set[str] = set()
    for piece in pieces:
        text = piece.decode("utf-8", "replace")
        forms |= {text, quote(text, safe=""), quote(text), quote_plus(text), piece.hex(), piece.hex().upper()}
        forms |= {text.replace("\n", "\\n"), repr(text)[1:-1], text.replace("\\", "\\\\").replace('"', '\\"')}
        forms |= _base64_forms(piece)
    return forms


def _base64_forms(raw: bytes) -> set[str]:
    """Base64 of `raw` wherever it starts in a longer text: of each of the three offsets the part that is always so."""
    forms: set[str] = set()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw)
        lead = -(-offset * 8 // 6)
        tail = -(-((offset + len(raw)) * 8 % 6) // 6)
        clean = encoded.rstrip(b"=")
        core = clean[lead : len(clean) - tail].decode()
        if len(core) >= _CORE_CHARACTERS_MIN:
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms
