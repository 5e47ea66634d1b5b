"""Every call that 3.0.0 or 4.0.1 accepts is accepted, and gives the kind of thing it gave.

Nothing is sent: coroutines are closed, generators are never started. (`expression`, kind)
"""

import collections.abc
import inspect
from typing import Any

import pytest

import aiocouch.attachment
import aiocouch.bulk
import aiocouch.design_document
import aiocouch.document
import aiocouch.event
import aiocouch.view
from aiocouch import CouchDB, Database, Document
from aiocouch.bulk import BulkCreateOperation
from aiocouch.design_document import DesignDocument
from aiocouch.document import SecurityDocument
from aiocouch.view import ViewResponse

MODULES = [
    aiocouch.attachment,
    aiocouch.bulk,
    aiocouch.design_document,
    aiocouch.document,
    aiocouch.event,
    aiocouch.view,
]
SERVER = "http://127.0.0.1:1"

OBJECTS = """
CouchDB('http://h')                                             CouchDB
CouchDB(server='http://h')                                      CouchDB
CouchDB('http://h', user='u', password='p')                     CouchDB
CouchDB('http://h', 'u', 'p')                                   CouchDB
CouchDB('http://h', 'u', 'p', None)                             CouchDB
CouchDB('http://h', None, None, 'c')                            CouchDB
CouchDB('http://h', cookie='c')                                 CouchDB
CouchDB('http://h', headers={'X-Own': '1'})                     CouchDB
CouchDB('http://h', user='u', password='p', trust_env=True)     CouchDB
Database(couchdb, 'db')                                         Database
Database(couchdb=couchdb, id='db')                              Database
Document(db, 'x')                                               Document
Document(db, 'x', {'a': 1})                                     Document
Document(db, 'x', data={'a': 1})                                Document
Document(database=db, id='x', data=None)                        Document
SecurityDocument(db)                                            SecurityDocument
SecurityDocument(database=db)                                   SecurityDocument
DesignDocument(db, 'x')                                         DesignDocument
DesignDocument(db, 'x', data={'language': 'javascript'})        DesignDocument
doc.attachment('a')                                             Attachment
doc.attachment(id='a')                                          Attachment
Attachment(doc, 'a')                                            Attachment
Attachment(document=doc, id='a')                                Attachment
db.view('d', 'v')                                               View
db.view(design_doc='d', view='v')                               View
View(db, 'd', 'v')                                              View
View(database=db, design_doc='d', id='v')                       View
ddoc.view('v')                                                  View
ddoc.view(view='v')                                             View
db.all_docs                                                     AllDocsView
AllDocsView(db)                                                 AllDocsView
AllDocsView(database=db)                                        AllDocsView
db.update_docs()                                                BulkUpdateOperation
db.update_docs(['a'])                                           BulkUpdateOperation
db.update_docs(['a'], True)                                     BulkUpdateOperation
db.update_docs(['a'], create=True)                              BulkUpdateOperation
db.update_docs(ids=['a'], create=True)                          BulkUpdateOperation
db.create_docs()                                                BulkCreateOperation
db.create_docs(['a'])                                           BulkCreateOperation
db.create_docs(ids=['a'])                                       BulkCreateOperation
BulkOperation(db)                                               BulkOperation
BulkOperation(database=db)                                      BulkOperation
BulkCreateOperation(db)                                         BulkCreateOperation
BulkCreateOperation(db, ['a'])                                  BulkCreateOperation
BulkCreateOperation(database=db, ids=['a'])                     BulkCreateOperation
BulkUpdateOperation(db)                                         BulkUpdateOperation
BulkUpdateOperation(db, ['a'], True)                            BulkUpdateOperation
BulkUpdateOperation(database=db, ids=['a'], create=True)        BulkUpdateOperation
BulkOperation(db).append(Document(db, 'y'))                     Document
BulkOperation(db).append(doc=Document(db, 'y'))                 Document
BulkOperation(db).create('y')                                   Document
BulkOperation(db).create('y', {'a': 1})                         Document
BulkOperation(db).create(id='y', data={'a': 1})                 Document
BaseChangeEvent({'id': 'a'})                                    BaseChangeEvent
BaseChangeEvent(json={'id': 'a'})                               BaseChangeEvent
DeletedEvent({'id': 'a'})                                       DeletedEvent
DeletedEvent(json={'id': 'a'})                                  DeletedEvent
ChangedEvent({'id': 'a'}, db)                                   ChangedEvent
ChangedEvent(json={'id': 'a'}, database=db)                     ChangedEvent
"""

COROUTINES = """
couchdb['db']
couchdb.check_credentials()
couchdb.close()
couchdb.create('db')
couchdb.create('db', True)
couchdb.create('db', exists_ok=True)
couchdb.create(id='db', exists_ok=True, q=2, partitioned=True)
couchdb.keys()
couchdb.keys(limit=1, descending=True)
couchdb.info()
db['x']
db.get('x')
db.get('x', {})
db.get('x', None, rev='1-a')
db.get(id='x', default={'a': 1}, rev='1-a')
db.create('x')
db.create('x', True)
db.create('x', True, {'a': 1})
db.create(id='x', exists_ok=True, data={'a': 1})
db.delete()
db.design_doc('x')
db.design_doc('x', True)
db.design_doc(id='x', exists_ok=True)
db.index({'fields': ['a']})
db.index(index={'fields': ['a']}, name='n', ddoc='d', type='json')
db.security()
db.info()
doc.fetch()
doc.fetch(True)
doc.fetch(True, rev='1-a')
doc.fetch(discard_changes=True, rev='1-a')
doc.save()
doc.delete()
doc.delete(True)
doc.delete(discard_changes=True)
doc.copy('y')
doc.copy(new_id='y')
doc.info()
doc.conflicts()
doc.revs()
security.fetch()
security.save()
ddoc.create_view('v', 'm')
ddoc.create_view('v', 'm', 'r')
ddoc.create_view('v', 'm', 'r', True)
ddoc.create_view('v', map_function='m', reduce_function='r', exists_ok=True)
ddoc.create_view(view='v', map_function='m')
attachment.exists()
attachment.fetch()
attachment.save(b'', 'text/plain')
attachment.save(data=b'', content_type='text/plain')
attachment.delete()
view.get()
view.get(limit=1, include_docs=True, startkey='"a"')
view.post(['a'])
view.post(['a'], include_docs=True)
view.post(keys=['a'])
view.post(ids=['a'])
all_docs.get(limit=1)
all_docs.post(['a'])
ChangedEvent({'id': 'a', 'changes': [{'rev': '1-a'}]}, db).doc()
"""

GENERATORS = """
db.akeys()
db.akeys(ids=['a'])
db.akeys(prefix='a')
db.akeys(limit=1)
db.docs()
db.docs(['a'])
db.docs(['a'], True)
db.docs(None, False, 'a', True)
db.docs(ids=['a'], create=True, include_ddocs=True)
db.docs(prefix='a', descending=True)
db.values()
db.values(prefix='a')
db.values(limit=1)
db.find({})
db.find({}, 5)
db.find({}, limit=5, skip=1, sort=['a'], use_index='d', bookmark='b')
db.find(selector={})
db.changes()
db.changes('1-a')
db.changes(last_event_id='1-a')
db.changes(feed='continuous', since='now', include_docs=True, timeout=1000)
view.akeys()
view.akeys(limit=1)
view.aitems()
view.avalues()
view.ids()
view.ids(['a'])
view.ids(ids=['a'])
view.ids(keys=['a'])
view.ids(prefix='a')
view.ids(None, prefix='a', limit=1)
view.docs()
view.docs(['a'])
view.docs(['a'], True)
view.docs(None, False, 'a', True)
view.docs(ids=['a'], create=True)
view.docs(prefix='a', include_ddocs=True)
view.docs(key='"a"')
all_docs.akeys()
all_docs.ids(['a'])
all_docs.docs(['a'], create=True)
"""


def space() -> dict[str, Any]:
    """The names that the expressions use; no request is made by any of them."""
    couchdb = CouchDB(SERVER)
    db = Database(couchdb, "db")
    doc = Document(db, "x", data={"a": 1})
    names: dict[str, Any] = {"CouchDB": CouchDB, "Database": Database}
    for module in MODULES:
        names.update(vars(module))
    return names | {
        "couchdb": couchdb,
        "db": db,
        "doc": doc,
        "ddoc": DesignDocument(db, "x"),
        "security": SecurityDocument(db),
        "attachment": doc.attachment("a"),
        "view": db.view("d", "v"),
        "all_docs": db.all_docs,
    }


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize("line", lines(OBJECTS))
def test_object(line: str) -> None:
    expression, _, kind = line.rpartition(" ")
    names = space()
    assert isinstance(eval(expression, names), names[kind])


@pytest.mark.parametrize("expression", lines(COROUTINES))
async def test_coroutine(expression: str) -> None:
    found = eval(expression, space())
    assert inspect.iscoroutine(found)
    found.close()


@pytest.mark.parametrize("expression", lines(GENERATORS))
async def test_generator(expression: str) -> None:
    found = eval(expression, space())
    assert isinstance(found, collections.abc.AsyncGenerator)
    await found.aclose()


@pytest.mark.parametrize(
    ("call", "refused"),
    [
        ("db.create('x', unknown=1)", TypeError),
        ("doc.delete(unknown=1)", TypeError),
        ("db.update_docs(['a'], unknown=1)", TypeError),
        ("Document(db)", TypeError),
        ("Document(db, 'x', data=[1])", TypeError),
        ("Document(db, 'x', data='text')", TypeError),
    ],
)
def test_refused_at_once(call: str, refused: type[Exception]) -> None:
    with pytest.raises(refused):
        eval(call, space())


@pytest.mark.parametrize(
    "call",
    [
        "couchdb.create('db', unknown=1)",
        "couchdb.keys(unknown=1)",
        "db.get('x', unknown=1)",
        "doc.fetch(True, unknown=1)",
        "db.index({}, unknown=1)",
        "view.get(unknown=1)",
        "view.post([], unknown=1)",
        "anext(view.ids(unknown=1))",
        "anext(view.docs(unknown=1))",
        "anext(db.docs(unknown=1))",
        "anext(db.akeys(unknown=1))",
        "anext(db.find({}, unknown=1))",
        "anext(db.changes(unknown=1))",
    ],
)
async def test_unknown_option_is_refused_before_anything_is_sent(call: str) -> None:
    async def run() -> None:
        await eval(call, space())

    with pytest.raises(TypeError, match="unknown"):
        await run()


def test_the_session_is_built_without_a_running_loop() -> None:
    couchdb = CouchDB(SERVER, user="u", password="p")
    assert isinstance(Database(couchdb, "db"), Database)


def test_objects_hold_their_names() -> None:
    names = space()
    assert names["db"].id == "db"
    assert names["doc"].id == "x"
    assert names["attachment"].id == "a"
    assert names["attachment"].content_type is None


def test_database_endpoint_is_its_path() -> None:
    assert Database(CouchDB(SERVER), "a").endpoint == "/a"
    assert Database(CouchDB(SERVER), "a/b").endpoint == "/a%2Fb"


def test_prefix_sentinels_sort_behind_every_key() -> None:
    db = Database(CouchDB(SERVER), "db")
    assert db.view("d", "v").prefix_sentinel == "\uffff"
    assert db.all_docs.prefix_sentinel == "\U0010fffe"


def test_bulk_results_are_none_before_the_exit() -> None:
    bulk = Database(CouchDB(SERVER), "db").create_docs(["a"])
    assert bulk.ok is None
    assert bulk.error is None
    assert bulk.response is None


def test_default_lists_are_not_shared() -> None:
    db = Database(CouchDB(SERVER), "db")
    first = db.create_docs()
    first.create("a")
    ids = ["b"]
    second = BulkCreateOperation(db, ids)
    second.create("c")
    assert ids == ["b"]
    assert [doc.id for doc in db.create_docs()] == []


def test_view_response_is_a_frozen_record() -> None:
    response = ViewResponse(offset=0, rows=[{"id": "a", "key": "k", "value": 1}], total_rows=1)
    assert response.update_seq is None
    assert list(response.keys()) == ["a"]
    assert list(response.values()) == [1]
    with pytest.raises(AttributeError):
        response.offset = 1  # type: ignore[misc]
