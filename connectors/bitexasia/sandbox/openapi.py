"""The OpenAPI 3.0 description of a REST interface, made of the table of its endpoints and of the structs it sends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

VERSION = "3.0.3"
HEADERS = ("X-Api-Key", "X-Api-Timestamp", "X-Api-Nonce", "X-Api-Signature")
_REF = "#/components/schemas/{name}"
_JSON = "application/json"


@dataclass(frozen=True)
class Described:
    """What a description says of an endpoint: a sentence, the type of its answer and of its body, its query by name and
    JSON type, and the statuses of success."""

    summary: str
    answer: Any
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    statuses: tuple[int, ...] = (200,)


def describe(prefix: str, endpoints: Iterable[tuple[str, str, Described, bool]], error: Any) -> dict[str, Any]:
    """The whole document. An endpoint is its method, its path below `prefix`, what is said of it, and whether it needs
    a signature. `error` is the type of every refusal."""
    endpoints = tuple(endpoints)
    types = [error, *(one.answer for _, _, one, _ in endpoints), *(one.body for _, _, one, _ in endpoints if one.body)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = {repr(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for method, path, one, is_signed in endpoints:
        operation: dict[str, Any] = {
            "summary": one.summary,
            "operationId": f"{method.lower()}{re.sub(r'[^a-z]+', '_', path)}".rstrip("_"),
            "parameters": [_parameter(name, "path", "string") for name in re.findall(r"{(\w+)}", path)]
            + [_parameter(name, "query", kind) for name, kind in one.query.items()],
            "responses": {str(status): _content("done", schema_of[repr(one.answer)]) for status in one.statuses}
            | {"default": _content("refused", schema_of[repr(error)])},
            "security": [{name: [] for name in HEADERS}] if is_signed else [{}, {name: [] for name in HEADERS}],
        }
        if one.body is not None:
            operation["requestBody"] = {"required": True} | _content("", schema_of[repr(one.body)])
            operation["requestBody"].pop("description")
        paths.setdefault(path, {})[method.lower()] = operation
    keys = {name: {"type": "apiKey", "in": "header", "name": name} for name in HEADERS}
    return {
        "openapi": VERSION,
        "info": {"title": "BitExAsia, local exchange", "version": "1"},
        "servers": [{"url": prefix}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": keys},
    }


def _parameter(name: str, where: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": kind}}


def _content(text: str, schema: Any) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": schema}}}
