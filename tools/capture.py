"""Run the demo and write what it prints as a picture, `docs/demo.svg`, for the README.

    python -m tools.capture

The times in it are those of the machine that it runs on.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
from pathlib import Path

from examples import demo
from rich.console import Console

PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"
COLUMNS = 124
# The font that rich names would be loaded from the network; a forge does not do that.
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Capture a run on an embedded server."""
    os.environ.pop("COUCHDB_URL", None)
    demo.console = Console(file=io.StringIO(), record=True, width=COLUMNS, highlight=False)
    demo.console.print("[bold]$ make demo[/]")
    with demo.timed("in all"):
        asyncio.run(demo.main())
    picture = demo.console.export_svg(title="make demo", unique_id="demo")
    PICTURE.write_text(FONTS.sub("", picture), encoding="utf-8")


if __name__ == "__main__":
    main()
