"""`aiocouch find DATABASE CONDITION …`: documents by what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.cli.conditions import CONDITIONS, fields_of, selector_of
from aiocouch.cli.exits import Exit
from aiocouch.cli.output import Column, Output, add_output, as_count, several
from aiocouch.cli.reading import stdin_text
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import whole

if TYPE_CHECKING:
    import argparse

    from aiocouch.queries import Found, QueryPlan

__all__ = ["configure"]

_PLAN = (
    Column("index"),
    Column("design_doc", "design document"),
    Column("type"),
    Column("covering"),
    Column("selector"),
    Column("fields"),
    Column("others", shown="\n".join),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Several conditions must all hold. How the query was answered is told on stderr: which index, and "
        "how many documents were looked at."
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument(
        "conditions",
        nargs="*",
        metavar="CONDITION",
        help=f"{CONDITIONS}; a selector in JSON; or - for one from stdin",
    )
    parser.add_argument("--fields", type=_names, metavar="A,B", help="only these fields")
    parser.add_argument("--sort", type=_names, metavar="A,B:desc", help="in their order")
    parser.add_argument("--limit", type=whole, metavar="N", help="no more than so many")
    parser.add_argument("--skip", type=whole, metavar="N", help="leave out the first of them")
    parser.add_argument(
        "--index", metavar="DESIGN[/NAME]", help="the index that is to be used, if it can be"
    )
    parser.add_argument(
        "--plan", action="store_true", help="only say how it would be answered: by which index"
    )
    add_output(parser)
    parser.set_defaults(run=_run)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    words = [stdin_text().strip() if word == "-" else word for word in given.conditions]
    selector, options = selector_of(words), _options(given)
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        plan = await db.explain(selector, given.limit, fields=given.fields, **options)
        if given.plan:
            _show_plan(plan, out)
            return Exit.DONE
        found = db.find_values(
            selector, given.limit, fields=given.fields, execution_stats=True, **options
        )
        await _print(found, given, out)
        await _tell(found, plan, selector, out)
    return Exit.DONE


def _options(given: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, as CouchDB has them."""
    options: dict[str, Any] = {}
    if given.sort:
        options["sort"] = [_direction(name) for name in given.sort]
    if given.skip is not None:
        options["skip"] = given.skip
    if given.index is not None:
        parts = given.index.removeprefix("_design/").split("/", 1)
        options["use_index"] = parts[0] if len(parts) == 1 else parts
    return options


def _direction(text: str) -> dict[str, str]:
    name, _, direction = text.rpartition(":")
    return {name: direction} if name and direction in {"asc", "desc"} else {text: "asc"}


def _show_plan(plan: QueryPlan, out: Output) -> None:
    if out.is_json:
        out.document(dict(plan))
        return
    facts = {
        "index": plan.index_name,
        "design_doc": plan.design_doc,
        "type": plan.index_type,
        "covering": plan.is_covering,
        "selector": plan.get("selector"),
        "fields": plan.get("fields") or None,
        "others": [str(each) for each in plan.candidates] or None,
    }
    out.facts(facts, _PLAN)
    if hint := _hint(plan):
        out.note(hint)


async def _print(found: Found[dict[str, Any]], given: argparse.Namespace, out: Output) -> None:
    if given.fields and not out.is_json:
        columns = [Column(name) for name in given.fields]
        await out.stream(
            ({name: _at(row, name) for name in given.fields} async for row in found), columns
        )
        return
    async for row in found:
        out.document(row)


def _at(row: Any, path: str) -> Any:
    """Return the value of a field, which may be below others: `author.name`."""
    if isinstance(row, dict) and path in row:
        return row[path]
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


async def _tell(
    found: Found[dict[str, Any]], plan: QueryPlan, selector: dict[str, Any], out: Output
) -> None:
    """Say how it was answered."""
    if out.is_quiet:
        return
    stats = found.execution_stats or {}
    looked, results = stats.get("total_docs_examined"), stats.get("results_returned", 0)
    used = f"index {plan.index_name}" if plan.design_doc else "no index"
    of = f" of {plan.design_doc}" if plan.design_doc else ""
    of += ", which has all fields" if plan.is_covering else ""
    seen = "" if looked is None else f"; {several(looked, 'document')} looked at"
    time = stats.get("execution_time_ms")
    took = "" if time is None else f" in {time:,.0f} ms"
    out.note(f"{used}{of}{seen}, {as_count(results)} found{took}")
    hint = _hint(plan)
    if hint:
        out.note(hint)
    for line in (found.warning or "").splitlines():
        if selector and not (hint and "No matching index" in line):
            out.note(line)


def _hint(plan: QueryPlan) -> str | None:
    """Return what to do about a query that no index serves."""
    if plan.index_type != "special":
        return None
    fields = fields_of(plan.get("selector"))
    if "_id" in fields or not plan.get("selector"):
        return None  # the index of all documents serves it
    looks = "no index serves it, so documents are looked at one after the other"
    if not fields:
        return (
            f"{looks}. An index serves = > >= < <= and $beginsWith, if they must hold in any case"
        )
    some = fields[:3]
    how = f"`aiocouch schema apply`, or db.index({{'fields': {some}}})"
    return f"{looks}. An index on {', '.join(some)} would: {how}"
