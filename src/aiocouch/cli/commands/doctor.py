"""`aiocouch doctor ADDRESS`: what may be wrong with a server or a database."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from aiocouch import CouchDBError, NotFoundError, TransportError
from aiocouch.cli.doctor import Finding, Patient, Severity, database, indexes, server
from aiocouch.cli.exits import Exit
from aiocouch.cli.output import Output, add_output, as_text, several
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.told import words_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Iterable

    from aiocouch.cli.doctor import Check

__all__ = ["configure"]

_ORDER = (Severity.NOTE, Severity.WARNING, Severity.PROBLEM)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Ends with 8 if something is wrong, with 7 if nothing is and something could not be looked at. "
        "It writes nothing, and builds no index."
    )
    add_target(parser, Of.EITHER)
    parser.add_argument(
        "--deep",
        action="store_true",
        help="of a server, look at all its databases as if each was named: conflicts, views, indexes",
    )
    parser.add_argument(
        "--scan", action="store_true", help="read all documents, to find those that are too large"
    )
    parser.add_argument(
        "--fail-on",
        choices=[str(severity) for severity in _ORDER],
        default=str(Severity.WARNING),
        help="what is wrong enough to end with 8 (default: %(default)s)",
    )
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.EITHER), Output(given)
    counts: Counter[Severity] = Counter()
    async with target.connect() as couchdb, target.for_nobody().connect() as nobody:
        patient = Patient(target.url, couchdb, nobody, given, target.name)
        if target.name is None:
            await couchdb.info()
        else:
            await target.database(couchdb).info()
        patient.nodes = await _node_count(patient)
        patient.is_embedded = target.is_embedded or await _calls_itself_embedded(patient)
        async for finding in _findings(patient):
            counts[finding.severity] += 1
            _print(finding, out)
    _summarize(counts, given, out)
    return _status(counts, given)


async def _node_count(patient: Patient) -> int | None:
    try:
        return len((await patient.couchdb.cluster.membership())["cluster_nodes"])
    except CouchDBError:
        return None  # for admins only


async def _calls_itself_embedded(patient: Patient) -> bool:
    try:
        answer = await patient.couchdb.request("GET", "/")
    except CouchDBError:
        return False  # behind a proxy that lets databases pass only
    return "(aiocouch)" in answer.headers.get("Server", "")


def _status(counts: Counter[Severity], given: argparse.Namespace) -> Exit:
    wrong = _ORDER[_ORDER.index(Severity(given.fail_on)) :]
    if any(counts[severity] for severity in wrong):
        return Exit.FOUND
    return Exit.PARTLY if counts[Severity.UNKNOWN] else Exit.DONE


def _summarize(counts: Counter[Severity], given: argparse.Namespace, out: Output) -> None:
    told = [several(counts[each], str(each)) for each in reversed(_ORDER)]
    if unknown := counts[Severity.UNKNOWN]:
        told.append(f"{unknown} could not be looked at")
    out.note(", ".join(told))
    if not given.scan:
        out.note("the sizes of documents were not looked at: --scan")


async def _findings(patient: Patient) -> AsyncGenerator[Finding, None]:
    if patient.name is not None:
        async for finding in _of_database(patient, deep=True):
            yield finding
        return
    async for finding in _examined(patient, server.CHECKS):
        yield finding
    try:
        names = await patient.couchdb.keys()
    except CouchDBError as error:
        yield _unknown("databases", error, patient)
        return
    for name in names:
        async for finding in _of_database(replace(patient, name=name), deep=patient.given.deep):
            yield finding


async def _of_database(patient: Patient, *, deep: bool) -> AsyncGenerator[Finding, None]:
    checks = list(database.CHECKS)
    if deep:
        checks += [*indexes.CHECKS, *database.DEEP]
    if patient.given.scan:
        checks += database.SCANS
    async for finding in _examined(patient, checks):
        yield finding


async def _examined(
    patient: Patient, checks: Iterable[tuple[str, Check]]
) -> AsyncGenerator[Finding, None]:
    """Yield what checks find; and that one could not look, with the reason."""
    for name, check in checks:
        try:
            async for finding in check(patient):
                yield finding
        except CouchDBError as error:
            if isinstance(error, NotFoundError) and await _is_gone(patient):
                return
            yield _unknown(name, error, patient)


def _unknown(check: str, error: CouchDBError, patient: Patient) -> Finding:
    words = words_of(error, patient.given) if isinstance(error, TransportError) else error
    return Finding(
        Severity.UNKNOWN,
        check,
        f"{check} could not be looked at: {words}",
        "nothing is known of it",
        "try as an admin of the server",
        patient.name or "server",
    )


async def _is_gone(patient: Patient) -> bool:
    """Return whether it was deleted while others were looked at."""
    if patient.name is None:
        return False
    try:
        await patient.db.info()
    except NotFoundError:
        return True
    except CouchDBError:
        return False
    return False


def _print(finding: Finding, out: Output) -> None:
    if out.is_json:
        out.document(finding.row())
    elif out.is_terminal:
        out.write(f"{finding.severity.upper()}  {as_text(finding.where)}: {as_text(finding.what)}")
        out.write(f"    {as_text(finding.means)}")
        out.write(f"    → {as_text(finding.do)}")
    else:
        words = (str(finding.severity), finding.where, finding.check, finding.what)
        out.write("\t".join(map(as_text, words)))
    out.flush()
