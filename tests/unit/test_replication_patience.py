"""What a replication waits for, and for how long."""

from __future__ import annotations

import pytest

from aiocouch import BadRequestError, NotFoundError, TransportError, TruncatedError
from aiocouch._errors import Facts
from aiocouch._wire.multipart import MultipartError
from aiocouch.exception import response_error
from aiocouch.replication.endpoint import MissingRevisionError
from aiocouch.replication.patience import Patience, may_pass

QUICK = Patience(tries=3, first=0.001)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_statuses_of_the_moment(status: int) -> None:
    assert may_pass(response_error(Facts("GET", "/x", status)))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 415, 501])
def test_statuses_that_stay(status: int) -> None:
    assert not may_pass(response_error(Facts("GET", "/x", status)))


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (TransportError("reset"), True),
        (TruncatedError("cut"), True),
        (MultipartError("cut"), True),
        (MissingRevisionError("lags"), True),
        (NotFoundError("no filter"), False),
        (ValueError("ours"), False),
    ],
)
def test_other_errors(error: Exception, passes: bool) -> None:
    assert may_pass(error) == passes


def test_pauses_double_up_to_a_limit() -> None:
    patience = Patience(first=1.0, longest=5.0)
    assert [patience.longest_pause(failures) for failures in (1, 2, 3, 4, 999)] == [1, 2, 4, 5, 5]


async def test_it_tries_until_it_works() -> None:
    errors: list[Exception] = [TransportError("a"), MultipartError("b")]

    async def action() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert await QUICK.again(action) == "done"


@pytest.mark.parametrize(("error", "tries"), [(TransportError("a"), 3), (BadRequestError("b"), 1)])
async def test_it_gives_up(error: Exception, tries: int) -> None:
    count = 0

    async def action() -> None:
        nonlocal count
        count += 1
        raise error

    with pytest.raises(type(error)):
        await QUICK.again(action)
    assert count == tries
