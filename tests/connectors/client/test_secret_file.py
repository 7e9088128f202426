"""Secrets in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.client.secret_file import read_private_key, read_secret, read_secret_text
from framework.domain.errors import ConfigurationError

KEY = "11" * 32


def secret(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_secret_when_only_the_owner_reads_it_then_it_is_read_without_the_white_space(tmp_path: Path) -> None:
    path = secret(tmp_path / "s", b"  aBc-123=\n")
    assert read_secret_text(path, "secret_path") == "aBc-123="
    assert read_secret(path, "secret_path") == b"  aBc-123=\n"


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", b"a\nb", b"\xff\xfe", "schlüssel".encode(), b"a\x00b"])
def test_secret_when_it_is_no_one_line_of_plain_letters_then_it_is_refused_without_being_shown(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(ConfigurationError, match=r"secret_path=.*: holds no secret; it must be one line"):
        read_secret_text(secret(tmp_path / "s", content), "secret_path")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_secret_when_others_may_touch_it_then_it_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"wallet_path=.*mode {mode:04o}.*\(chmod 600\)"):
        read_private_key(secret(tmp_path / "s", KEY.encode(), mode), "wallet_path")


def test_secret_when_missing_or_no_file_then_the_message_names_the_setting(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigurationError, match=f"secret_path={path}"):
            read_secret(path, "secret_path")


@pytest.mark.parametrize("text", [KEY, f"0x{KEY}\n", KEY.upper()])
def test_private_key_when_it_has_64_digits_then_it_is_read_with_or_without_its_prefix(
    tmp_path: Path, text: str
) -> None:
    assert read_private_key(secret(tmp_path / "k", text.encode()), "wallet_path") == bytes.fromhex(KEY)


@pytest.mark.parametrize("text", [KEY[:-2], KEY + "00", "zz" * 32, "-----BEGIN"])
def test_private_key_when_it_has_not_then_it_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="64 hexadecimal digits") as caught:
        read_private_key(secret(tmp_path / "k", text.encode()), "wallet_path")
    assert text not in str(caught.value)
