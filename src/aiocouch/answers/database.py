"""What a server answers about one database."""

from typing import NotRequired, TypedDict

__all__ = ["DatabaseCluster", "DatabaseInfo", "DatabaseProps", "DatabaseSizes"]


class DatabaseSizes(TypedDict):
    """Sizes in bytes: of the files, of what in them is in use, and of the documents as JSON."""

    file: int
    active: int
    external: int


class DatabaseProps(TypedDict):
    """What a database was created as."""

    partitioned: NotRequired[bool]


class DatabaseCluster(TypedDict):
    """The shards of a database, its copies, and how many of these make a write or a read certain."""

    q: int
    n: int
    w: int
    r: int


class DatabaseInfo(TypedDict):
    """`GET /{db}`: what the dict of `Database.info` has."""

    db_name: str
    doc_count: int
    doc_del_count: int
    update_seq: str
    purge_seq: str
    sizes: DatabaseSizes
    props: DatabaseProps
    cluster: DatabaseCluster
    compact_running: bool
    disk_format_version: int
    instance_start_time: str
