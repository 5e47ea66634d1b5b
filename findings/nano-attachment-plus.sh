#!/usr/bin/env bash
# nano 11.0.6 (npm) and CouchDB 3.5.2: an attachment whose name has a plus is stored under another
# name, with a space, although ids, and names of databases, with a plus arrive as they are.
#
# Behaviour: the id is sent as notes%2B1, the name of the attachment as a+b%20c.txt. In CouchDB a
# plus in a path is a space, so it stores "a b c.txt"; nano reads it back under the name with the
# plus, for that is changed in the same way. The stub of the document and every other client see the
# other name, and "a+b c.txt" and "a b c.txt" are one attachment.
#
# Output seen:
#   PUT /my%2Bdb/notes%2B1/a+b%20c.txt
#   GET /my%2Bdb/notes%2B1/a+b%20c.txt
#
# Why a good guess says otherwise: one call, three names, and two of them are encoded as data. In a
# path of a URL a plus is a plus for most servers; that it is a space is the rule of forms and
# queries only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . nano@11.0.6 > npm.log 2>&1

cat > show.cjs <<'JS'
const http = require("http");
const nano = require("nano");

const server = http.createServer((request, response) => {
  console.log(request.method, request.url);
  request.resume();
  response.setHeader("content-type", "application/json");
  response.end('{"ok":true,"id":"notes+1","rev":"1-0"}');
});
server.listen(0, "127.0.0.1", async () => {
  const db = nano(`http://127.0.0.1:${server.address().port}`).use("my+db");
  await db.attachment.insert("notes+1", "a+b c.txt", Buffer.from("text"), "text/plain");
  await db.attachment.get("notes+1", "a+b c.txt");
  server.close();
});
JS
node show.cjs | tee seen.txt
diff seen.txt - <<'SEEN'
PUT /my%2Bdb/notes%2B1/a+b%20c.txt
GET /my%2Bdb/notes%2B1/a+b%20c.txt
SEEN
