"""TLS: authorities of one's own, and certificates of the client."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiocouch import CouchDB, Database
from aiocouch.auth import tls
from aiocouch.exception import InvalidInputError, InvalidTypeError, TransportError
from tests.support.certificates import Authority
from tests.wire.canned import Answer, CannedServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def secure_server(authority: Authority, *, asks_client: bool) -> AsyncIterator[CannedServer]:
    """A canned server behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED if asks_client else ssl.CERT_NONE
    canned = CannedServer()
    server = await asyncio.start_server(canned.serve, "127.0.0.1", 0, ssl=context)
    canned.url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield canned
        for task in list(canned.tasks):
            task.cancel()
        await asyncio.gather(*canned.tasks, return_exceptions=True)


async def test_an_authority_of_ones_own(authority: Authority) -> None:
    async with secure_server(authority, asks_client=False) as canned:
        canned.say_json({"couchdb": "Welcome"})
        async with CouchDB(canned.url, tls=tls(ca=authority.certificate)) as couchdb:
            assert await couchdb.info() == {"couchdb": "Welcome"}
        async with CouchDB(canned.url) as couchdb:
            with pytest.raises(TransportError, match="certificate") as caught:
                await couchdb.info()
            assert isinstance(caught.value, aiohttp.ClientConnectorCertificateError)
        assert canned.lines == ["GET /"]


@pytest.mark.parametrize("password", [None, "pä:ss"])
async def test_a_certificate_of_the_client(authority: Authority, password: str | None) -> None:
    encrypted = password.encode() if password else None
    certificate, key = authority.issue("client", encrypted)
    context = tls(ca=authority.certificate, certificate=certificate, key=key, password=password)
    async with secure_server(authority, asks_client=True) as canned:
        canned.say_json({"couchdb": "Welcome"})
        async with CouchDB(canned.url, tls=context) as couchdb:
            await couchdb.info()
        async with CouchDB(canned.url, tls=tls(ca=authority.certificate)) as couchdb:
            with pytest.raises(TransportError):
                await couchdb.remote.request("POST", "/_replicate", body=b"{}")
        assert canned.lines == ["GET /"]


async def test_feeds_speak_tls_too(authority: Authority) -> None:
    async def lines() -> AsyncGenerator[bytes, None]:
        yield b'{"seq":"1-a","id":"x","changes":[{"rev":"1-a"}]}\n'
        await asyncio.Event().wait()

    async with secure_server(authority, asks_client=False) as canned:
        canned.handler = lambda request: Answer(pieces=lines())
        async with CouchDB(canned.url, tls=tls(ca=authority.certificate)) as couchdb:
            feed = Database(couchdb, "db").changes(feed="continuous")
            assert (await anext(feed)).id == "x"
            await feed.aclose()


def test_one_file_may_have_certificate_and_key(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("both")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert isinstance(tls(certificate=both), ssl.SSLContext)


def test_servers_are_always_checked(authority: Authority) -> None:
    for context in (tls(), tls(ca=authority.certificate)):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_what_does_not_fit(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("locked", b"right")
    _, another = authority.issue("another")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    wrong: list[dict[str, Any]] = [
        {"ca": text},
        {"certificate": text, "key": key},
        {"certificate": certificate, "key": another},
        {"certificate": certificate, "key": key, "password": "wr0ng"},
        {"certificate": certificate, "key": key},
        {"key": key},
        {"password": "wr0ng"},
    ]
    for files in wrong:
        with pytest.raises(InvalidInputError, match="certificate") as caught:
            tls(**files)
        assert "wr0ng" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        tls(ca=tmp_path / "none.pem")


async def test_what_is_no_context() -> None:
    with pytest.raises(InvalidTypeError, match="SSLContext"):
        CouchDB("https://localhost", tls=True)  # type: ignore[call-overload]
    async with aiohttp.TCPConnector() as connector:
        with pytest.raises(InvalidInputError, match="connector"):
            CouchDB("https://localhost", tls=tls(), connector=connector)
