"""What a database is to be: its security, its indexes and its design documents, as code.

`diff` tells what differs, `apply` makes it so.
"""

from aiocouch._hints import complete as _complete
from aiocouch.schema.applying import Progress, apply, read
from aiocouch.schema.differences import Change, diff
from aiocouch.schema.files import designs_in
from aiocouch.schema.parts import Index, Schema

__all__ = ["Change", "Index", "Progress", "Schema", "apply", "designs_in", "diff", "read"]

_complete("aiocouch.schema", "aiocouch.typing", "aiocouch.database")
