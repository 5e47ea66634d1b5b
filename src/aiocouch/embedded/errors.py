"""The errors that CouchDB answers with, as exceptions of one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CouchError(Exception):
    """An answer `{"error": error, "reason": reason}` with an HTTP status.

    A handler raises it, the application renders it. `reason` None leaves the member out.
    `headers` are added to the answer.
    """

    def __init__(
        self,
        status: int,
        error: str,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, error, reason)
        self.status = status
        self.error = error
        self.reason = reason
        self.headers = dict(headers or {})

    def body(self) -> dict[str, str]:
        """Return the JSON object that tells of the error."""
        if self.reason is None:
            return {"error": self.error}
        return {"error": self.error, "reason": self.reason}


def bad_request(reason: str, error: str = "bad_request") -> CouchError:
    """Return a 400; `error` may be more precise, such as `query_parse_error`."""
    return CouchError(400, error, reason)


def query_parse_error(reason: str) -> CouchError:
    """Return a 400 for a bad query option."""
    return CouchError(400, "query_parse_error", reason)


def invalid_json() -> CouchError:
    """Return a 400 for a body that is not JSON."""
    return bad_request("invalid UTF-8 JSON")


def unauthorized(reason: str) -> CouchError:
    """Return a 401: log in first."""
    return CouchError(401, "unauthorized", reason)


def forbidden(reason: str) -> CouchError:
    """Return a 403: known, but not allowed."""
    return CouchError(403, "forbidden", reason)


def not_found(reason: str = "missing") -> CouchError:
    """Return a 404; the reason is `missing`, `deleted` or a sentence."""
    return CouchError(404, "not_found", reason)


def no_database() -> CouchError:
    """Return a 404 for a database that is not there."""
    return not_found("Database does not exist.")


def method_not_allowed(allowed: Sequence[str]) -> CouchError:
    """Return a 405; `allowed` in the order in which CouchDB lists them."""
    methods = ",".join(allowed)
    reason = f"Only {methods} allowed"
    return CouchError(405, "method_not_allowed", reason, {"Allow": methods})


def not_acceptable(reason: str) -> CouchError:
    """Return a 406: the server cannot answer in a type that the client takes."""
    return CouchError(406, "not_acceptable", reason)


def conflict() -> CouchError:
    """Return a 409: the write is based on a revision that is not a leaf."""
    return CouchError(409, "conflict", "Document update conflict.")


def precondition_failed(error: str, reason: str) -> CouchError:
    """Return a 412."""
    return CouchError(412, error, reason)


def too_large(what: str) -> CouchError:
    """Return a 413 for a document, request or attachment over its limit; `what` is the reason."""
    return CouchError(413, "document_too_large", what)


def bad_content_type(reason: str = "Content-Type must be application/json") -> CouchError:
    """Return a 415: the body has a type that the endpoint does not take."""
    return CouchError(415, "bad_content_type", reason)


def insufficient_storage(reason: str = "database_dir is too full") -> CouchError:
    """Return a 507: the disk is fuller than `[disk_monitor]` allows."""
    return CouchError(507, "insufficient_storage", reason)


def internal(reason: str, error: str = "unknown_error") -> CouchError:
    """Return a 500: CouchDB crashes here, and we say so in the same words."""
    return CouchError(500, error, reason)
