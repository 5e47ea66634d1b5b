"""Ids of replications: those that CouchDB 3.5.2 gave for the same, and the terms that they are made of."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch._wire.erlang_terms import UNDEFINED, Atom, of_json, term_to_binary
from aiocouch.replication.identity import Choice, End, replication_id

UUID = "90e196842aa8b6d036e5256a93a748ba"
SOURCE = End("http://127.0.0.1:25871/gid/", "admin")
TARGET = End("http://t.example/b/")
HEADERS = {"X-B": "2", "X-A": "1"}


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({}, "116cbd895b8957bfadd597a64e16039e"),
        ({"doc_ids": ["b", "a", "ü", "b"]}, "d814734cf0d349fd5521f72720243cd7"),
        ({"selector": {}}, "a0d905d53a9a864a60287a9c078ebec6"),
        (
            {"filter": "f/one", "filter_code": "  function (doc) { return true }  "},
            "58d1a61b99d1088c8fd5b83d9af5f969",
        ),
        (
            {
                "filter": "f/two",
                "filter_code": "function (doc) {\n  return true\n}\n",
                "query_params": {"q": "1", "a": 2},
            },
            "f9a762ee08933ef2b8546dd22817733a",
        ),
        (
            {"filter": "_view", "query_params": {"view": "f/x"}},
            "3db62c819b57b3149327d1315b904c4a",
        ),
        ({"winning_revs_only": True}, "ff2fa6f07fbd65ec0cbcecbc53078218"),
        ({"since_seq": "5-x"}, "69b8467c0a0fbae3fed614423fa94be1"),
        (
            {"since_seq": 0, "winning_revs_only": True, "doc_ids": []},
            "ade12cf4e90862167bace5f45306d367",
        ),
    ],
)
def test_what_is_chosen_is_part_of_the_id(choice: dict[str, Any], name: str) -> None:
    assert replication_id(UUID, SOURCE, TARGET, Choice(**choice)) == name


@pytest.mark.parametrize(
    ("url", "with_headers", "with_user"),
    [
        (
            "http://h:5984/x/",
            "f141af89da3644797b96e82e2e232987",
            "eb38da511492097a240380de4d42cc5b",
        ),
        ("https://h/x/", "f141af89da3644797b96e82e2e232987", "eb38da511492097a240380de4d42cc5b"),
        (
            "http://[::1]:5985/x/",
            "92a2a560812aac84de0cd63e086c3209",
            "f10635cff29d160769adf074329dc892",
        ),
        (
            "http://Host:80/a%2Fb/",
            "e550d119908f730ded54f2c34c2e69e6",
            "e729c09aaf57aeee2a96f1a134cee9f2",
        ),
        (
            "https://h:8443/x/",
            "297a3abe1d215b13d0a60cbb7f3218ef",
            "ea29002c8132f1088b4e95c050cbea72",
        ),
    ],
)
def test_ends_are_part_of_the_id(url: str, with_headers: str, with_user: str) -> None:
    plain = Choice()
    assert replication_id(UUID, SOURCE, End(url, None, HEADERS), plain) == with_headers
    assert replication_id(UUID, SOURCE, End(url, "jü"), plain) == with_user


@pytest.mark.parametrize(
    ("term", "written"),
    [
        (UNDEFINED, "640009756e646566696e6564"),
        ("", "6a"),
        ("aé", "6b000261e9"),
        ("€", "6c00000001" + "62000020ac" + "6a"),
        ([], "6a"),
        ([1, 255], "6b000201ff"),
        ([1, 256], "6c00000002" + "6101" + "6200000100" + "6a"),
        (b"ab", "6d000000026162"),
        ((), "6800"),
        (((1,),), "680168016101"),
        (255, "61ff"),
        (-1, "62ffffffff"),
        (2**31 - 1, "627fffffff"),
        (2**31, "6e0400" + "00000080"),
        (-(2**31) - 1, "6e0401" + "01000080"),
        (2**2048, "6f00000101" + "00" * 257 + "01"),
        (1.5, "463ff8000000000000"),
    ],
)
def test_terms(term: Any, written: str) -> None:
    assert term_to_binary(term).hex() == "83" + written


def test_json_as_terms() -> None:
    value = {"a": [None, True, False, 1.5, "ü"]}
    items = [Atom("null"), Atom("true"), Atom("false"), 1.5, b"\xc3\xbc"]
    assert of_json(value) == ([(b"a", items)],)
    assert of_json({}) == ([],)


def test_what_is_no_term() -> None:
    with pytest.raises(TypeError):
        term_to_binary(None)
    with pytest.raises(TypeError):
        term_to_binary(True)
