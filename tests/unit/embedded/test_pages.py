"""`/_utils/`: the files of a folder, with the types and headers of Apache CouchDB 3.5.2."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.embedded.server_client import Answer

OLD = "Sat, 26 Oct 1985 08:15:00 GMT"
POLICY = (
    "child-src 'self' data: blob:; default-src 'self'; img-src 'self' data:; font-src 'self'; "
    "script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "frame-src https://blog.couchdb.org;"
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A folder with a page, and a file beside it that is none of anybody's business."""
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    folder = tmp_path / "page"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<p>here</p>", encoding="utf-8")
    os.utime(folder / "index.html", (499162500, 499162500))
    (folder / "favicon.ico").write_bytes(b"icon")
    (folder / "js" / "a b.js").write_text("1", encoding="utf-8")
    return folder


@pytest.fixture
async def client(page: Path) -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        client.embedded.server.ui = page
        yield client


def not_found(answer: Answer) -> bool:
    return (answer.status, answer.body) == (404, b"Not found.")


async def test_the_index(client: ServerClient) -> None:
    for path in ("/_utils/", "/_utils/index.html", "/_utils//index.html", "/_utils/%69ndex.html"):
        answer = await client("GET", path, auth=None)
        assert (answer.status, answer.body) == (200, b"<p>here</p>")
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.headers["Cache-Control"] == "private, must-revalidate"
        assert answer.headers["Last-Modified"] == OLD
        assert answer.headers["Content-Security-Policy"] == POLICY
    head = await client("HEAD", "/_utils/", auth=None)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "11")


@pytest.mark.parametrize(("path", "there"), [("", "/"), ("?a=b", "/"), ("/js", "/js/")])
async def test_a_folder_without_its_slash(client: ServerClient, path: str, there: str) -> None:
    answer = await client("GET", f"/_utils{path}", auth=None)
    assert answer.status == 301
    assert answer.headers["Location"] == f"{client.embedded.url}/_utils{there}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.js", "application/x-javascript"),
        ("a.css", "text/css"),
        ("a.svg", "image/svg+xml"),
        ("a.PNG", "image/png"),
        ("a.woff", "application/x-font-woff"),
        ("a.ttf", "application/x-font-ttf"),
        ("a.eot", "application/vnd.ms-fontobject"),
        ("a.unknown", "text/plain"),
        ("a", "text/plain"),
    ],
)
async def test_types(client: ServerClient, page: Path, name: str, kind: str) -> None:
    (page / name).write_bytes(bytes(range(256)))
    answer = await client("GET", f"/_utils/{name}", auth=None)
    assert (answer.status, answer.body) == (200, bytes(range(256)))
    assert answer.headers["Content-Type"] == kind


async def test_what_the_browser_has(client: ServerClient) -> None:
    answer = await client("GET", "/_utils/", If_Modified_Since=OLD)
    assert (answer.status, answer.body) == (304, b"")
    # Any other time, even a later one, is that of another file.
    other = await client("GET", "/_utils/", If_Modified_Since="Sun, 26 Oct 2025 08:15:00 GMT")
    assert other.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/_utils/nothing",
        "/_utils/js/",
        "/_utils/index.html/",
        "/_utils/index.html/x",
        "/_utils/..%2fsecret.txt",
        "/_utils/js%2f..%2f..%2fsecret.txt",
        "/_utils/%2e%2e/secret.txt",
        "/_utils/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/_utils/%2fetc%2fpasswd",
        "/_utils/js%5ca%20b.js",
        "/_utils/a%00b",
        "/_utils/link.txt",
        "/_utils/up/secret.txt",
        "/_utils/" + "x" * 300,
    ],
)
async def test_nothing_is_there_and_nothing_outside(
    client: ServerClient, page: Path, path: str
) -> None:
    (page / "link.txt").symlink_to(page.parent / "secret.txt")
    (page / "up").symlink_to(page.parent)
    answer = await client("GET", path, auth=None)
    assert not_found(answer)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Security-Policy"] == POLICY


async def test_a_path_may_go_up_within_the_folder(client: ServerClient) -> None:
    answer = await client("GET", "/_utils/js%2f..%2findex.html", auth=None)
    assert answer.body == b"<p>here</p>"
    assert (await client("GET", "/_utils/js/a%20b.js", auth=None)).body == b"1"


async def test_only_to_be_read(client: ServerClient) -> None:
    assert (await client("POST", "/_utils/index.html", auth=None)).status == 401
    answer = await client("PUT", "/_utils/index.html", data=b"")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_the_icon_is_kept_for_a_year(client: ServerClient) -> None:
    answer = await client("GET", "/favicon.ico", auth=None)
    assert (answer.status, answer.body) == (200, b"icon")
    assert answer.headers["Content-Type"] == "image/x-icon"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000"


async def test_without_a_page_nothing_is_there() -> None:
    async with ServerClient() as client:
        for path in ("/_utils/", "/_utils/index.html", "/favicon.ico"):
            assert not_found(await client("GET", path, auth=None))
        assert (await client("GET", "/_utils", auth=None)).status == 301


async def test_who_must_log_in_first_must_do_so_here(page: Path) -> None:
    async with ServerClient(chttpd={"require_valid_user": "true"}) as client:
        client.embedded.server.ui = page
        assert (await client("GET", "/_utils/", auth=None)).status == 401
        assert (await client("GET", "/_utils/")).status == 200


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        ({"utils_enable": "false", "enable": "false"}, None),
        ({"utils_enable": "false"}, POLICY),
        ({"utils_enable": "false", "header_value": "default-src x"}, "default-src x"),
        ({"utils_header_value": "default-src y", "header_value": "no"}, "default-src y"),
    ],
)
async def test_what_the_page_may_load(
    page: Path, settings: dict[str, str], policy: str | None
) -> None:
    async with ServerClient(csp=settings) as client:
        client.embedded.server.ui = page
        answer = await client("GET", "/_utils/", auth=None)
        assert answer.headers.get("Content-Security-Policy") == policy
