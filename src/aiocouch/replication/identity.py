"""The id of a replication, which names its checkpoints. Pure.

It is computed as CouchDB computes it (version 4 of its replication ids): for the same server, ends and
options it is the same text, so that one goes on where the other has stopped.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiocouch._wire.erlang_terms import UNDEFINED, Atom, of_json, term_to_binary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = 4

_REMOTE, _DEFAULT = Atom("remote"), Atom("default")
_DEFAULT_PORTS = frozenset({("https", 443), ("http", 80), ("http", 5984)})
_USUAL_PORT = {"http": 80, "https": 443}
_ONE_LINE = re.compile(r"^ *(.*?) *$")


@dataclass(frozen=True, slots=True)
class End:
    """One end as it is named: its URL without credentials, the user, and headers beside theirs."""

    url: str
    user: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is replicated. `filter_code` is the text of the filter's function, where it has one."""

    doc_ids: Sequence[str] | None = None
    selector: Mapping[str, Any] | None = None
    filter: str | None = None
    filter_code: str | None = None
    query_params: Mapping[str, Any] = field(default_factory=dict)
    winning_revs_only: bool = False
    since_seq: Any = None


def replication_id(uuid: str, source: End, target: End, choice: Choice) -> str:
    """Return the id, 32 hex digits. `uuid` is that of the server that replicates."""
    terms = [uuid.encode(), _end(source), _end(target), *_chosen(choice)]
    if choice.winning_revs_only:
        terms.append(b"winning_revs_only")
    if choice.since_seq is not None:
        terms.append(of_json(choice.since_seq))
    return hashlib.md5(term_to_binary(terms), usedforsecurity=False).hexdigest()


def _end(end: End) -> tuple[Any, ...]:
    parts = urlsplit(end.url)
    port = parts.port or _USUAL_PORT.get(parts.scheme)
    # a server in this process has no port
    place = _DEFAULT if (parts.scheme, port) in _DEFAULT_PORTS else port or UNDEFINED
    user = UNDEFINED if end.user is None else _characters(end.user)
    headers = [(_characters(name), _characters(text)) for name, text in sorted(end.headers.items())]
    host = parts.netloc.rpartition("@")[2].rpartition(":")[0] if parts.port else parts.netloc
    return (_REMOTE, user, host.strip("[]"), place, parts.path, headers, UNDEFINED)


def _characters(text: str) -> str:
    """Return the text as CouchDB has it in Erlang: each byte of UTF-8 is a character."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _chosen(choice: Choice) -> list[Any]:
    if choice.doc_ids is not None:
        return [sorted({of_json(doc_id) for doc_id in choice.doc_ids})]
    if choice.selector is not None:
        return [of_json(_sorted(choice.selector))]
    if choice.filter is None:
        return []
    text = choice.filter if choice.filter_code is None else _trimmed(choice.filter_code)
    return [of_json(text), of_json(dict(choice.query_params))]


def _trimmed(code: str) -> str:
    """Return the code without spaces around it, which CouchDB takes from a single line only."""
    return _ONE_LINE.sub(r"\1", code, count=1)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value, key=str.encode)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value
