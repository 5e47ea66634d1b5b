"""The runner of code blocks finds what there is, and notices what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import Block, blocks_of, run_block

PAGE = """
```python
print("shown")
```

```text
sh...
```

<!-- hidden
```python
hidden = 1
```
-->

```console
$ nothing
```

1. In a list:

   ```python
   if True:
       pass
   ```

<!-- test file -->
```python
def test(): ...
```

<!-- program -->
```python
import sys
```
"""


@pytest.fixture
def blocks(tmp_path: Path) -> list[Block]:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    return blocks_of(page)


def test_finds_all_blocks(blocks: list[Block]) -> None:
    assert [block.code for block in blocks] == [
        'print("shown")',
        "hidden = 1",
        "if True:\n    pass",
        "def test(): ...",
        "import sys",
    ]
    assert [block.output for block in blocks] == ["sh...\n", None, None, None, None]
    assert [block.is_test_file for block in blocks] == [False, False, False, True, False]
    assert [block.is_program for block in blocks] == [False, False, False, False, True]
    assert [block.runs_in_page for block in blocks] == [True, True, True, False, False]
    assert [block.line for block in blocks] == [3, 12, 23, 29, 34]


async def test_compares_what_is_printed(blocks: list[Block]) -> None:
    await run_block(blocks[0], {})
    with pytest.raises(AssertionError, match="and not"):
        await run_block(Block(blocks[0].page, 1, "print(1)", "2\n", is_test_file=False), {})


async def test_the_served_couchdb_is_that_of_the_tests() -> None:
    code = 'print("http://127.0.0.1:5984", "admin", "admin")'
    namespace = {"SERVER_URL": "a", "USER": "b", "PASSWORD": "c"}
    await run_block(Block(Path("page.md"), 1, code, "a b c\n", is_test_file=False), namespace)


async def test_runs_awaits_in_one_namespace() -> None:
    namespace: dict[str, Any] = {}
    page = Path("page.md")
    code = "import asyncio\nx = await asyncio.to_thread(int, 5)"
    first = Block(page, 1, code, None, False)
    await run_block(first, namespace)
    await run_block(Block(page, 4, "assert x == 5", None, False), namespace)
    with pytest.raises(ZeroDivisionError):
        await run_block(Block(page, 5, "1 / 0", None, False), namespace)
