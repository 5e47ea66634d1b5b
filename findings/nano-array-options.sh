#!/usr/bin/env bash
# nano 11.0.6 (npm): of the options that CouchDB wants as JSON, an array goes out as JSON in views,
# and as bare words with commas in get() and changes().
#
# Behaviour: view(…, {startkey: ["a"]}) sends startkey=["a"]. get("x", {open_revs: ["1-a", "2-b"]})
# sends open_revs=1-a,2-b, atts_since likewise, and changes({doc_ids: ["x", "y"]}) sends
# doc_ids=x,y. CouchDB 3.5.2 answers 400 to each of these: it reads one JSON array.
#
# Output seen:
#   /db/_design/d/_view/v?startkey=["a"]
#   /db/x?open_revs=1-a,2-b
#   /db/x?atts_since=1-a,2-b
#   /db/_changes?filter=_doc_ids&doc_ids=x,y
#
# Why a good guess says otherwise: the client knows CouchDB, encodes keys of views by itself, and
# its declared types take arrays here; that the caller has to give JSON.stringify(["1-a", "2-b"]) in
# these places, and must not in the others, can only be found out by the refusal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . nano@11.0.6 > npm.log 2>&1

cat > show.cjs <<'JS'
const http = require("http");
const nano = require("nano");

const server = http.createServer((request, response) => {
  console.log(decodeURIComponent(request.url));
  request.resume();
  response.setHeader("content-type", "application/json");
  response.end('{"rows":[],"results":[]}');
});
server.listen(0, "127.0.0.1", async () => {
  const db = nano(`http://127.0.0.1:${server.address().port}`).use("db");
  await db.view("d", "v", { startkey: ["a"] });
  await db.get("x", { open_revs: ["1-a", "2-b"] });
  await db.get("x", { atts_since: ["1-a", "2-b"] });
  await db.changes({ filter: "_doc_ids", doc_ids: ["x", "y"] });
  server.close();
});
JS
node show.cjs | tee seen.txt
diff seen.txt - <<'SEEN'
/db/_design/d/_view/v?startkey=["a"]
/db/x?open_revs=1-a,2-b
/db/x?atts_since=1-a,2-b
/db/_changes?filter=_doc_ids&doc_ids=x,y
SEEN
