"""Secrets are masked by value in every form in which they may leave."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from framework.domain.errors import ConfigurationError
from framework.runtime.secrets import MASK, SecretRegistry, mask_urls, passwords_in, read_secret_file

SECRET = 'p@ss/word+"9'


@pytest.fixture
def registry() -> SecretRegistry:
    registry = SecretRegistry()
    registry.add(SECRET)
    return registry


@pytest.mark.parametrize(
    "text",
    [
        f"key={SECRET};",
        f"url?k={quote(SECRET, safe='')}&x=1",
        f"hex {SECRET.encode().hex()}",
        f"HEX {SECRET.encode().hex().upper()}",
        json.dumps({"key": SECRET}),
        repr({"key": SECRET}),
    ],
)
def test_redact_when_the_secret_is_written_in_some_way_then_masks_it(registry: SecretRegistry, text: str) -> None:
    masked = registry.redact(text)
    assert MASK in masked
    assert "word" not in masked
    assert SECRET.encode().hex() not in masked.lower()


@pytest.mark.parametrize("prefix", ["", "u", "us", "use"])
@pytest.mark.parametrize("suffix", ["", "x", "xy"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_redact_when_base64_holds_the_secret_at_any_offset_then_masks_it(
    registry: SecretRegistry, prefix: str, suffix: str, encode: object
) -> None:
    assert callable(encode)
    encoded = encode((prefix + SECRET + suffix).encode()).decode()
    masked = registry.redact(f"Authorization: Basic {encoded}")
    assert MASK in masked
    assert len(masked.partition(MASK)[0] + masked.partition(MASK)[2]) <= len("Authorization: Basic ") + 12


def test_redact_when_nothing_is_known_then_changes_nothing() -> None:
    assert SecretRegistry().redact("plain") == "plain"


def test_redact_when_one_secret_contains_another_then_masks_the_longer() -> None:
    registry = SecretRegistry()
    registry.add("abcd")
    registry.add("abcdefgh")
    assert registry.redact("<abcdefgh>") == f"<{MASK}>"


def test_redact_when_only_one_line_of_a_key_is_shown_then_masks_it() -> None:
    registry = SecretRegistry()
    registry.add("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n")
    assert registry.redact("line MIIEvQIBADANBgkqhkiG9w0B!") == f"line {MASK}!"


def test_add_when_too_short_to_mask_then_refuses_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="shorter than 4") as caught:
        SecretRegistry().add("ab3")
    assert "ab3" not in str(caught.value)


def test_repr_when_secrets_are_known_then_shows_none(registry: SecretRegistry) -> None:
    assert SECRET not in repr(registry)
    assert len(registry) > 5


def test_read_secret_file_when_owner_only_then_reads_and_registers(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2-hunter2\n")
    file.chmod(0o600)
    registry = SecretRegistry()
    assert read_secret_file(file, registry) == b"hunter2-hunter2"
    assert registry.redact("hunter2-hunter2") == MASK


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_read_secret_file_when_others_may_read_it_then_refuses_with_the_remedy(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2-hunter2")
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"{file}: mode {mode:04o}.*\(chmod 600\)"):
        read_secret_file(file, SecretRegistry())


def test_read_secret_file_when_missing_or_empty_then_says_which(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch(0o600)
    with pytest.raises(ConfigurationError, match="is empty"):
        read_secret_file(empty, SecretRegistry())
    with pytest.raises(ConfigurationError, match=r"absent: secret file can't be read \(No such file"):
        read_secret_file(tmp_path / "absent", SecretRegistry())


def test_address_when_it_has_user_and_password_then_both_are_masked_and_the_password_is_known_decoded_too() -> None:
    text = "via http://me:pa%3Ass@proxy:3128 and wss://host/path@x, https://u@host"
    assert mask_urls(text) == f"via http://{MASK}@proxy:3128 and wss://host/path@x, https://{MASK}@host"
    assert passwords_in(text) == ["pa%3Ass", "pa:ss"]
    assert passwords_in("http://host:80/a:b@c") == []
    assert mask_urls("http://me:pa/s@s@proxy:3128/x?a=1&api_token=hunter2") == (
        f"http://{MASK}@proxy:3128/x?a=1&api_token={MASK}"
    )
    assert passwords_in("http://me:pw@proxy/x?api_token=hunter2") == ["hunter2"]
