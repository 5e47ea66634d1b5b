"""What the server answers with one member that counts."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Jobs", "State", "Who"]


class State(msgspec.Struct):
    """`GET /_cluster_setup`."""

    state: str


class Jobs(msgspec.Struct):
    """`GET /_reshard/jobs`."""

    jobs: list[dict[str, Any]]


class User(msgspec.Struct):
    """A member of `GET /_session`."""

    name: str | None
    roles: list[str]


class Who(msgspec.Struct):
    """`GET /_session`."""

    user: User = msgspec.field(name="userCtx")
