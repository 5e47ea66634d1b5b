"""Mistakes that the type checkers must find: in each line that ends with `# error`. Never run."""

from datetime import date
from re import compile

import msgspec

from aiocouch import CouchDB, Database, Document, F, all_of, any_of, none_of
from aiocouch.document import SecurityDocument
from aiocouch.schema import Index, Schema, apply, diff
from aiocouch.view import View


async def session(couchdb: CouchDB) -> None:
    CouchDB()  # error
    CouchDB(5984)  # error
    CouchDB("http://h", user=5)  # error
    await couchdb.create("db", partitoned=True)  # error
    await couchdb.create(5)  # error
    CouchDB("http://h", gzip_above=[1])  # error
    await couchdb.keys(limt=1)  # error
    await couchdb.keys(limit=[1])  # error
    couchdb.db_updates(since=5)  # error
    couchdb.follow_updates(include_docs=True)  # error
    await couchdb[5]  # error


async def answers_of_a_server(couchdb: CouchDB) -> None:
    (await couchdb.active_tasks())[0]["progres"]  # error
    (await couchdb.active_tasks())[0]["type"] + 1  # error
    (await couchdb.up())["state"]  # error
    (await couchdb.dbs_info())[0]["infos"]  # error
    (await couchdb.dbs_info())[0]["key"]["doc_count"]  # error
    (await couchdb.session.info())["user_ctx"]  # error
    (await couchdb.node().system())["memory"]["atoms"]  # error
    (await couchdb.cluster.membership())["nodes"]  # error
    len((await couchdb.replications.jobs())["total_rows"])  # error
    (await couchdb.replications.doc("a"))["info"]["docs_read"]  # error
    (await couchdb.reshard.job("a"))["state"]  # error
    async for event in couchdb.db_updates():
        event["db"]  # error
    async for update in couchdb.follow_updates():
        update.json["name"]  # error


async def answers_of_a_database(db: Database) -> None:
    (await db.bulk_docs([]))[0]["_rev"]  # error
    (await db.bulk_get(["a"]))["rows"]  # error
    async for row in db.bulk_get_rows(["a"]):
        row["doc"]  # error
    (await db.purge({}))["purge"]  # error
    (await db.revisions.purged())[0]["rev"]  # error
    (await db.functions("a").info())["view_index"]["size"]  # error
    (await db.indexes.list())[0]["design_doc"]  # error
    (await db.indexes.delete_many(["a"]))["failed"]  # error
    (await db.maintenance.shard_of("a"))["node"]  # error
    (await db.partition("a").info())["docs"]  # error


async def database(db: Database) -> None:
    await db[5]  # error
    await db.get("x", [1])  # error
    await db.get("x", revision="1-a")  # error
    await db.get("x", revs_inf=True)  # error
    await db.get("x", conflicts=[1])  # error
    await db.create("x", data="text")  # error
    await db.docs()  # error
    db.docs(include_dcos=True)  # error
    db.docs(limit=[5])  # error
    db.docs(ids=["a"], extra=5)  # error
    db.find("name")  # error
    db.find({}, limit="5")  # error
    db.find({}, skip="5")  # error
    db.find({}, bookmark=5)  # error
    db.find({}, sorted=["a"])  # error
    db.find({}, fields=["a"])  # error
    db.find({}, on_warning="shout")  # error
    db.find_values({}, fields=[5])  # error
    db.find_pages({}, "5")  # error
    db.collection(Book).changes(include_doc=True)  # error
    db.collection(Book).follow(on_misfit="shout")  # error
    db.find_pages({}, 5, tokn="a")  # error
    db.all_docs.pages(5, startky="a")  # error
    await db.all_docs.page("5")  # error
    db.find_values({}, into="dict")  # error
    db.find_values({}, filds=["a"])  # error
    (await db.explain({})).use("n")  # error
    db.changes(feed=5)  # error
    db.changes(heartbeat=5.5)  # error
    db.changes(include_doc=True)  # error
    db.changes(include_doc=True, since="now")  # error
    db.update_docs(5)  # error
    db.write(5)  # error
    await db.resolve("a", lambda base: {})  # error
    await db.resolve("a", lambda base, versions: 5)  # error
    await db.leaves(["a"])  # error
    db.update_many(["a"], lambda doc: None, on_conflict="skip")  # error
    await db.update("a", lambda doc: 5)  # error
    await db.update("a", {"a": 1})  # error
    await db.upsert("a", [1])  # error
    db.write([5])  # error
    db.write([], widow=5)  # error
    db.write([], on_conflict="owerwrite")  # error
    await db.index(["a"])  # error
    await db.index({"fields": ["a"]}, type=5)  # error
    await db.index({"fields": ["a"]}, partitoned=True)  # error
    db.akeys(limt=5)  # error
    db.values(include_dcos=True)  # error
    await db.all_docs.post(["a"], descnding=True)  # error
    async for row in db.all_docs.rows():
        len(row.id)  # error
    async for animal in db.find_values({}, into=Book):
        len(animal.titel)  # error
    async for event in db.changes():
        await event.doc()  # error
    async for change in db.collection(Book).changes():
        len(change.value)  # error
    len((await db.explain({})).index)  # error
    db.changes(since=[1])  # error
    db.follow(feed="normal")  # error
    db.partition("p").find({}, limt=5)  # error
    db.sync("http://h/db", liv=True)  # error
    db.replicate_to("name")  # error
    db.document(5)  # error
    await db.bulk_docs([], new_edit=False)  # error
    await db.bulk_docs(["a"])  # error
    await db.bulk_get(["a"], lastest=True)  # error
    db.bulk_get_rows(["a"], revs=[1])  # error
    await db.purge(["a"])  # error
    await db.purge({}, quick=True)  # error
    for key in db.akeys():  # error
        len(key)


class Book(msgspec.Struct):
    title: str


async def models(db: Database) -> None:
    db.collection(5)  # error
    db.collection("Book")  # error
    db.collection(Book, "book")  # error
    db.collection(Book, type=5)  # error
    db.collection(Book, kind="book")  # error
    books = db.collection(Book)
    await books.get(5)  # error
    await books.create({"title": "Emma"})  # error
    await books.save(Book("Emma"))  # error
    book = await books["a"]
    len(book.value.titel)  # error
    book.value = "Emma"  # error
    books.find("title")  # error
    books.find({}, limt=5)  # error
    books.all(on_misfit="skip")  # error
    await books.update("a", lambda book: 5)  # error


async def document(db: Database, doc: Document) -> None:
    Document(db)  # error
    Document(db, "x", [1])  # error
    doc.rev = 5  # error
    doc.exists = True  # error
    doc[5] = 1  # error
    await doc.save(force=True)  # error
    await doc.fetch(rev=5)  # error
    await doc.fetch(revs_inf=True)  # error
    doc.fetch_with_attachments(atts_since=5)  # error
    await doc.save_with({"a": b"x"})  # error
    await doc.save(batch="ok")  # error
    await doc.copy("a", from_rev="1-a")  # error
    await doc.copy()  # error
    len(await doc.save())  # error
    await doc.attachment("a").save(5, "text/plain")  # error
    await doc.attachment("a").save(b"x")  # error
    await doc.attachment("a").fetch(begin=5)  # error
    doc.attachment("a").stream(start="5")  # error


async def rest(security: SecurityDocument, view: View) -> None:
    security.add_member(5)  # error
    security.members.append("x")  # error
    await view.get(descnding=True)  # error
    await view.get(limit=[5])  # error
    await view.get(5)  # error
    view.aitems(descnding=True)  # error
    view.avalues(prefix=5)  # error
    view.ids(descnding=True)  # error
    view.docs(["a"], prefix=5)  # error


def selectors() -> None:
    F.name.is_in(5)  # error
    F.tags.any("x")  # error
    F.tags.is_type("text")  # error
    (F.age > 1) & {"a": 1}  # error
    assert F.age == 5 & F.b == 6  # error
    F.age.greater(5)  # error
    F.tags.any(F.name)  # error
    F.a & F.b  # error
    F[5]  # error
    F.n.mod("4", 1)  # error
    F.n.mod(4)  # error
    all_of(F.born > date(2000, 1, 1))  # error
    all_of(F.age > F.limit)  # error
    all_of(F.a == {1, 2})  # error
    F.name.is_in("a", "b")  # error
    F.name.exists("yes")  # error
    F.tags.has_size("3")  # error
    F.tags.any(lambda tag: tag == "x")  # error
    F.name.matches(compile("x"))  # error
    F("name")  # error
    all_of(~F.b)  # error
    F.c = 5  # error
    all_of([F.a == 1])  # error
    any_of({"a": 1})  # error
    none_of(F.a)  # error
    (F.a == 1) + (F.b == 2)  # error


def schemas() -> None:
    Index("a")  # error
    Index("a", [5])  # error
    Schema(designs=[{}])  # error
    Schema(indexes=["a"])  # error
    Schema(securty={})  # error
    Schema(options={"partitoned": True})  # error
    diff({}, None)  # error


async def applied(db: Database) -> None:
    db.find([F.a == 1])  # error
    db.find(F.a == 1, F.b == 2)  # error
    db.find(F.a)  # error
    await apply(db, {"designs": {}})  # error
    await apply("db", Schema())  # error
    await apply(db, Schema(), progress=5)  # error


async def topics(couchdb: CouchDB, db: Database) -> None:
    await couchdb.node().config.set("log", "level", 5)  # error
    await couchdb.replications.run("a", "b", continous=True)  # error
    await couchdb.users.create("a", 5)  # error
    await couchdb.reshard.split(database="x")  # error
    await couchdb.dbs_info(limt=5)  # error
    await couchdb.cluster.enable(nodecount=3)  # error
    await db.search("d", "i").page("x", limt=5)  # error
    await db.search("d", "i").page("x", method="PUT")  # error
    await db.revisions.set_limit("5")  # error
    await db.indexes.delete("d")  # error
    await db.indexes.create(5)  # error
    await db.indexes.create(["a"], partitoned=True)  # error
    db.local.document("a", [1])  # error
    await couchdb.users[5]  # error
    await couchdb.node().config["log", 5]  # error
    await db.functions("d").show(5)  # error
    await db.explain("name")  # error
