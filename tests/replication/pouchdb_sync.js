// Replicates a PouchDB with a CouchDB server, both ways, and prints what PouchDB has then.
// Usage: node pouchdb_sync.js <folder for PouchDB's files> <URL of a database>
'use strict';

const PouchDB = require('pouchdb');

const [folder, url] = process.argv.slice(2);

function data(text) {
  return Buffer.from(text);
}

async function fill(db) {
  await db.bulkDocs([{ _id: 'plain', n: 1 }, { _id: 'gone', n: 2 }, { _id: 'ü/ö +?', n: 3 }]);
  await db.remove(await db.get('gone'));
  await db.bulkDocs(
    [
      { _id: 'fork', _rev: '1-' + 'a'.repeat(32), side: 'a' },
      { _id: 'fork', _rev: '1-' + 'b'.repeat(32), side: 'b' },
      {
        _id: 'fork',
        _rev: '2-' + 'c'.repeat(32),
        _deleted: true,
        _revisions: { start: 2, ids: ['c'.repeat(32), 'a'.repeat(32)] },
      },
    ],
    { new_edits: false },
  );
  await db.putAttachment('files', 'text.txt', data('some text'), 'text/plain');
  const { rev } = await db.putAttachment(
    'files', 'raw', (await db.get('files'))._rev, Buffer.alloc(200000, 7), 'application/x-raw');
  await db.put({ ...(await db.get('files')), _rev: rev, more: true });
}

async function tree(db) {
  const { results } = await db.changes({ style: 'all_docs' });
  const documents = {};
  for (const { id, changes, deleted } of results) {
    const leaves = await db.get(id, { open_revs: 'all', revs: true });
    documents[id] = {
      winner: changes[0].rev,
      deleted: Boolean(deleted),
      leaves: leaves.map(({ ok }) => ok),
    };
  }
  for (const [id, { leaves }] of Object.entries(documents)) {
    for (const leaf of leaves) {
      for (const [name, member] of Object.entries(leaf._attachments || {})) {
        const content = await db.getAttachment(id, name, { rev: leaf._rev });
        member.data = Buffer.from(content).toString('base64');
      }
    }
  }
  return documents;
}

// Waits for the next document to come in by a live replication.
function follow(remote, db) {
  return new Promise((resolve, reject) => {
    const live = PouchDB.replicate(remote, db, { live: true, heartbeat: 1000 });
    live.on('error', reject);
    live.once('paused', () => remote.put({ _id: 'live', live: true }).catch(reject));
    live.once('change', ({ docs }) => {
      live.on('complete', () => resolve(docs.map(({ _id }) => _id)));
      live.cancel();
    });
  });
}

async function main() {
  const db = new PouchDB(folder);
  await fill(db);
  const remote = new PouchDB(url, { skip_setup: true });
  const pushed = await PouchDB.replicate(db, remote);
  const pulled = await PouchDB.replicate(remote, db);
  const again = await PouchDB.replicate(db, remote);
  const live = await follow(remote, db);
  console.log(JSON.stringify({ pushed, pulled, again, live, documents: await tree(db) }));
  await db.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
