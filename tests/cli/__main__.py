"""`python -m tests.cli`: make the lists of options in docs/cli*.md."""

from __future__ import annotations

import sys

from tests.cli.pages import pages

if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, "utf-8")
        sys.stdout.write(f"{page}\n")
