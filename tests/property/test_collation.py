"""Sort keys against a plain comparison of values, and of strings against an installed ICU."""

from __future__ import annotations

import ctypes
import functools
import unicodedata
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiocouch.embedded.collation.collation import HIGHEST, LOWEST, raw_sort_key, sort_key
from aiocouch.embedded.collation.string_order import string_key

if TYPE_CHECKING:
    from collections.abc import Callable

ASCII = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=6)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = (
    st.integers()
    | st.integers(-(2**80), 2**80)
    | st.integers(2**53 - 3, 2**53 + 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-20, 20).map(lambda n: n * 2.0**52)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | ASCII,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ASCII, inner, max_size=3),
    max_leaves=6,
)
ORDER = "\t\n\x0b\x0c\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"


def compare(one: Any, other: Any) -> int:
    """Say -1, 0 or 1 as CouchDB would, in the plainest way; strings are ASCII."""
    kind, other_kind = rank(one), rank(other)
    if kind != other_kind:
        return sign(kind, other_kind)
    if isinstance(one, str):
        return sign(letters(one), letters(other))
    if isinstance(one, list):
        return compare_lists(one, other)
    if isinstance(one, dict):
        return compare_lists(flat(one), flat(other))
    if kind == 3:
        return sign(Fraction(one), Fraction(other))
    return 0


def rank(value: Any) -> int:
    for place, fits in enumerate(
        [value is None, value is False, value is True, isinstance(value, int | float)]
    ):
        if fits:
            return place
    kinds: dict[type, int] = {str: 4, list: 5, dict: 6}
    return kinds[type(value)]


def sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def letters(text: str) -> tuple[list[int], list[bool]]:
    """Letters first, then upper case behind lower case; other control characters do not count."""
    seen = [each for each in text if each.lower() in ORDER]
    return [ORDER.index(each.lower()) for each in seen], [each.isupper() for each in seen]


def flat(value: dict[str, Any]) -> list[Any]:
    return [part for item in value.items() for part in item]


def compare_lists(one: list[Any], other: list[Any]) -> int:
    for left, right in zip(one, other, strict=False):
        if difference := compare(left, right):
            return difference
    return sign(len(one), len(other))


@given(VALUES, VALUES)
def test_keys_are_in_the_order_of_values(one: Any, other: Any) -> None:
    assert sign(sort_key(one), sort_key(other)) == compare(one, other)


@given(NUMBERS, NUMBERS)
def test_numbers_compare_exactly(one: float, other: float) -> None:
    wanted = sign(Fraction(one), Fraction(other))
    assert sign(sort_key(one), sort_key(other)) == wanted
    assert sign(raw_sort_key(one), raw_sort_key(other)) == wanted


@given(st.integers(-(2**2000), 2**2000), st.integers(-(2**2000), 2**2000))
def test_numbers_beyond_all_floats(one: int, other: int) -> None:
    assert sign(sort_key(one), sort_key(other)) == sign(one, other)


@given(VALUES, VALUES)
def test_no_key_begins_another(one: Any, other: Any) -> None:
    for make in (sort_key, raw_sort_key):
        first, second = make(one), make(other)
        assert first == second or not second.startswith(first)
        assert LOWEST < first < HIGHEST


@given(st.lists(VALUES, max_size=3), VALUES)
def test_a_key_of_the_beginning_comes_before_what_goes_on(values: list[Any], more: Any) -> None:
    whole = sort_key([*values, more])
    assert sort_key(values) < whole
    assert whole < sort_key(values)[:-1] + HIGHEST


@given(TEXT, TEXT)
def test_raw_strings_are_in_the_order_of_their_bytes(one: str, other: str) -> None:
    assert sign(raw_sort_key(one), raw_sort_key(other)) == sign(one.encode(), other.encode())


@given(ASCII, TEXT)
def test_ascii_and_other_strings_share_one_order(text: str, tail: str) -> None:
    # The short way for ASCII and the long way for the rest must give the same weights.
    assert string_key(text + "\u0300")[: len(string_key(text)) - 3] <= string_key(text + "\u0300")
    assert string_key(text) <= string_key(text + tail)


# --- Against ICU itself, where a machine has the version of CouchDB 3.5


def _library(name: str) -> ctypes.CDLL | None:
    found = next(Path("/usr/lib").glob(f"**/{name}.so.72"), None)
    return None if found is None else ctypes.CDLL(str(found))


@functools.cache
def _icu() -> Callable[[str], bytes] | None:
    library = _library("libicui18n")
    if library is None:
        return None
    error = ctypes.c_int(0)
    library.ucol_open_72.restype = ctypes.c_void_p
    collator = ctypes.c_void_p(library.ucol_open_72(b"", ctypes.byref(error)))
    room = ctypes.create_string_buffer(10_000)

    def key(text: str) -> bytes:
        data = text.encode("utf-16-le")
        size = library.ucol_getSortKey_72(collator, data, len(data) // 2, room, len(room))
        return room.raw[:size]

    return key


@functools.cache
def _interesting() -> list[str]:
    """Characters that have something to do with each other."""
    parts = [
        "aAáÁàâäåæbBcçčdđeéèêëfgğhi\u0131İjkllmnñoóöøœpqrsßtþuüvwxyz",
        "0123456789²½①",
        " _-.,;!?'\"",
    ]
    parts += ["абвгдеёжзийклмнопрстуфхцчшщъыьэюяЙ", "αβγδεζηθάέ", "אבגדהוזחטי", "آأإؤئابتث"]
    parts += [
        "กขคงจเแโใไ",
        "いぃつっやゃカガパァー",
        "一丁七万丈三上下中丰",
        "가각한글",
        "😀🎉👍🏽",
    ]
    parts += ["\u0300\u0301\u0302\u0306\u0308\u0327\u0328\u0345\u05b0\u0655\u0e48", "l·L·ŀ"]
    parts += ["\x00\x01\t\n\u200d\ufe0f\ufffd\uffff\ufffe", "ﬀﬁＡａ１", "ொோௌேโเ"]
    return [character for part in parts for character in part]


@given(st.lists(st.sampled_from(_interesting()), max_size=5).map("".join))
def test_normal_forms_are_equal(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    # A composed letter before an accent that belongs further in (ά and a cedilla) is not in order:
    # without normalisation that makes another string, as the next test says.
    one_by_one = "".join(unicodedata.normalize("NFD", character) for character in composed)
    assume(one_by_one == decomposed)
    assert string_key(composed) == string_key(decomposed)


def test_accents_in_an_unusual_order_are_another_string() -> None:
    # CouchDB has ICU's normalisation off.
    for one in ("a\u0306\u031b", "\u03ac\u0327"):
        other = unicodedata.normalize("NFD", one)
        assert string_key(one) != string_key(other)


@given(st.data())
def test_strings_are_in_the_order_of_icu(data: st.DataObject) -> None:
    key = _icu()
    if key is None:
        pytest.skip("there is no ICU 72 on this machine")
    letters = st.sampled_from(_interesting()) | st.characters(exclude_categories=["Cs"])
    texts = st.lists(letters, max_size=5).map("".join)
    one = data.draw(texts)
    other = data.draw(texts | st.permutations(one).map("".join) | st.just(one.swapcase()))
    assert sign(string_key(one), string_key(other)) == sign(key(one), key(other))


@pytest.mark.parametrize("make", [sort_key, raw_sort_key])
def test_a_key_may_be_nested_deeper_than_python_calls(make: Callable[[Any], bytes]) -> None:
    value: Any = 7
    head, tail = b"", b""
    for level in range(3000):
        value = [True, value, "b"] if level % 2 else {"a": value, "b": None}
        shell = [True, 0, "b"] if level % 2 else {"a": 0, "b": None}
        before, after = make(shell).split(make(0))
        head, tail = before + head, tail + after
    assert make(value) == head + make(7) + tail
