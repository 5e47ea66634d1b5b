"""Any id survives the way to the server: quoted, sent by aiohttp's URL, decoded by the server."""

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from aiocouch import CouchDB, Database, Document
from aiocouch._wire.ids import design_document_id, quote_document_id, quote_name
from aiocouch._wire.options import with_query
from aiocouch.exception import InvalidInputError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
TRICKY = st.text(st.sampled_from("./%+ ?#&=:;@\\\"'_~aé\n\x00"), min_size=1, max_size=8)
NAMES = TEXT | TRICKY | st.sampled_from([".", "..", "...", "%2E", "%2e%2e", "_design", "_local/"])


@given(NAMES)
def test_name_is_one_segment_and_comes_back(name: str) -> None:
    quoted = quote_name(name)
    assert quoted.isascii()
    assert not set(quoted) & set("/?#+ ")
    assert quoted not in (".", "..")
    assert unquote(quoted, errors="strict") == name


@given(NAMES, NAMES)
def test_different_names_are_different_paths(one: str, other: str) -> None:
    assert (quote_name(one) == quote_name(other)) == (one == other)


@given(NAMES)
def test_yarl_leaves_the_path_as_it_is(name: str) -> None:
    target = f"/db/{quote_name(name)}"
    assert URL(f"http://host{target}", encoded=True).raw_path_qs == target


@pytest.mark.parametrize("prefix", ["_design/", "_local/"])
@given(name=NAMES)
def test_prefix_keeps_its_slash_and_the_rest_has_none(prefix: str, name: str) -> None:
    quoted = quote_document_id(prefix + name)
    assert quoted.startswith(prefix)
    assert quoted.count("/") == 1
    assert unquote(quoted) == prefix + name


@given(NAMES)
def test_design_document_by_either_name(name: str) -> None:
    whole = design_document_id(name)
    assert whole.startswith("_design/")
    assert design_document_id(whole) == whole


@given(NAMES, NAMES, NAMES)
def test_endpoints_are_made_of_their_names(db: str, doc: str, attachment: str) -> None:
    database = Database(CouchDB("http://127.0.0.1:1"), db)
    document = Document(database, f"x{doc}")
    segments = document.attachment(attachment).endpoint.split("/")
    assert [unquote(segment) for segment in segments] == ["", db, f"x{doc}", attachment]


@given(st.text(st.characters(categories=["Cs"]), min_size=1), st.text(max_size=3))
def test_lone_surrogates_are_refused(bad: str, good: str) -> None:
    for name in (bad, good + bad, f"_design/{bad}"):
        with pytest.raises(InvalidInputError, match="surrogate"):
            quote_document_id(name)


@given(st.dictionaries(TEXT, TEXT))
def test_query_comes_back(options: dict[str, str]) -> None:
    path = with_query("/db", options)
    assert path.isascii()
    sent = URL(f"http://host{path}", encoded=True).raw_path_qs
    pairs = parse_qsl(sent.partition("?")[2], keep_blank_values=True, strict_parsing=bool(options))
    assert dict(pairs) == options
