#!/usr/bin/env bash
# PouchDB 9.0.0 (pouchdb, pouchdb-adapter-memory and pouchdb-find from npm): in Mango, `$ne` and
# `$not` take a document that lacks the field, `$nin` of the same value does not.
#
# Output seen, of the documents bare (no field), one (a: 1) and two (a: 2):
#   {"a":{"$ne":2}} ["bare","one"]
#   {"$not":{"a":2}} ["bare","one"]
#   {"a":{"$nin":[2]}} ["one"]
#
# Why a good guess says otherwise: "not 2" and "none of [2]" say the same, and pouchdb-find is the
# selector language of CouchDB, where the field has to exist for each: CouchDB 3.5.2 answers ["one"]
# three times. So a live query in the browser shows documents that the same selector does not find,
# or does not let through a replication, on the server.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . \
    pouchdb@9.0.0 pouchdb-adapter-memory@9.0.0 pouchdb-find@9.0.0 > npm.log 2>&1

cat > show.cjs <<'JS'
const PouchDB = require("pouchdb");
PouchDB.plugin(require("pouchdb-adapter-memory"));
PouchDB.plugin(require("pouchdb-find"));

async function main() {
  const db = new PouchDB("things", { adapter: "memory" });
  await db.bulkDocs([{ _id: "bare" }, { _id: "one", a: 1 }, { _id: "two", a: 2 }]);
  const selectors = [{ a: { $ne: 2 } }, { $not: { a: 2 } }, { a: { $nin: [2] } }];
  for (const selector of selectors) {
    const found = (await db.find({ selector })).docs.map((doc) => doc._id);
    console.log(JSON.stringify(selector), JSON.stringify(found));
  }
}
main();
JS
node show.cjs | tee seen.txt
diff seen.txt - <<'SEEN'
{"a":{"$ne":2}} ["bare","one"]
{"$not":{"a":2}} ["bare","one"]
{"a":{"$nin":[2]}} ["one"]
SEEN
