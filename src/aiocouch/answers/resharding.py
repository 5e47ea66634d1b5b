"""What a cluster answers about shards that are split."""

from typing import Literal, NotRequired, TypeAlias, TypedDict

__all__ = [
    "ReshardEvent",
    "ReshardJob",
    "ReshardJobState",
    "ReshardRow",
    "ReshardState",
    "ReshardStateInfo",
    "ReshardSummary",
]

ReshardJobState: TypeAlias = Literal["new", "running", "stopped", "completed", "failed"]
"""How it stands with a job that splits a shard."""


class ReshardSummary(TypedDict):
    """`GET /_reshard`: whether jobs run at all, and their numbers by state."""

    state: Literal["running", "stopped"]
    state_reason: str | None
    running: int
    stopped: int
    completed: int
    failed: int
    total: int


class ReshardState(TypedDict):
    """`GET /_reshard/state`, and that of one job."""

    state: ReshardJobState
    reason: str | None


class ReshardStateInfo(TypedDict, total=False):
    """Why a job was stopped or has failed, and the error after which it tries again."""

    reason: str
    error: str


class ReshardEvent(TypedDict):
    """A line of the history of a job."""

    timestamp: str
    type: str
    detail: str | None


class ReshardJob(TypedDict):
    """A job of `GET /_reshard/jobs`, that splits the shard `source` into those of `target`."""

    id: str
    type: str
    source: str
    target: list[str]
    job_state: ReshardJobState
    split_state: str
    state_info: ReshardStateInfo
    node: str
    start_time: str
    update_time: str
    history: list[ReshardEvent]


class ReshardRow(TypedDict):
    """A row of `POST /_reshard/jobs`: the `id` of a new job, or why there is none."""

    node: str
    shard: str
    ok: NotRequired[bool]
    id: NotRequired[str]
    error: NotRequired[str]
