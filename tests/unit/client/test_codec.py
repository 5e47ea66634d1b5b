"""JSON with the extra `fast` and without it: the same is taken, and the same is refused."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import random
import struct
import types
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import pytest
import rjson

from aiocouch import CouchDB, CouchDBError, Database, Document
from aiocouch._tracked import saved, to_send
from aiocouch._wire.codec import decode, encode, encode_checked, encode_list
from aiocouch._wire.strict import is_strict, strict_encoder


class _Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class _Number(float):
    pass


class _Object(dict[str, int]):
    pass


class _List(list[int]):
    pass


class _Plain(enum.Enum):
    TEXT = "text"
    NUMBER = 1


class _OfText(enum.StrEnum):
    TEXT = "text"


class _OfNumbers(enum.IntFlag):
    ONE = 1
    TWO = 2


class _Pair(NamedTuple):
    left: int
    right: int


@dataclasses.dataclass
class _Data:
    left: int = 1


def _refusing_all(_: Any) -> bytes:
    raise TypeError


def _writing_text(value: Any) -> Any:
    return rjson.dumps_str(value, passthrough=15)


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


TAKEN: list[Any] = [
    *(None, True, 0, -0.0, 1 << 64, 10**400, -(1 << 63) - 1, 1e16, 5e-324, 1.7976931348623157e308),
    *("", "\x00\x7f\u2028", "\U0001f600", '"\\/\b\f\n\r\t'),
    *((1, (2,)), _Pair(1, 2), _Text("a"), _Number(2.5), _Object(a=1), _List([1])),
    *(_OfText.TEXT, _OfNumbers.ONE | _OfNumbers.TWO, collections.OrderedDict(b=1, a=2)),
    *({1: 2}, {_Text("a"): 1}, {_OfText.TEXT: 1}, _nested(300)),
]
REFUSED: list[Any] = [
    *(math.nan, math.inf, -math.inf, _Number("nan"), "\ud800", "\ud83d\ude00", {"\ud800": 1}, 1j),
    *(b"x", bytearray(b"x"), memoryview(b"x"), array.array("i", [1]), {1}, frozenset([1])),
    *(_Plain.TEXT, _Plain.NUMBER, _Data(), _Data, uuid.UUID(int=1), decimal.Decimal("1.5")),
    *(datetime.date(2026, 1, 1), datetime.timedelta(1), pathlib.Path("x"), range(3), iter([1])),
    *({True: 1}, {None: 1}, {1.5: 1}, {(1,): 1}, {b"a": 1}, {_Plain.TEXT: 1}),
    *(collections.deque([1]), collections.ChainMap({"a": 1}), types.MappingProxyType({"a": 1})),
]


@pytest.mark.parametrize("value", TAKEN)
def test_both_write_the_same(value: Any) -> None:
    here, there = decode(encode({"a": [value]})), decode(encode_checked({"a": [value]}))
    assert repr(here) == repr(there)


@pytest.mark.parametrize("to_json", [encode, encode_checked])
@pytest.mark.parametrize("value", REFUSED)
def test_both_refuse_the_same(value: Any, to_json: Callable[[Any], bytes]) -> None:
    with pytest.raises(CouchDBError, match=r"^not JSON: .*at \['a'\]\[0\]|lone surrogate"):
        to_json({"a": [value]})


SPECIAL = [
    *'"\\/\b\f\n\r\t\x00\x1f\x7f\x80\xff\u0100\u07ff\u0800\u2028\ud7ff\ue000\uffff\U00010000\U0010ffff'
]


@pytest.mark.parametrize("to_json", [encode, encode_checked])
@pytest.mark.parametrize("filling", ["a", "\xe9", "\u65e5", "\U0001f600"])
def test_every_character_at_every_place(to_json: Callable[[Any], bytes], filling: str) -> None:
    """Encoders look at 16, 32 or 64 bytes at a time."""
    for length in range(1, 70):
        texts = [
            filling * place + special + filling * (length - place - 1)
            for place in range(length)
            for special in SPECIAL
        ]
        assert json.loads(to_json(texts)) == texts


@pytest.mark.parametrize("to_json", [encode, encode_checked])
def test_floats_of_any_bits(to_json: Callable[[Any], bytes]) -> None:
    bits = random.Random(3).randbytes(8 * 100_000)
    floats = [number for (number,) in struct.iter_unpack("<d", bits) if math.isfinite(number)]
    assert json.loads(to_json(floats)) == floats


@pytest.mark.parametrize("to_json", [encode, encode_checked])
def test_two_keys_of_one_text_are_refused(to_json: Callable[[Any], bytes]) -> None:
    with pytest.raises(CouchDBError, match=r"the keys 1 and '1' at \['a'\] are the same in JSON"):
        to_json({"a": {1: "number", "1": "text"}})


def test_the_strict_encoder_is_used_where_it_is_installed() -> None:
    assert strict_encoder() is not None


@pytest.mark.parametrize(
    "encoder", [rjson.dumps, msgspec.json.encode, lambda _: b"null", _refusing_all, _writing_text]
)
def test_an_encoder_that_writes_something_else_is_not(encoder: Callable[[Any], bytes]) -> None:
    assert not is_strict(encoder)


@pytest.mark.parametrize("number", [1.989e30, 1e16, 1e-7, 10**40])
def test_equal_contents_have_equal_texts(number: float) -> None:
    """However they were encoded: int keys are not what rjson takes."""
    assert encode({"year": {2026: [number]}}) == encode({"year": {"2026": [number]}})
    data: dict[Any, Any] = {2026: number}
    doc = Document(Database(CouchDB("http://127.0.0.1:1"), "db"), "a", data)
    text = to_send(doc)
    assert text is not None
    saved(doc, text, "1-a")
    assert not doc.is_dirty()


@pytest.mark.parametrize("good", [{"a": 1}, {1: 2}])
def test_a_list_is_encoded_with_what_stands_beside_it(good: dict[Any, Any]) -> None:
    text = encode_list("docs", [good, {"b": 2}], {"new_edits": False})
    docs = [{str(key): value for key, value in good.items()}, {"b": 2}]
    assert decode(text) == {"new_edits": False, "docs": docs}
    assert decode(encode_list("docs", [], {})) == {"docs": []}
    with pytest.raises(CouchDBError, match=r"bytes at \['docs'\]\[1\]\['a'\]"):
        encode_list("docs", [good, {"a": b"bytes"}], {})


def test_a_release_without_the_options_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(rjson, "PASSTHROUGH_ENUM")
    assert strict_encoder() is None


def test_nor_one_that_ignores_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rjson, "dumps", partial(_ignoring, rjson.dumps))
    assert strict_encoder() is None


def _ignoring(dumps: Callable[[Any], bytes], value: Any, **_: Any) -> bytes:
    return dumps(value)
