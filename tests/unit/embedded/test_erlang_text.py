"""Values in the words of Erlang."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.erlang_text import printed, written


@pytest.mark.parametrize(
    ("value", "plain", "pretty"),
    [
        (None, "null", "null"),
        (True, "true", "true"),
        (5, "5", "5"),
        (1.5, "1.5", "1.5"),
        (1e21, "1.0e21", "1.0e21"),
        (1.5e-7, "1.5e-7", "1.5e-7"),
        ("ab", "<<97,98>>", '<<"ab">>'),
        ('a"', "<<97,34>>", '<<"a\\"">>'),
        ("", "<<>>", "<<>>"),
        ("é", "<<195,169>>", "<<195,169>>"),
        ([], "[]", "[]"),
        ([1, "a"], "[1,<<97>>]", '[1,<<"a">>]'),
        ([97, 98], "[97,98]", '"ab"'),
        ({}, "{[]}", "{[]}"),
        ({"a": {"b": None}}, "{[{<<97>>,{[{<<98>>,null}]}}]}", '{[{<<"a">>,{[{<<"b">>,null}]}}]}'),
    ],
)
def test_both_ways(value: Any, plain: str, pretty: str) -> None:
    assert written(value) == plain
    assert printed(value) == pretty
