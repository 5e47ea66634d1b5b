"""The pytest plugin under its older name, for ``pytest_plugins = ["aiocouch.testing.plugin"]``.

pytest finds it by itself, but where plugins are loaded by name only.
"""

from __future__ import annotations

import pytest  # noqa: TC002 - looked up by get_type_hints

from _aiocouch_pytest import add_option, pytest_configure

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--couchdb-url``, unless there is an option of that name."""
    add_option(parser)
