"""Where the files of Fauxton come from, with an npm of our own, and what is said without them."""

from __future__ import annotations

import hashlib
import io
import stat
import subprocess
import sys
import tarfile
import urllib.request
from typing import TYPE_CHECKING

import pytest

from aiocouch.cli.fauxton import FETCHED, NoPageError, cache_folder, find_page
from tests.unit.cli.test_serve import serving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the npm here is a shell script")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test touches the cache of the user, or calls a real npm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()


def make_page(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<p>here</p>", encoding="utf-8")
    return folder


def make_npm(tmp_path: Path, script: str) -> Path:
    """An npm that notes how it is called."""
    npm = tmp_path / "bin" / "npm"
    npm.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\n{script}\n', encoding="utf-8")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    return tmp_path / "calls"


def make_archive(file: Path) -> str:
    """An archive as npm packs it, with what must not be written; give its digest."""
    names = ("package/package.json", "package/dist/release/index.html")
    bad = ("package/dist/release/../../../../outside", "/outside", "package/dist/release/../up")
    with tarfile.open(file, "w:gz") as archive:
        for name in (*names, "package/dist/release/js/a.js", *bad):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
        link = tarfile.TarInfo("package/dist/release/passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return hashlib.sha512(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "where",
    [".", "dist/release", "package/dist/release", "node_modules/fauxton/dist/release"],
)
def test_a_folder_that_is_named(tmp_path: Path, where: str) -> None:
    page = make_page(tmp_path / "named" / where)
    assert find_page(tmp_path / "named").samefile(page)


def test_a_folder_without_a_page(tmp_path: Path) -> None:
    with pytest.raises(NoPageError, match=r"no index\.html.*npm pack fauxton@1\.2\.6.*--ui DIR"):
        find_page(tmp_path)


def test_npm_fetches_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = make_archive(tmp_path / "fauxton-1.2.6.tgz")
    monkeypatch.setattr("aiocouch.cli.fauxton._SHA512", digest)
    calls = make_npm(tmp_path, f'/bin/cp "{tmp_path}/fauxton-1.2.6.tgz" .')
    found = find_page(FETCHED)
    assert found == cache_folder() / "fauxton-1.2.6"
    files = {str(path.relative_to(found)) for path in found.rglob("*") if not path.is_dir()}
    assert files == {"index.html", "js/a.js"}
    assert [path.name for path in cache_folder().iterdir()] == ["fauxton-1.2.6"]
    assert find_page(FETCHED) == found
    assert calls.read_text(encoding="utf-8").count("pack fauxton@1.2.6") == 1
    assert not list(tmp_path.rglob("outside"))
    assert not list(tmp_path.rglob("up"))


def test_what_is_kept_needs_no_npm() -> None:
    kept = make_page(cache_folder() / "fauxton-1.2.6")
    assert find_page(FETCHED) == kept


def test_there_is_no_npm() -> None:
    with pytest.raises(NoPageError, match=r"npm, .*, is not installed\. .*npm pack .*--ui DIR"):
        find_page(FETCHED)


def test_the_registry_refuses(tmp_path: Path) -> None:
    make_npm(tmp_path, 'echo "npm error 403 Forbidden" >&2; exit 1')
    with pytest.raises(NoPageError, match=r"could not fetch .*: npm error 403 Forbidden\. "):
        find_page(FETCHED)
    assert list(cache_folder().iterdir()) == []


def test_an_npm_that_gives_nothing(tmp_path: Path) -> None:
    make_npm(tmp_path, "exit 0")
    with pytest.raises(NoPageError, match="could not fetch"):
        find_page(FETCHED)


def test_another_archive_is_not_taken(tmp_path: Path) -> None:
    make_archive(tmp_path / "other.tgz")
    make_npm(tmp_path, f'/bin/cp "{tmp_path}/other.tgz" fauxton-1.2.6.tgz')
    with pytest.raises(NoPageError, match=r"not the fauxton@1\.2\.6 that is known"):
        find_page(FETCHED)
    assert list(cache_folder().iterdir()) == []


def test_an_npm_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiocouch.cli.fauxton._SECONDS", 0.2)
    make_npm(tmp_path, "exec /bin/sleep 60")
    with pytest.raises(NoPageError, match=r"more than 0\.2 seconds"):
        find_page(FETCHED)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(NoPageError, match=r"cannot be kept: .*--ui DIR"):
        find_page(FETCHED)


@pytest.mark.parametrize("named", [True, False])
def test_the_command_shows_the_page(tmp_path: Path, named: bool) -> None:
    folder = tmp_path / "named" if named else cache_folder() / "fauxton-1.2.6"
    make_page(folder)
    with serving("--ui", *([folder] if named else [])) as (process, url):
        assert process.stdout is not None
        assert process.stdout.readline() == f"Fauxton is at {url}/_utils/\n"
        with urllib.request.urlopen(f"{url}/_utils/", timeout=20) as answer:
            assert answer.read() == b"<p>here</p>"


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "aiocouch", "serve", "--port", "0", "--ui"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert said[0] == "fetching fauxton@1.2.6 with npm …"
    assert said[1].startswith("aiocouch serve: npm, which fetches Fauxton, is not installed.")
    assert len(said) == 2
    named = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (named.returncode, named.stdout) == (1, "")
    assert f"{tmp_path} has no files of Fauxton" in named.stderr
