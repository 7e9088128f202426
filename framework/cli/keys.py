"""`tidegate keys list|create|generate|update|revoke`: the API keys of an account, where its venue has an API for them.

Everything is checked before it is sent. A new secret is printed once, or written to a new file that only its owner can
read, never both; it is in no log and no message.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from framework.cli.config import load_from
from framework.cli.tables import print_json, print_lines, print_table, time_text
from framework.config.plugins import takes_argument
from framework.config.resolve import ResolvedVenue, resolve
from framework.domain.errors import (
    ConfigurationError,
    NotSupported,
    OutcomeUnknown,
    Retryable,
    TidegateError,
    suggestion,
)
from framework.domain.venue import KeyAdmin, KeyForm, KeyTerms, KeyVerb, ListedKey, MadeKey, Right
from framework.runtime.clock import SystemClock, system_rng
from framework.venues import refuse_assumed_signing, refuse_remote, venue_named

_VENUE_S_MAX = 60.0
"""Longest time for the venue, its retries included, in seconds."""

_PUBLIC_KEY_BYTES_MAX = 65_536
_RSA_BITS_MIN = 2_048
_ANYWHERE = "any"
_OPTIONS = {
    "label": (KeyVerb.CREATE, KeyVerb.GENERATE, KeyVerb.UPDATE),
    "scope": (KeyVerb.CREATE, KeyVerb.GENERATE, KeyVerb.UPDATE),
    "ip": (KeyVerb.CREATE, KeyVerb.GENERATE, KeyVerb.UPDATE),
    "expires": (KeyVerb.CREATE, KeyVerb.GENERATE, KeyVerb.UPDATE),
    "key_type": (KeyVerb.GENERATE,),
    "public_key": (KeyVerb.CREATE,),
    "subaccount": (KeyVerb.CREATE, KeyVerb.GENERATE),
    "out": (KeyVerb.CREATE, KeyVerb.GENERATE),
    "yes": (KeyVerb.REVOKE,),
    "key": (KeyVerb.UPDATE, KeyVerb.REVOKE),
}
"""The verbs that each option is for."""


def keys(options: argparse.Namespace) -> int:
    """Do one verb. Raises `ConfigurationError` for what is wrong in the command or its files, `NotSupported` for what
    the venue does not have, and what the verbs of `KeyAdmin` raise."""
    verb = _verb_of(options)
    resolved = resolve(load_from(options))
    venue = venue_named(resolved.venues, options.venue)
    asyncio.run(_do(verb, venue, options, is_live=options.live and resolved.config.live))
    return 0


def _verb_of(options: argparse.Namespace) -> KeyVerb:
    verbs = {verb.value: verb for verb in KeyVerb}
    if options.action not in verbs:
        raise ConfigurationError(f'keys: there is no action "{options.action}"; {suggestion(options.action, verbs)}')
    verb = verbs[options.action]
    for name, of_verbs in _OPTIONS.items():
        if verb not in of_verbs and getattr(options, name) not in (None, ""):
            shown = f"a key ({options.key})" if name == "key" else f"--{name.replace('_', '-')}"
            names = " and ".join(one.value for one in of_verbs)
            raise ConfigurationError(f"keys {verb.value}: {shown} goes with {names} only; leave it out")
    if "key" in options and verb in _OPTIONS["key"] and not options.key:
        raise ConfigurationError(f"keys {verb.value}: name the key by its id or label; `tidegate keys list` shows both")
    return verb


async def _do(verb: KeyVerb, venue: ResolvedVenue, options: argparse.Namespace, *, is_live: bool) -> None:
    admin = _key_admin(venue, options.token_file)
    try:
        refuse_remote(admin, is_allowed=is_live, what="asking it")
        refuse_assumed_signing(admin, is_accepted=venue.row.accept_assumptions)
        _refuse_verb(admin, verb)
        form = _form_of(verb, admin.terms, options)
        _say_assumptions(verb, admin.terms, options)
        async with asyncio.timeout(_VENUE_S_MAX):
            listed = await admin.list_keys()
        match verb:
            case KeyVerb.LIST:
                _show(listed, options)
            case KeyVerb.CREATE | KeyVerb.GENERATE:
                await _make(verb, admin, form, listed, options)
            case KeyVerb.UPDATE:
                await _update(admin, form, _key_named(options.key, listed, verb), options)
            case KeyVerb.REVOKE:
                await _revoke(admin, _key_named(options.key, listed, verb), options)
    except Retryable as e:
        if not e.is_rate_limit:
            where = f"venues.{venue.name}"
            raise TidegateError(f"{where} can't be asked now: {e}; check its address and the network") from e
        raise TidegateError(
            f"{e}; nothing was done: the account's rate limit is used up, as by a daemon that trades on it: halt that "
            "one for a moment (tidegate halt), or try again"
        ) from e
    except TimeoutError as e:
        raise TidegateError(f"venues.{venue.name}: no answer within {_VENUE_S_MAX:g} s; nothing was changed") from e
    finally:
        await admin.close()


def _key_admin(venue: ResolvedVenue, token_file: Path | None) -> KeyAdmin:
    factory, where = venue.plugin.key_admin, f"venues.{venue.name}"
    if factory is None:
        raise NotSupported(f"{where}: {venue.plugin.no_key_admin}")
    if venue.row.embedded_sandbox:
        raise ConfigurationError(
            f"{where}: its embedded sandbox lives only while its daemon does; run one by itself (tidegate sandbox "
            "--help), and give its addresses and key in a file with -c"
        )
    if token_file is not None and not takes_argument(factory, "session_path"):
        raise ConfigurationError(f"--token-file: {where} asks with the account's own key; leave it out")
    return venue.call(factory, clock=SystemClock(), rng=system_rng(), session_path=token_file)


def _refuse_verb(admin: KeyAdmin, verb: KeyVerb) -> None:
    if verb not in admin.terms.verbs:
        has = ", ".join(one.value for one in KeyVerb if one in admin.terms.verbs)
        raise NotSupported(f"venues.{admin.venue}: its API has no {verb.value} for keys; it has {has}")


def _form_of(verb: KeyVerb, terms: KeyTerms, options: argparse.Namespace) -> KeyForm:
    """What the options say of a key, checked against what the venue takes. Raises `ConfigurationError`."""
    if verb in (KeyVerb.LIST, KeyVerb.REVOKE):
        return KeyForm()
    is_new = verb is not KeyVerb.UPDATE
    for name, is_taken in (
        ("label", terms.label_chars_max > 0),
        ("scope", bool(terms.scopes)),
        ("ip", terms.takes_ip_list),
        ("expires", terms.takes_expiry),
        ("subaccount", terms.takes_subaccount),
        ("public_key", terms.takes_public_key),
    ):
        if not is_taken and getattr(options, name) is not None:
            raise ConfigurationError(f"--{name.replace('_', '-')}: this venue has no such thing for keys; leave it out")
    form = KeyForm(
        label=_label(options.label, terms, is_needed=is_new and terms.label_chars_max > 0),
        scopes=_scopes(options.scope, terms, is_needed=is_new and bool(terms.scopes)),
        ip_list=None if options.ip is None else _ip_list(options.ip, terms),
        expires_ns=None if options.expires is None else _expiry_ns(options.expires),
        key_type=_key_type(options.key_type, terms) if verb is KeyVerb.GENERATE else None,
        public_key=_public_key(options.public_key) if verb is KeyVerb.CREATE and terms.takes_public_key else None,
        subaccount=options.subaccount,
    )
    if form == KeyForm() and not is_new:
        raise ConfigurationError("keys update: say what is to change: --label, --scope, --ip or --expires")
    if form.public_key is not None and options.out is not None:
        raise ConfigurationError("--out: a key of your own has no secret that the venue could give; leave it out")
    return form


def _label(label: str | None, terms: KeyTerms, *, is_needed: bool) -> str | None:
    if label is None and is_needed:
        raise ConfigurationError('--label: say what the key is for, as in --label "market maker, host 3"')
    if label is None:
        return None
    if not label.strip() or not label.isprintable():
        raise ConfigurationError("--label: must be one line of visible text")
    if len(label) > terms.label_chars_max:
        most = terms.label_chars_max
        raise ConfigurationError(f"--label: has {len(label)} characters, this venue takes {most}; shorten it")
    return label


def _scopes(scopes: Sequence[str] | None, terms: KeyTerms, *, is_needed: bool) -> tuple[str, ...] | None:
    if scopes is None and is_needed:
        raise ConfigurationError(
            f"--scope: say what the key may do, once for each of: {', '.join(terms.scopes)}; as little as it needs"
        )
    for scope in scopes or ():
        if scope not in terms.scopes:
            raise ConfigurationError(f'--scope: there is no scope "{scope}"; {suggestion(scope, terms.scopes)}')
    return None if scopes is None else tuple(dict.fromkeys(scopes))


def _ip_list(texts: Sequence[str], terms: KeyTerms) -> tuple[str, ...]:
    """The addresses that were given; "any" alone for none, which lets every address in."""
    if list(texts) == [_ANYWHERE]:
        return ()
    for text in texts:
        try:
            is_address = ipaddress.ip_network(text).num_addresses == 1 and "/" not in text
        except ValueError as e:
            what = "no address or network" if terms.takes_networks else "no address"
            raise ConfigurationError(f"--ip: {text} is {what}; write it as 203.0.113.50") from e
        if not is_address and not terms.takes_networks:
            raise ConfigurationError(f"--ip: {text} is a network, this venue takes addresses; give each by itself")
    return tuple(dict.fromkeys(texts))


def _expiry_ns(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as e:
        raise ConfigurationError(f"--expires: {text} is no date; write it as 2027-01-31 or 2027-01-31T12:00") from e
    expires_ns = int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()) * 1_000_000_000
    if expires_ns <= SystemClock().now_ns():
        raise ConfigurationError(f"--expires: {text} is past; give a later date")
    return expires_ns


def _key_type(name: str | None, terms: KeyTerms) -> str | None:
    if name is not None and name not in terms.key_types:
        raise ConfigurationError(f'--key-type: there is no type "{name}"; {suggestion(name, terms.key_types)}')
    return name or next(iter(terms.key_types), None)


def _public_key(path: Path | None) -> str:
    if path is None:
        raise ConfigurationError(
            "--public-key: give the PEM file of a public key of your own, or have the venue make a pair: keys generate"
        )
    try:
        with path.open("rb") as file:
            pem = file.read(_PUBLIC_KEY_BYTES_MAX).decode("ascii", "replace")
    except OSError as e:
        raise ConfigurationError(f"--public-key={path}: can't be read: {e.strerror}; check the path") from e
    _refuse_public_key(pem)
    return pem


def _refuse_public_key(pem: str) -> None:
    """Refuse a text that is not the PEM of a public key, RSA (2048 bits or more) or Ed25519. No part of the text is in
    the message: it may be a private key by mistake."""
    if "PRIVATE KEY" in pem:
        raise ConfigurationError(
            "--public-key: the file holds a private key, which must not leave this machine; give its public half, as "
            "`openssl pkey -in FILE -pubout` writes it"
        )
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(
            "--public-key: the file holds no PEM public key; make one with `openssl pkey -in FILE -pubout`"
        ) from None
    if isinstance(key, RSAPublicKey) and key.key_size < _RSA_BITS_MIN:
        raise ConfigurationError(f"--public-key: RSA key of {key.key_size} bits; use {_RSA_BITS_MIN} or more")
    if not isinstance(key, (RSAPublicKey, Ed25519PublicKey)):
        raise ConfigurationError(f"--public-key: {type(key).__name__} is not supported; use RSA or Ed25519")


def _key_named(name: str, listed: Sequence[ListedKey], verb: KeyVerb) -> ListedKey:
    """The active key with this id, else the only one with this label. Raises `ConfigurationError`."""
    called = [one for one in listed if one.id == name] or [one for one in listed if name in (one.label, one.key)]
    found = [one for one in called if one.is_active]
    if called and not found:
        raise ConfigurationError(f'keys {verb.value}: "{name}" is revoked already, for good')
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise ConfigurationError(f'keys {verb.value}: {len(found)} keys have the label "{name}"; name one by id: {ids}')
    if not found:
        meant = suggestion(name, [word for one in listed for word in (one.id, one.label) if word])
        raise ConfigurationError(f'keys {verb.value}: the account has no key "{name}"; {meant}')
    return found[0]


def _say_assumptions(verb: KeyVerb, terms: KeyTerms, options: argparse.Namespace) -> None:
    """Say what is assumed of the venue for what is asked: nothing of it was tried there."""
    for subject, assumption in terms.assumptions.items():
        if subject == verb.value or getattr(options, subject, None) is not None:
            sys.stderr.write(f"tidegate: note: assumed of this venue, not documented: {assumption}\n")


def _has_ended(key: ListedKey) -> bool:
    return 0 < key.expires_ns <= SystemClock().now_ns()


async def _make(
    verb: KeyVerb, admin: KeyAdmin, form: KeyForm, listed: Sequence[ListedKey], options: argparse.Namespace
) -> None:
    most, active = admin.terms.keys_max, sum(one.is_active and not _has_ended(one) for one in listed)
    if most and active >= most:
        raise ConfigurationError(f"keys {verb.value}: {active} keys are active, this venue takes {most}; revoke one")
    if form.label and any(one.is_active and one.label == form.label for one in listed):
        raise ConfigurationError(f'--label: the account has a key "{form.label}" already; give another label')
    called = f' "{form.label}"' if form.label else ""
    # Before the request: a file that can't be made must not cost a secret that is shown once.
    with _SecretFile(options.out) as file:
        try:
            made = await (admin.create_key if verb is KeyVerb.CREATE else admin.generate_key)(form)
        except OutcomeUnknown as e:
            raise OutcomeUnknown(
                f"{e}; a key{called} may exist, and nobody has its secret: `tidegate keys list`, and revoke it"
            ) from e
        try:
            _deliver(made, form, file, options)
        except OSError as e:
            await _take_back(admin, made, e)
    if any(Right.WITHDRAW in admin.terms.scopes[scope] for scope in form.scopes or ()):
        sys.stderr.write(
            "tidegate: note: this key may withdraw; a daemon refuses it unless allow_withdraw_keys = true "
            f"in [venues.{admin.venue}]\n"
        )


class _SecretFile:
    """A new file that only its owner can read, from its first byte on; without a path none is made. No file is ever
    overwritten, and no link followed. What was not written whole is removed."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._descriptor = -1
        self._is_whole = False

    def __enter__(self) -> _SecretFile:
        """Make the file. Raises `ConfigurationError` when it exists, or can't be made."""
        if self.path is None:
            return self
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(self.path, flags, 0o600)
        except FileExistsError as e:
            raise ConfigurationError(
                f"--out={self.path}: exists already, and is not overwritten; name a new file"
            ) from e
        except OSError as e:
            raise ConfigurationError(f"--out={self.path}: can't be made: {e.strerror}; name another place") from e
        return self

    def __exit__(self, *_error: object) -> None:
        if self.path is not None:
            os.close(self._descriptor)
            if not self._is_whole:
                self.path.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Write the secret, durably. Raises `OSError`."""
        os.fchmod(self._descriptor, 0o600)  # whatever the umask
        data = text.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)
        self._is_whole = True


def _deliver(made: MadeKey, form: KeyForm, file: _SecretFile, options: argparse.Namespace) -> None:
    """Hand the key over: its secret into the file, else to standard output, and to one of them only. Raises `OSError`
    when that fails."""
    shown = {"id": made.id, "label": form.label, "scopes": form.scopes, "key": made.key}
    row: dict[str, Any] = {name: value for name, value in shown.items() if value}
    if file.path is not None:
        file.write(made.secret)
        row["out"] = str(file.path)
    elif made.secret:
        row["secret"] = made.secret
    if options.json:
        print_json([row])
    else:
        print_lines(_lines_of(row))
    sys.stdout.flush()


def _lines_of(row: dict[str, Any]) -> list[str]:
    row = row | ({"scopes": ", ".join(row["scopes"])} if "scopes" in row else {})
    shown = [f"{name:<7} {row[name]}" for name in ("id", "label", "scopes", "key") if name in row]
    if "out" in row:
        shown.append(f"secret  written to {row['out']}, readable by you only")
    if "secret" in row:
        shown += ["secret  shown this once, and nowhere else:", row["secret"].rstrip("\n")]
    return shown


async def _take_back(admin: KeyAdmin, made: MadeKey, error: OSError) -> None:
    """Revoke a key whose secret could not be handed over. Always raises."""
    lost = f"the secret of the new key {made.id} could not be written ({error.strerror})"
    try:
        await admin.revoke_key(made.id)
    except TidegateError as e:
        raise TidegateError(
            f"{lost}, and it can't be revoked now: {e}; revoke it: tidegate keys revoke {made.id}"
        ) from e
    raise TidegateError(f"{lost}; the key is revoked, nothing is left: mend that and do it again") from error


async def _update(admin: KeyAdmin, form: KeyForm, key: ListedKey, options: argparse.Namespace) -> None:
    try:
        await admin.update_key(key.id, form)
    except OutcomeUnknown as e:
        raise OutcomeUnknown(f"{e}; see what holds: tidegate keys list") from e
    _say_done(options, msgspec.structs.replace(key, label=form.label or key.label), "updated")


async def _revoke(admin: KeyAdmin, key: ListedKey, options: argparse.Namespace) -> None:
    _confirm(admin, key, options)
    try:
        await admin.revoke_key(key.id)
    except OutcomeUnknown as e:
        raise OutcomeUnknown(f"{e}; see whether it is gone: tidegate keys list") from e
    _say_done(options, key, "revoked")


def _confirm(admin: KeyAdmin, key: ListedKey, options: argparse.Namespace) -> None:
    """Have the label typed again, the id of a key without one. Raises `ConfigurationError` when it is another text."""
    # A label may come from anywhere; one that can't be typed, or that would act on the terminal, is not asked for.
    wanted = key.label if key.label.strip() and key.label.isprintable() else key.id
    if key.is_own:
        sys.stderr.write(
            f"tidegate: note: this is the key of venues.{admin.venue} itself: a daemon that trades with it is refused, "
            "and its open orders stay at the venue\n"
        )
    if options.yes:
        typed, source = options.yes, "--yes"
    else:
        what = "id" if wanted == key.id else "label"
        sys.stderr.write(f"Revoke {key.id} ({_plain(', '.join(key.scopes))}) for good?\nType its {what}, {wanted}: ")
        sys.stderr.flush()
        typed, source = sys.stdin.readline().rstrip("\n"), "what was typed"
    if typed != wanted:
        raise ConfigurationError(
            f'keys revoke: {source} is not "{wanted}", which {key.id} is called: nothing was done; in a script give '
            f'--yes "{wanted}"'
        )


def _say_done(options: argparse.Namespace, key: ListedKey, done: str) -> None:
    if options.json:
        print_json([{"id": key.id, "label": key.label, "done": done}])
    else:
        print_lines([f'{done}: {key.id} "{_plain(key.label)}"' if key.label else f"{done}: {key.id}"])


def _plain(text: str) -> str:
    """A venue's text without what would act on the terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _show(listed: Sequence[ListedKey], options: argparse.Namespace) -> None:
    if options.json:
        print_json([msgspec.structs.asdict(one) for one in listed])
        return
    if not listed:
        print_lines(["the account has no keys"])
        return
    rows = [_row(one) for one in listed]
    print_table([name for name in rows[0] if any(row[name] for row in rows)], rows)


def _row(key: ListedKey) -> dict[str, str]:
    ended = ["revoked"] * (not key.is_active) or ["expired"] * _has_ended(key)
    notes = ["used here"] * key.is_own + ended
    return {
        "id": key.id,
        "key": key.key,
        "label": _plain(key.label),
        "scopes": _plain(", ".join(key.scopes)),
        "subaccount": "" if key.subaccount is None else str(key.subaccount),
        "addresses": "" if key.ip_list is None else ", ".join(key.ip_list) or "any",
        "created": time_text(key.created_ns)[:10],
        "last_used": time_text(key.used_ns)[:10],
        "expires": time_text(key.expires_ns)[:10],
        "note": ", ".join(notes),
    }
