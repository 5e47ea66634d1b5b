"""Fauxton in a real browser, on the embedded server.

It needs Chromium with its driver, and the npm package, which `make fauxton` fetches.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.cli.fauxton import NoPageError, find_page
from tests.support.browser import browser, missing
from tests.unit.cli.test_serve import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.browser import Browser

pytestmark = pytest.mark.timeout(600)

FETCHED = Path(sys.prefix) / "fauxton"
"""Where `make fauxton` puts the package."""

READ = "return document.querySelector('.ace_editor').env.editor.getValue()"
WRITE = "document.querySelector('.ace_editor').env.editor.setValue(arguments[0])"


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of `aiocouch serve --ui`."""
    folder = Path(os.environ.get("FAUXTON_FOLDER", FETCHED))
    if reason := missing():
        pytest.skip(reason)
    try:
        find_page(folder)
    except NoPageError:
        pytest.skip("the npm package fauxton is not there (`make fauxton` fetches it)")
    with serving("--ui", folder) as (_, url):
        yield url


@pytest.fixture
def page(server: str, tmp_path: Path) -> Iterator[Browser]:
    """A browser in which the admin has logged in on the start page."""
    with browser(tmp_path) as page:
        page.open(f"{server}/_utils")
        page.write("#username", "admin")
        page.write("#password", "admin")
        page.click("button", "Log In")
        page.wait_for_text("Databases per page")
        yield page


def fetched(url: str) -> dict[str, Any]:
    manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
    manager.add_password(None, url, "admin", "admin", is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    with opener.open(url, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def edited(page: Browser) -> Any:
    """The value in the editor, once there is one."""
    page.wait("the editor", "return !!document.querySelector('.ace_editor')?.env?.editor")
    return json.loads(page.run(READ))


def test_a_document_is_made_edited_found_and_deleted(page: Browser, server: str) -> None:
    _make_database(page)
    _make_document(page)
    assert fetched(f"{server}/fruits/apple")["colour"] == "green"
    _edit(page, f"{server}/_utils/#/database/fruits/apple")
    assert fetched(f"{server}/fruits/apple")["colour"] == "red"
    _find(page, f"{server}/_utils/#/database/fruits/_find")
    _delete(page, f"{server}/_utils/#/database/fruits/apple")
    assert fetched(f"{server}/fruits")["doc_count"] == 0
    assert fetched(f"{server}/fruits")["doc_del_count"] == 1


def _make_database(page: Browser) -> None:
    page.wait_for_text("_users")
    page.click("button", "Create Database")
    page.write("#js-new-database-name", "fruits")
    page.click("#non-partitioned-db")
    page.click("#js-create-database", "Create")
    page.wait_for_text("No Documents Found")


def _make_document(page: Browser) -> None:
    page.click("a.btn", "Create Document")
    assert edited(page).keys() == {"_id"}
    page.run(WRITE, '{"_id": "apple", "colour": "green"}')
    page.click("button", "Create Document")
    page.wait_for_text("Showing document 1 - 1.")


def _edit(page: Browser, url: str) -> None:
    page.open(url)
    page.wait_for_text("Save Changes")
    document = edited(page)
    assert document["_rev"].startswith("1-")
    page.run(WRITE, json.dumps({**document, "colour": "red"}))
    page.click("button", "Save Changes")
    page.wait_for_text("Showing document 1 - 1.")


def _find(page: Browser, url: str) -> None:
    page.open(url)
    page.wait_for_text("Run Query")
    assert edited(page)["selector"]
    for colour, found in (("red", "Showing document 1 - 1."), ("blue", "Showing 0 documents.")):
        page.run(WRITE, json.dumps({"selector": {"colour": colour}}))
        page.click("button", "Run Query")
        page.wait_for_text(found)


def _delete(page: Browser, url: str) -> None:
    page.open(url)
    page.wait_for_text("Delete")
    assert edited(page)["_rev"].startswith("2-")
    page.click("button", "Delete")
    page.click(".modal-dialog button", "Delete Document")
    page.wait_for_text("No Documents Found")


def test_every_page_of_the_menu_opens(page: Browser, server: str) -> None:
    node = fetched(f"{server}/_membership")["all_nodes"][0]
    pages = {
        "setup": "Setup",
        "activetasks": "Active Tasks",
        f"_config/{node}": "chttpd",
        "replication": "Replication",
        "documentation": "CouchDB",
        "verifyinstall": "Verify",
        "changePassword": "Password",
        "database/_users/_all_docs": "_design/_auth",
        "database/_users/permissions": "Members",
        "database/_users/_changes": "_design/_auth",
        "database/_users/_index": "Mango",
    }
    for path, text in pages.items():
        page.open(f"{server}/_utils/#/{path}")
        page.wait_for_text(text)
        assert "Error" not in page.text()
    page.open(f"{server}/_utils/#/verifyinstall")
    page.click("button", "Verify Installation")
    page.wait_for_text("Success! Your CouchDB installation is working.")
