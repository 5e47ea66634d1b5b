"""The README is read on a forge: its links lead somewhere, and it has nothing that only Sphinx knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_ROLE = re.compile(r"(?<![/\w])\{[a-z:-]+\}`[^`|]*`")
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_PAGE_LINK = re.compile(r"\]\(([\w/-]+\.md)(?:#[\w-]*)?\)")
_TOTALS = re.compile(r"(\w[\w ]*?) (\d+)(?: and (\d+) in part)?(?:,|\.$)", re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(_LINK.findall(README))))
def test_links_lead_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


def test_it_has_links() -> None:
    assert len(_LINK.findall(README)) > 10


def test_nothing_is_for_sphinx_alone() -> None:
    assert "<!-- hidden" not in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_roles(page: Path) -> None:
    text = _BLOCK.sub("", page.read_text("utf-8"))
    assert not [found[0] for found in _ROLE.finditer(text) if "/" not in found[0]]
    assert "[](" not in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_pages_lead_somewhere(page: Path) -> None:
    links = _PAGE_LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_first_page_names_all_others() -> None:
    named = set(_PAGE_LINK.findall((ROOT / "docs/index.md").read_text("utf-8")))
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


def test_code_is_on_the_first_screen() -> None:
    assert "```python" in "\n".join(README.splitlines()[:10])


def test_it_counts_endpoints_as_their_page_does() -> None:
    page = (ROOT / "docs" / "endpoints.md").read_text("utf-8")
    ours = re.search(r"^aiocouch: (\d+) of (\d+); (.*)$", page, re.MULTILINE)
    assert ours
    row = next(line for line in README.splitlines() if line.startswith("| [Endpoints]"))
    assert f"of {ours[2]} | {ours[1]} |" in row
    for _, number, in_part in _TOTALS.findall(ours[3]):
        assert f"| {number}, {in_part} in part |" in row
