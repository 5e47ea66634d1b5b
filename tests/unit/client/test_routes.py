"""What a path asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.ids import quote_name
from aiocouch._wire.routes import Route, route_of


@pytest.mark.parametrize(
    ("path", "template", "database"),
    [
        ("/", "/", None),
        ("", "/", None),
        ("/_all_dbs?limit=1", "/_all_dbs", None),
        ("/_session", "/_session", None),
        ("/favicon.ico", "/favicon.ico", None),
        ("/_node/_local/_config/log/level", "/_node/{node-name}/_config/{section}/{key}", None),
        ("/_node/a@b/_stats/couchdb/reads", "/_node/{node-name}/_stats/{name}", None),
        ("/_scheduler/docs/_replicator/x", "/_scheduler/docs/{replicator_db}/{docid}", None),
        ("/_of_tomorrow/x", "/{path}", None),
        ("/_node", "/{path}", None),
        ("/db", "/{db}", "db"),
        ("/db/", "/{db}", "db"),
        ("/a%2Fb%2Bc", "/{db}", "a/b+c"),
        ("/_users", "/{db}", "_users"),
        ("/_users/org.couchdb.user:bond", "/{db}/{docid}", "_users"),
        ("/_replicator/_find", "/{db}/_find", "_replicator"),
        ("/db/x?rev=1-a", "/{db}/{docid}", "db"),
        ("/db/x%2Fy", "/{db}/{docid}", "db"),
        ("/db/x/a.txt", "/{db}/{docid}/{attname}", "db"),
        ("/db/x/a/b.txt", "/{db}/{docid}/{attname}", "db"),
        ("/db/_local/x", "/{db}/_local/{docid}", "db"),
        ("/db/_design/d", "/{db}/_design/{ddoc}", "db"),
        ("/db/_design/d/a/b.js", "/{db}/_design/{ddoc}/{attname}", "db"),
        ("/db/_design/d/_view/v?key=1", "/{db}/_design/{ddoc}/_view/{view}", "db"),
        ("/db/_design/d/_view/v/queries", "/{db}/_design/{ddoc}/_view/{view}/queries", "db"),
        ("/db/_design/d/_update/f/x", "/{db}/_design/{ddoc}/_update/{func}/{docid}", "db"),
        ("/db/_changes?feed=longpoll", "/{db}/_changes", "db"),
        ("/db/_partition/p/_all_docs", "/{db}/_partition/{partition_id}/_all_docs", "db"),
        ("/db/_index/_design%2Fd/json/i", "/{db}/_index/{designdoc}/json/{name}", "db"),
        ("/db/_of_tomorrow", "/{db}/{path}", "db"),
        ("/db/_find/of/tomorrow", "/{db}/{path}", "db"),
    ],
)
def test_route(path: str, template: str, database: str | None) -> None:
    assert route_of(path) == Route(template, database)


@given(st.text(), st.lists(st.text(max_size=5), max_size=6))
def test_any_path_has_one_of_few_routes(query: str, segments: list[str]) -> None:
    route = route_of("/" + "/".join(segments) + "?" + query)
    assert route.template.startswith("/")
    assert (route.database is not None) == route.template.startswith("/{db}")


@given(st.text("abcxyz0189_$()+-/", min_size=1).map("a".__add__))
def test_the_name_of_a_database_comes_back(name: str) -> None:
    assert route_of("/" + quote_name(name)).database == name
