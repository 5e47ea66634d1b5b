"""ibmcloudant, which knows no asyncio: there is no `get32`."""

from __future__ import annotations

from typing import Any

from ibm_cloud_sdk_core.authenticators import BasicAuthenticator
from ibmcloudant.cloudant_v1 import CloudantV1
from work import PAGE, Job, Program, Tally, run


def open_service(job: Job) -> Any:
    """A service whose connection is open already."""
    service = CloudantV1(authenticator=BasicAuthenticator(job.user, job.password))
    service.set_service_url(job.url)
    service.get_database_information(db=job.database).get_result()
    return service


def bulk(service: Any, job: Job, batches: Any) -> Tally:
    """Write documents, 1,000 in a request."""
    tally = Tally()
    for batch in batches:
        answer = service.post_bulk_docs(db=job.database, bulk_docs={"docs": batch}).get_result()
        tally.ids(row["id"] for row in answer if row["ok"])
    return tally


def get1(service: Any, job: Job, _: Any) -> Tally:
    """Read documents one after the other."""
    tally = Tally()
    for id in job.ids():
        tally.documents([service.get_document(db=job.database, doc_id=id).get_result()])
    return tally


def all_documents(service: Any, job: Job, _: Any) -> Tally:
    """Read every document."""
    tally = Tally()
    answer = service.post_all_docs(db=job.database, include_docs=True).get_result()
    tally.documents(row["doc"] for row in answer["rows"] if row["id"][0] != "_")
    return tally


def ids(service: Any, job: Job, _: Any) -> Tally:
    """Read every id."""
    tally = Tally()
    tally.ids(row["id"] for row in service.post_all_docs(db=job.database).get_result()["rows"])
    return tally


def changes(service: Any, job: Job, _: Any) -> Tally:
    """Read the whole normal feed."""
    tally = Tally()
    tally.ids(row["id"] for row in service.post_changes(db=job.database).get_result()["results"])
    return tally


def find(service: Any, job: Job, _: Any) -> Tally:
    """Read documents by index."""
    tally = Tally()
    query: dict[str, Any] = {"selector": {"type": "city"}, "limit": PAGE}
    while tally.count < job.count:
        answer = service.post_find(db=job.database, **query).get_result()
        tally.documents(answer["docs"])
        query["bookmark"] = answer["bookmark"]
    return tally


def save(service: Any, job: Job, documents: Any) -> Tally:
    """Write documents one by one."""
    tally = Tally()
    for document in documents:
        answer = service.put_document(
            db=job.database, doc_id=document["_id"], document=document
        ).get_result()
        tally.ids([answer["id"]])
    return tally


def close(_: Any) -> None:
    """Nothing: the process ends."""


WORKS: dict[str, Any] = {
    "bulk": bulk,
    "get1": get1,
    "all": all_documents,
    "ids": ids,
    "changes": changes,
    "find": find,
    "save": save,
}

if __name__ == "__main__":
    run(Program(open_service, close, WORKS))
