"""A range of documents read in parallel slices."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._hints import complete
from aiocouch._wire.codec import encode
from aiocouch.exception import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch.document import Document
    from aiocouch.typing import JsonDict
    from aiocouch.view import AllDocsView

__all__ = ["sliced_docs"]

_SLICE_BYTES = 2_000_000
_LEAST, _MOST = 10, 2_000  # documents of a slice
_IN_THE_WAY = ("limit", "skip", "descending", "key", "keys")


class _Sizes(msgspec.Struct):
    external: int


class _Info(msgspec.Struct):
    sizes: _Sizes
    doc_count: int


_Slices = deque["asyncio.Task[list[Document]]"]


async def sliced_docs(
    view: AllDocsView, streams: int, ordered: bool, include_ddocs: bool, options: JsonDict
) -> AsyncGenerator[Document, None]:
    """Yield the documents of a range, by `streams` requests at a time.

    One request for ids runs ahead and tells where a slice ends; each slice is held whole, about two
    megabytes. Raise `InvalidInputError` for options that make no sense for a slice.
    """
    for name in _IN_THE_WAY:
        if options.get(name) is not None:
            raise InvalidInputError(f"{name}= cannot be used together with streams=")
    slices: _Slices = deque()
    try:
        async with aclosing(_bounds(view, options)) as all_bounds:
            async for bounds in all_bounds:
                reading = _read(view, include_ddocs, {**options, **bounds})
                slices.append(asyncio.get_running_loop().create_task(reading))
                if len(slices) >= streams:
                    for doc in await _next(slices, ordered):
                        yield doc
        while slices:
            for doc in await _next(slices, ordered):
                yield doc
    finally:
        for task in slices:
            task.cancel()
        await asyncio.gather(*slices, return_exceptions=True)


async def _bounds(view: AllDocsView, options: JsonDict) -> AsyncGenerator[JsonDict, None]:
    """Yield the options that make slices of the range, one after the other."""
    size = await _slice_size(view)
    start: JsonDict = {}
    count = 0
    asked = {
        name: value for name, value in options.items() if name not in ("conflicts", "attachments")
    }
    async with aclosing(view.ids(**asked)) as ids:
        async for id in ids:
            count += 1
            if count % size == 0:
                key = encode(id).decode()
                yield {**start, "endkey": key, "inclusive_end": False}
                start = {"startkey": key}
    yield start


async def _slice_size(view: AllDocsView) -> int:
    database = view.database
    info = await database.remote.json("GET", database.endpoint, into=_Info)
    average = info.sizes.external / max(info.doc_count, 1)
    return min(max(int(_SLICE_BYTES / max(average, 1)), _LEAST), _MOST)


async def _read(view: AllDocsView, include_ddocs: bool, options: Any) -> list[Document]:
    return [doc async for doc in view.docs(include_ddocs=include_ddocs, **options)]


async def _next(slices: _Slices, ordered: bool) -> list[Document]:
    """Return the documents of the first slice, or of one that is ready."""
    if ordered:
        return await slices.popleft()
    done, _ = await asyncio.wait(slices, return_when=asyncio.FIRST_COMPLETED)
    task = done.pop()
    slices.remove(task)
    return task.result()


complete("aiocouch")
