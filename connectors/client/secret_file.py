"""Secrets in files: read once, never shown, and refused where others may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from framework.domain.errors import ConfigurationError
from framework.domain.loading import secret_file_flaw

_BYTES_MAX = 65_536


def read_secret(path: Path, field: str) -> bytes:
    """The bytes of a secret's file, at most 64 KiB. `field` is the setting that names it, for messages.

    Raises `ConfigurationError`, naming field, file and remedy, when it is missing, not a regular file, or readable by
    others (`secret_file_flaw`). A symbolic link is followed (secrets are mounted that way); what it points to is
    checked, and the opened file itself, so that nothing can be swapped between the check and the read. The content
    never appears in a message.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        raise ConfigurationError(f"{field}={path}: can't be opened: {e.strerror}; check the path") from e
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{field}={path}: not a regular file; give the file itself")
        if flaw := secret_file_flaw(status):
            raise ConfigurationError(f"{field}={path}: {flaw}")
        return os.read(descriptor, _BYTES_MAX)
    finally:
        os.close(descriptor)


def read_secret_text(path: Path, field: str) -> str:
    """A secret that is one line of visible ASCII, without the white space around it.

    The venue's form of it is not checked: forms change. Raises `ConfigurationError` like `read_secret`, and for a file
    that holds anything else.
    """
    text = read_secret(path, field).decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{field}={path}: holds no secret; it must be one line of letters and digits")
    return text


def read_private_key(path: Path, field: str) -> bytes:
    """A private key of 32 bytes, written as 64 hexadecimal digits with or without "0x".

    Raises `ConfigurationError` like `read_secret_text`, and for any other text.
    """
    text = read_secret_text(path, field).removeprefix("0x")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ConfigurationError(f"{field}={path}: holds no private key; it must be 64 hexadecimal digits")
    return key
