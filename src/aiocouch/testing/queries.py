"""What a test says of the indexes of its queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.queries import QueryPlan  # noqa: TC001 - so that hints find it

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiocouch.finding import Finding

__all__ = ["assert_uses_index"]


async def assert_uses_index(
    database: Finding,
    selector: Mapping[str, Any],
    index: str | Sequence[str],
    **options: Any,
) -> QueryPlan:
    """Raise `AssertionError` unless the query uses the index of that name or design document.

    `index` may have both, as `use_index` has: `["design-doc", "name"]`. `options` are those of `explain`.
    Return the plan.
    """
    __tracebackhide__ = True
    plan = await database.explain(selector, **options)
    if not plan.uses(index):
        raise AssertionError(f"the query does not use the index {index!r}, it {plan}")
    return plan
