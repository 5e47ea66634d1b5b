"""`python -m tests.endpoints`: make docs/endpoints.md."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.endpoints.page import page

PAGE = Path(__file__).parents[2] / "docs" / "endpoints.md"

if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE}\n")
