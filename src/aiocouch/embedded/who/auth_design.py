"""The design document that every `_users` database has, so that copies of it are guarded too.

This server applies the same rules without JavaScript (`users.validate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._wire.revision import next_revision
from aiocouch.embedded.codec import encode_body
from aiocouch.embedded.store.new_revisions import NewRevision, store

if TYPE_CHECKING:
    import sqlite3

    from aiocouch.embedded.store.database import Database

_VALIDATE = """\
function (doc, old, user, security) {
  function refuse(reason) { throw({forbidden: reason}); }
  function has(list, item) { return Array.isArray(list) && list.indexOf(item) >= 0; }
  var admins = (security && security.admins) || {};
  var isServerAdmin = has(user.roles, '_admin');
  var isAdmin = isServerAdmin || has(admins.names, user.name) ||
    user.roles.some(function (role) { return has(admins.roles, role); });
  if (doc._deleted === true) {
    if (!isServerAdmin && user.name != (old && old.name)) {
      refuse('Only admins may delete other user docs.');
    }
    return;
  }
  if (doc.type !== 'user') refuse('doc.type must be user');
  if (!doc.name) refuse('doc.name is required');
  if (!doc.roles) refuse('doc.roles must exist');
  if (!Array.isArray(doc.roles)) refuse('doc.roles must be an array');
  doc.roles.forEach(function (role) {
    if (typeof role !== 'string') refuse('doc.roles can only contain strings');
  });
  if (doc._id !== 'org.couchdb.user:' + doc.name) {
    refuse('Doc ID must be of the form org.couchdb.user:name');
  }
  if (old && old.name !== doc.name) refuse('Usernames can not be changed.');
  if (doc.password_sha && !doc.salt) refuse('Users with password_sha must have a salt.');
  if (doc.password_scheme &&
      !has(['simple', 'pbkdf2', 'simple+pbkdf2'], doc.password_scheme)) {
    refuse('Password scheme `' + doc.password_scheme + '` not supported.');
  }
  if (doc.password_scheme === 'pbkdf2') {
    if (typeof doc.iterations !== 'number') refuse('iterations must be a number.');
    if (typeof doc.derived_key !== 'string') refuse('derived_key must be a string.');
  }
  if (!isAdmin) {
    if (!old && doc.roles.length > 0) refuse('Only _admin may set roles');
    if (old && user.name !== doc.name) {
      refuse('You may only update your own user document.');
    }
    if (old && JSON.stringify((old.roles || []).slice().sort()) !==
        JSON.stringify(doc.roles.slice().sort())) {
      refuse('Only _admin may edit roles');
    }
  }
  doc.roles.forEach(function (role) {
    if (role[0] === '_' && role !== '_metrics') {
      refuse('No system roles (starting with underscore) in users db.');
    }
  });
  if (doc.name[0] === '_') refuse('Username may not start with underscore.');
  if (doc.name.indexOf(':') >= 0) refuse('Character `:` is not allowed in usernames.');
}
"""

AUTH_DESIGN_ID = "_design/_auth"
AUTH_DESIGN_BODY: dict[str, Any] = {"language": "javascript", "validate_doc_update": _VALIDATE}


def begun(database: Database, connection: sqlite3.Connection) -> None:
    """Write it into a new database, as the first document."""
    rev = next_revision(None, AUTH_DESIGN_BODY)
    store(
        database,
        connection,
        NewRevision(AUTH_DESIGN_ID, (rev,), deleted=False, body=encode_body(AUTH_DESIGN_BODY)),
    )
