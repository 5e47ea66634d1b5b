"""The process that runs JavaScript. It is started by its path, not as a module.

It imports as little as it can, because a write may wait for its start: the packages around
this file are replaced by empty ones, so that their `__init__` (the whole client) never runs.
It reads orders from its standard input, which is a socket, until that is closed.
"""

from __future__ import annotations

import contextlib
import importlib
import operator
import re
import socket
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec
import quickjs  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.embedded.javascript.protocol import Mapped, Mapping, Order, Reply, Row

_ODD_FLOAT = re.compile(r"e(?<=\de)[+-]|\.000")
"""Finds a float that JavaScript writes otherwise than CouchDB, and some other things."""

_HALF = re.compile(r"(\\\\)|\\ud[89a-f][0-9a-f]{2}")
STACK = 4 * 1024 * 1024
_NESTING = 10_000  # CouchDB's functions take values of some 6,000 levels

TIMED_OUT = "timed out"
OUT_OF_MEMORY = "out of memory"


class Door(Protocol):
    """The function that `environment.js` evaluates to: JSON text in, JSON text out."""

    def __call__(self, name: str, text: str, budget: int, /) -> str: ...


class MapAnswer(msgspec.Struct):
    """For each document, for each view, the emitted pairs; or an error."""

    ok: list[list[list[tuple[msgspec.Raw, msgspec.Raw]]]] | None = None


class BrokenError(Exception):
    """A context that must not be used again."""


def bare_packages() -> None:
    """Let modules of the embedded server be imported without the packages around them."""
    root = Path(__file__).resolve().parents[2]
    for name in ("aiocouch", "aiocouch.embedded", "aiocouch.embedded.javascript"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


class Context:
    """One JavaScript context."""

    def __init__(self, environment: str, memory: int) -> None:
        self.context: Any = quickjs.Context()
        self.context.set_memory_limit(memory)
        self.context.set_max_stack_size(STACK)
        self.door: Door = self.context.eval(environment)

    def call(self, name: str, text: str, seconds: float, budget: int = 0) -> str:
        """Go through one door; a call that is cut off raises BrokenError."""
        self.context.set_time_limit(seconds)
        try:
            return _whole(self.door(name, text, budget))
        except quickjs.JSException as error:
            raise BrokenError(_why(error)) from error
        except (MemoryError, RecursionError, quickjs.StackOverflow) as error:
            raise BrokenError(OUT_OF_MEMORY) from error


def _script(name: str) -> str:
    """Return the text of a function in JavaScript that stands beside this file."""
    return Path(__file__).with_name(name).read_text("utf-8").rstrip()


def _whole(text: str) -> str:
    """Put U+FFFD for halves of characters, which JSON has as escapes only and UTF-8 not at all."""
    if "\\ud" not in text:
        return text
    return _HALF.sub(lambda match: match[0] if match[1] else "\ufffd", text)


def _why(error: Exception) -> str:
    return TIMED_OUT if "interrupted" in str(error) else OUT_OF_MEMORY


#: (key as JSON, value as JSON)
Pair: TypeAlias = tuple[msgspec.Raw, msgspec.Raw]


class RowMaker:
    """Turns what map functions emitted into rows with sort keys.

    `plain`: no float of theirs needs to be printed anew.
    """

    def __init__(self, mapping: Mapping, *, plain: bool) -> None:
        numerals = importlib.import_module("aiocouch._wire.numerals")
        self._printed: Callable[[msgspec.Raw], bytes] = (
            bytes if plain else lambda raw: numerals.reprinted(bytes(raw))
        )
        collation = importlib.import_module("aiocouch.embedded.collation.collation")
        self._mapping = mapping
        self._term: Callable[[Any], bytes] = collation.raw_sort_key
        self._keys: list[Callable[[Any], bytes]] = [
            self._term if raw else collation.sort_key for raw in mapping.raw
        ]
        self._rows: list[list[Row]] = [[] for _ in mapping.raw]

    def rows(self, documents: list[list[list[Pair]]]) -> Mapped:
        """Return the rows of all views for the documents that were mapped."""
        protocol = importlib.import_module("aiocouch.embedded.javascript.protocol")
        ids = self._mapping.ids
        references = [self._add(ids[at], views) for at, views in enumerate(documents)]
        mapped: Mapped = protocol.Mapped(len(documents), self._rows, references)
        return mapped

    def _add(self, id_: str, views: list[list[Pair]]) -> bytes:
        partition = id_.partition(":")[0] if self._mapping.partitioned else None
        printed = self._printed
        keys: list[tuple[int, bytes]] = []
        for view, emitted in enumerate(views):
            sort_key = self._keys[view]
            rows = self._rows[view]
            prefix = b"" if partition is None else sort_key(partition)
            if len(emitted) == 1:
                ((key, value),) = emitted
                order = prefix + sort_key(DECODE(key))
                rows.append((order, id_, 0, printed(key), printed(value)))
                keys.append((view, order))
                continue
            ordered = [(prefix + sort_key(DECODE(pair[0])), pair) for pair in emitted]
            if len({order for order, _ in ordered}) < len(ordered):
                ordered = self._in_order(ordered)
            for number, (order, (key, value)) in enumerate(ordered):
                rows.append((order, id_, number, printed(key), printed(value)))
                keys.append((view, order))
        return ENCODE(keys)

    def _in_order(self, emitted: list[tuple[bytes, Pair]]) -> list[tuple[bytes, Pair]]:
        """Sort what a document emitted under one key as Erlang sorts terms.

        Of keys that differ and sort as one CouchDB keeps the last, with all its values.
        """
        terms = [
            (order, self._term(DECODE(pair[0])), self._term(DECODE(pair[1])), pair)
            for order, pair in emitted
        ]
        terms.sort(key=operator.itemgetter(0, 1, 2))
        last = {order: key for order, key, _, _ in terms}
        return [(order, pair) for order, key, _, pair in terms if last[order] == key]


DECODE = msgspec.json.Decoder().decode
DECODE_MAP = msgspec.json.Decoder(MapAnswer).decode
ENCODE = msgspec.msgpack.Encoder().encode


class Worker:
    """Holds the contexts of this process and carries out orders."""

    def __init__(self) -> None:
        self._protocol = importlib.import_module("aiocouch.embedded.javascript.protocol")
        self._environment = (
            f"{_script('environment.js')}(globalThis, {_script('realm.js')}(globalThis))"
        )
        self._units: dict[str, Context] = {}

    def carry_out(self, order: Order) -> Reply:
        """Do what an order says; whatever JavaScript does becomes part of the reply."""
        for name in order.forget:
            self._units.pop(name, None)
        try:
            return self._answer(order)
        except BrokenError as error:
            self._units.pop(order.unit, None)
            return self._reply("", None, str(error))

    def _answer(self, order: Order) -> Reply:
        unit, refusal = self._unit(order)
        if refusal is not None:
            return self._reply(refusal)
        if order.mapping is None:
            return self._reply(unit.call(order.door, order.text, order.seconds))
        text = unit.call(order.door, order.text, order.seconds, order.mapping.budget)
        try:
            return self._mapped(order.mapping, text)
        except RecursionError as error:  # deeper than CouchDB's own functions go
            raise BrokenError(OUT_OF_MEMORY) from error

    def _mapped(self, mapping: Mapping, text: str) -> Reply:
        answer = DECODE_MAP(text)
        if answer.ok is None:
            return self._reply(text)
        mapper = RowMaker(mapping, plain=_ODD_FLOAT.search(text) is None)
        return self._reply("", mapper.rows(answer.ok))

    def _unit(self, order: Order) -> tuple[Context, str | None]:
        known = self._units.get(order.unit)
        if known is not None and order.setup is None:
            return known, None
        unit = self._units[order.unit] = Context(self._environment, order.memory)
        if order.setup is None:
            return unit, None
        text = unit.call(*order.setup, order.seconds)
        return unit, None if text.startswith('{"ok":') else text

    def _reply(self, text: str, mapped: Mapped | None = None, broken: str | None = None) -> Reply:
        reply: Reply = self._protocol.Reply(text, mapped, broken)
        return reply


def read_exactly(source: socket.socket, size: int) -> bytes:
    """Read that many bytes; fewer only at the end of the stream."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    got = 0
    while got < size:
        count = source.recv_into(view[got:])
        if count == 0:
            return b""
        got += count
    return bytes(buffer)


def serve(link: socket.socket) -> None:
    """Carry out orders until the server goes away."""
    protocol = importlib.import_module("aiocouch.embedded.javascript.protocol")
    header: Any = protocol.HEADER
    decode = msgspec.msgpack.Decoder(protocol.Order).decode
    worker = Worker()
    while head := read_exactly(link, header.size):
        order = decode(read_exactly(link, *header.unpack(head)))
        reply = ENCODE(worker.carry_out(order))
        link.sendall(header.pack(len(reply)) + reply)


if __name__ == "__main__":
    # JSON may be nested deeper than Python expects of programs
    sys.setrecursionlimit(_NESTING)
    bare_packages()
    # A server that goes away in the middle of a call needs no answer.
    with contextlib.suppress(OSError):
        serve(socket.socket(fileno=0))
