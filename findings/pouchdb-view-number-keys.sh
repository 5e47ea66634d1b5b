#!/usr/bin/env bash
# PouchDB 9.0.0 (pouchdb, pouchdb-adapter-memory and pouchdb-find from npm): a view or a Mango
# index changes the number that was emitted, and makes one key of two different numbers.
#
# Behaviour: the longitude -180 comes back from a view as the key -180.00000000000006. The documents
# with -39.99 and -39.99000000000001 share a key, so `query({key: -39.99})` and
# `find({selector: {lon: -39.99}})` return both, and `$lt: -39.99` misses the smaller one.
#
# Output seen:
#   [["fiji",-180.00000000000006],["a",-39.99000000000001],["b",-39.99000000000001]]
#   ["a","b"]
#   ["a","b"]
#   []
#   4 decimals: 851293 of 3600001 longitudes come back changed
#
# Why a good guess says otherwise: the documents keep their numbers to the last bit, JavaScript and
# JSON have one kind of number, and the store of a view sorts any JSON value. But the key is stored
# as a text whose order is that of the numbers: a negative number has its mantissa taken from ten
# and written to twenty digits, which loses the last bits, and the row's key is read from that text.
# CouchDB 3.5.2 stores the number itself: its keys are -180, -39.99000000000001 and -39.99.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . \
    pouchdb@9.0.0 pouchdb-adapter-memory@9.0.0 pouchdb-find@9.0.0 pouchdb-collate@9.0.0 > npm.log 2>&1

cat > show.cjs <<'JS'
const PouchDB = require("pouchdb");
PouchDB.plugin(require("pouchdb-adapter-memory"));
PouchDB.plugin(require("pouchdb-find"));
const { parseIndexableString, toIndexableString } = require("pouchdb-collate");
const say = (value) => console.log(JSON.stringify(value));

async function main() {
  const db = new PouchDB("places", { adapter: "memory" });
  await db.bulkDocs([
    { _id: "fiji", lon: -180 },
    { _id: "a", lon: -39.99 },
    { _id: "b", lon: -39.99000000000001 },
    { _id: "_design/by", views: { lon: { map: "function (doc) { emit(doc.lon, null); }" } } },
  ]);
  say((await db.query("by/lon")).rows.map((row) => [row.id, row.key]));
  say((await db.query("by/lon", { key: -39.99 })).rows.map((row) => row.id));
  await db.createIndex({ index: { fields: ["lon"] } });
  const under = { lon: { $gt: -40, $lt: -39.99 } };
  say((await db.find({ selector: { lon: -39.99 } })).docs.map((doc) => doc._id));
  say((await db.find({ selector: under })).docs.map((doc) => doc._id));

  let all = 0, changed = 0;
  for (let number = -1800000; number <= 1800000; number += 1) {
    const longitude = number / 10000;
    all += 1;
    changed += parseIndexableString(toIndexableString(longitude)) !== longitude ? 1 : 0;
  }
  console.log(`4 decimals: ${changed} of ${all} longitudes come back changed`);
}
main();
JS
node show.cjs | tee seen.txt
diff seen.txt - <<'SEEN'
[["fiji",-180.00000000000006],["a",-39.99000000000001],["b",-39.99000000000001]]
["a","b"]
["a","b"]
[]
4 decimals: 851293 of 3600001 longitudes come back changed
SEEN
