"""Where the files of Fauxton, CouchDB's page in the browser, are: in a folder, or fetched by npm.

They are not part of this package. The npm package `fauxton` has them under the Apache License 2.0.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

__all__ = ["FETCHED", "NoPageError", "cache_folder", "find_page"]

FETCHED = Path()
"""Stands for the folder into which npm fetches."""

_PACKAGE = "fauxton@1.2.6"
# Of the archive of this one version, so that nothing else is ever shown.
_SHA512 = (
    "e59c0f2aab2dc2641c9521e27d60666f2ce504e2e8041de0b2c19a88414b3dc2"
    "331ced19c73fae3ebfc3fc5b3a0c61fb1dfa21c3bb3acea723c14f4245cb217f"
)
_BUILT = "dist/release"
_BEFORE = ("", "package/", "fauxton/", "node_modules/fauxton/")
_PLACES = ("", *(f"{before}{_BUILT}" for before in _BEFORE))
_SECONDS = 120
_OTHERWISE = (
    f"Where there is npm and its registry, `npm pack {_PACKAGE}` gives an archive; unpack it, and "
    f"name its folder package/{_BUILT}: --ui DIR"
)


class NoPageError(Exception):
    """There are no files of Fauxton. The message says how to get them."""


def find_page(folder: Path) -> Path:
    """Return the folder with the built files: that folder, or where a package in it has them.

    `FETCHED` is the one in the user's cache. npm fetches it if it is not there, and says so.
    """
    if folder is FETCHED:
        kept = cache_folder() / _PACKAGE.replace("@", "-")
        return kept if _is_page(kept) else _fetch(kept)
    for place in _PLACES:
        if _is_page(folder / place):
            return folder / place
    raise NoPageError(f"{folder} has no files of Fauxton: no index.html. {_OTHERWISE}")


def cache_folder() -> Path:
    """Return where programs of this user keep what they can fetch again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "aiocouch"


def _is_page(folder: Path) -> bool:
    return (folder / "index.html").is_file()


def _fetch(kept: Path) -> Path:
    print(f"fetching {_PACKAGE} with npm …", file=sys.stderr)  # noqa: T201 - it may take a while
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as work:
            archive = _pack(Path(work))
            unpacked = Path(work) / "unpacked"
            _unpack(archive, unpacked)
            _keep(unpacked, kept)
    except OSError as error:
        raise NoPageError(f"Fauxton cannot be kept: {error}. {_OTHERWISE}") from error
    return kept


def _pack(work: Path) -> Path:
    """Have npm fetch the archive, without all that the package depends on."""
    npm = shutil.which("npm")
    if npm is None:
        raise NoPageError(f"npm, which fetches Fauxton, is not installed. {_OTHERWISE}")
    command = [npm, "pack", _PACKAGE, "--silent", "--fetch-retries=1", "--ignore-scripts"]
    try:
        done = subprocess.run(  # noqa: S603 - no argument comes from outside
            command, cwd=work, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise NoPageError(f"npm took more than {_SECONDS} seconds. {_OTHERWISE}") from None
    archive = next(work.glob("*.tgz"), None)
    if done.returncode or archive is None:
        said = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        raise NoPageError(f"npm could not fetch {_PACKAGE}: {said}. {_OTHERWISE}")
    return archive


def _unpack(archive: Path, into: Path) -> None:
    """Write the built files; nothing else, and nothing outside the folder."""
    content = archive.read_bytes()
    if hashlib.sha512(content).hexdigest() != _SHA512:
        raise NoPageError(f"what npm fetched is not the {_PACKAGE} that is known. {_OTHERWISE}")
    with tarfile.open(archive) as packed:
        for member in packed:
            path = PurePosixPath(member.name)
            built = path.is_relative_to(f"package/{_BUILT}") and ".." not in path.parts
            if member.isfile() and built:
                target = into / path.relative_to(f"package/{_BUILT}")
                target.parent.mkdir(parents=True, exist_ok=True)
                source = packed.extractfile(member)
                target.write_bytes(b"" if source is None else source.read())


def _keep(unpacked: Path, kept: Path) -> None:
    try:
        unpacked.rename(kept)
    except OSError:
        if not _is_page(kept):  # else another process was first
            raise
