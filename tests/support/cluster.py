"""A cluster of several nodes, where a read may come from any copy of a document.

Quorums are CouchDB's business, and a view, a query or a feed reads a single copy. So that the same tests
hold there, what they write goes to all copies before they go on.
"""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiocouch.testing import CouchDBServer

if TYPE_CHECKING:
    import aiohttp

    from aiocouch import CouchDB

_COPIES = "3"  # CouchDB's default for n
_MOST_READS = 100
_PAUSE = 0.02
_WHO = ("Authorization", "Cookie")
_WRITES = ("_bulk_docs", "_index")


@dataclass(frozen=True)
class Cluster(CouchDBServer):
    """Several nodes behind one URL."""

    def connect(self, **kwargs: Any) -> CouchDB:
        """Return a session whose writes are answered when all copies have them."""
        return super().connect(**{"middlewares": (everywhere,), **kwargs})


async def everywhere(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Ask for an answer of all copies, where a document is written and the test says nothing else."""
    url = request.url
    parts = url.raw_path.strip("/").split("/")
    is_write = request.method in {"PUT", "DELETE", "COPY"} and len(parts) > 1
    if request.method == "POST":
        is_write = len(parts) == 1 or (len(parts) == 2 and parts[1] in _WRITES)
    if is_write and not parts[0].startswith("_") and "w" not in url.query:
        request.url = url.update_query(w=_COPIES)
    response = await handler(request)
    if request.method == "PUT" and parts[-1] == "_security" and response.status == 200:
        await _heard(request)
    return response


async def _heard(request: aiohttp.ClientRequest) -> None:
    """Wait until reads give the security that was written: CouchDB answers when most copies have it."""
    body = request.body
    written = json.loads(body if isinstance(body, bytes) else await body.as_bytes())
    headers = {name: request.headers[name] for name in _WHO if name in request.headers}
    url = request.url.with_query(None)
    for _ in range(_MOST_READS):
        async with request.session.get(url, headers=headers, middlewares=()) as answer:
            if await answer.json(content_type=None) == written:
                return
        await asyncio.sleep(_PAUSE)


def server_of(url: str) -> CouchDBServer:
    """Return the server or the cluster at a URL."""
    server = CouchDBServer.from_url(url)
    who = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
    asked = urllib.request.Request(f"{server.url}/_membership")
    asked.add_header("Authorization", f"Basic {who}")
    with urllib.request.urlopen(asked, timeout=30) as answer:
        nodes = json.load(answer)["cluster_nodes"]
    return Cluster(server.url, server.user, server.password) if len(nodes) > 1 else server
