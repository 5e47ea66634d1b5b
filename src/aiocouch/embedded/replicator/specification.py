"""What a replication is to do, read from `POST /_replicate` or a `_replicator` document. Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, unquote_plus, urlsplit, urlunsplit

from aiocouch.embedded.codec import encode
from aiocouch.embedded.errors import CouchError, bad_request, internal
from aiocouch.embedded.selectors.selector import normalize
from aiocouch.replication import identity
from aiocouch.replication.identity import Choice, End

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_BATCH = 500
DEFAULT_CHECKPOINT_INTERVAL = 30.0

_HTTP = re.compile(r"https?://", re.IGNORECASE)
_MISSING = "Missing replicator database"
_EXCLUSIVE = "`doc_ids`,`filter`,`selector` are mutually exclusive"
_BAD_FILTER = "Invalid filter. Must match `ddocname/filtername`."
_BAD_URL = "endpoint has an invalid url"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a replication. `url` ends with a slash and holds no credentials.

    `local` is the name of a database of this server, or None. `proxy` is the URL of an HTTP proxy.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    local: str | None = None
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Specification:
    """A replication as it was asked for."""

    source: Endpoint
    target: Endpoint
    continuous: bool = False
    create_target: bool = False
    create_target_params: Mapping[str, Any] = field(default_factory=dict)
    doc_ids: tuple[str, ...] | None = None
    selector: Mapping[str, Any] | None = None
    filter: str | None = None
    query_params: Mapping[str, Any] = field(default_factory=dict)
    since_seq: Any = None
    use_checkpoints: bool = True
    use_bulk_get: bool = True
    winning_revs_only: bool = False
    batch: int = DEFAULT_BATCH
    checkpoint_interval: float = DEFAULT_CHECKPOINT_INTERVAL


def read_specification(
    body: Mapping[str, Any], address: str, *, local: bool = True
) -> Specification:
    """Read what to do from a JSON object; `address` is `host:port` of this server.

    `local` False refuses names of databases of this server, as `_replicator` documents do.
    Raise CouchError with the words of CouchDB.
    """
    if not local:
        _check_options(body)
    source = _read_endpoint(body.get("source"), address, local=local)
    target = _read_endpoint(body.get("target"), address, local=local)
    _check_options(body)
    proxy = body.get("proxy")
    source = replace(source, proxy=body.get("source_proxy", proxy))
    target = replace(target, proxy=body.get("target_proxy", proxy))
    ids = body.get("doc_ids")
    return Specification(
        source,
        target,
        continuous=bool(body.get("continuous")),
        create_target=bool(body.get("create_target")),
        create_target_params=body.get("create_target_params") or {},
        # CouchDB takes ids as they stand in URLs
        doc_ids=None if ids is None else tuple(sorted(set(map(unquote_plus, ids)))),
        selector=body.get("selector"),
        filter=body.get("filter"),
        query_params=body.get("query_params") or {},
        since_seq=body.get("since_seq"),
        use_checkpoints=body.get("use_checkpoints") is not False,
        use_bulk_get=body.get("use_bulk_get") is not False,
        winning_revs_only=bool(body.get("winning_revs_only")),
        batch=max(int(body.get("worker_batch_size", DEFAULT_BATCH)), 1),
        checkpoint_interval=float(body.get("checkpoint_interval", 30_000)) / 1000,
    )


def _check_options(body: Mapping[str, Any]) -> None:
    for name, check in _CHECKS.items():
        if name in body:
            check(name, body[name])
    _check_exclusive(body)


def _read_endpoint(value: object, address: str, *, local: bool) -> Endpoint:
    if value is None:
        raise internal(_MISSING, "error")
    headers: dict[str, str] = {}
    credentials = None
    url = value
    if isinstance(value, dict):
        if "url" not in value or (not local and not _is_http(value["url"])):
            raise CouchError(400, "invalid_replication", _BAD_URL)
        url = value["url"]
        headers = {str(name): str(text) for name, text in _members(value, "headers").items()}
        credentials = _basic(_members(value, "auth")) or _taken_out(headers)
    if isinstance(url, str) and _is_http(url):
        return _remote(url, headers, credentials)
    if not local and not isinstance(value, str | dict):
        raise internal("function_clause")
    if not local:
        raise CouchError(400, "invalid_replication", "local_endpoints_not_supported")
    name = url if isinstance(url, str) else encode(url).decode()
    path = f"{quote(name, safe='')}/" if name else ""
    return Endpoint(f"http://{address}/{path}", headers, credentials, name)


def _members(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name, {})
    if not isinstance(found, dict):
        raise internal(f"{{badmatch,{encode(found).decode()}}}")
    return found


def _is_http(url: object) -> bool:
    return isinstance(url, str) and _HTTP.match(url) is not None


def _basic(auth: Mapping[str, Any]) -> tuple[str, str] | None:
    basic = auth.get("basic")
    if not isinstance(basic, dict):
        return None
    return str(basic.get("username", "")), str(basic.get("password", ""))


def _taken_out(headers: dict[str, str]) -> tuple[str, str] | None:
    """Take Basic credentials out of headers: who asks is the same, however it is written."""
    for name, text in headers.items():
        kind, _, encoded = text.partition(" ")
        if name.lower() == "authorization" and kind.lower() == "basic":
            pair = _decoded(encoded)
            if pair is not None:
                del headers[name]
            return pair
    return None


def _decoded(encoded: str) -> tuple[str, str] | None:
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if colon else None


def _remote(url: str, headers: dict[str, str], credentials: tuple[str, str] | None) -> Endpoint:
    parts = urlsplit(url)
    if not parts.netloc:
        raise CouchError(400, "invalid_replication", _BAD_URL)
    if parts.username is not None and credentials is None:
        credentials = unquote(parts.username), unquote(parts.password or "")
    host = parts.netloc.rpartition("@")[2]
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    plain = urlunsplit((parts.scheme.lower(), host, path, "", ""))
    return Endpoint(plain, headers, credentials)


# single options


def _boolean(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise bad_request(f"parameter `{name}` must be a boolean")


def _json_object(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise bad_request(f"parameter `{name}` must be a JSON object")


def _query_params(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise bad_request(f"parameter `{name}` must be an object")


def _array(name: str, value: object) -> None:
    if not isinstance(value, list):
        raise bad_request(f"parameter `{name}` must be an array")
    if not all(isinstance(item, str) for item in value):
        raise internal("function_clause")


def _number(name: str, value: object) -> None:
    del name
    if isinstance(value, bool) or not isinstance(value, int):
        raise internal("badarg")


def _proxy(name: str, value: object) -> None:
    del name
    if not _is_http(value):
        raise internal("Invalid proxy url", "error")


def _filter(name: str, value: object) -> None:
    del name
    if not isinstance(value, str):
        raise internal("badarg")
    if not value.startswith("_") and len(value.split("/")) != 2:
        raise internal(_BAD_FILTER, "error")


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "continuous": _boolean,
    "create_target": _boolean,
    "cancel": _boolean,
    "winning_revs_only": _boolean,
    "use_bulk_get": _boolean,
    "create_target_params": _json_object,
    "selector": _json_object,
    "query_params": _query_params,
    "doc_ids": _array,
    "worker_batch_size": _number,
    "worker_processes": _number,
    "http_connections": _number,
    "connection_timeout": _number,
    "retries_per_request": _number,
    "checkpoint_interval": _number,
    "filter": _filter,
    "proxy": _proxy,
    "source_proxy": _proxy,
    "target_proxy": _proxy,
}


def _check_exclusive(body: Mapping[str, Any]) -> None:
    if sum(name in body for name in ("doc_ids", "filter", "selector")) > 1:
        raise bad_request(_EXCLUSIVE)


# identity


def replication_id(spec: Specification, server_uuid: str, filter_code: str | None) -> str:
    """Return the id that names a replication and its checkpoints, 32 hex digits, as CouchDB does.

    It stays the same while the server, the ends and what is copied stay the same.
    """
    choice = Choice(
        doc_ids=spec.doc_ids,
        selector=None if spec.selector is None else normalize(spec.selector),
        filter=spec.filter,
        filter_code=filter_code,
        query_params=spec.query_params,
        winning_revs_only=spec.winning_revs_only,
        since_seq=spec.since_seq,
    )
    return identity.replication_id(server_uuid, _end(spec.source), _end(spec.target), choice)


def _end(end: Endpoint) -> End:
    return End(end.url, end.credentials[0] if end.credentials else None, end.headers)


def job_id(base: str, spec: Specification) -> str:
    """Return the id of the job: a continuous one is another job than a single run."""
    suffix = "+continuous" if spec.continuous else ""
    return base + suffix + ("+create_target" if spec.create_target else "")
