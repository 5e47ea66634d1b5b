#!/usr/bin/env bash
# ibmcloudant 0.11.12 (PyPI): a view cannot be asked for the key null; `key=None` asks for all rows.
#
# Behaviour: post_view(…, key=False | 0 | "" | [] | {}) sends that key. key=None sends {}, which
# CouchDB answers with every row of the view. In a list, [None], the null is sent.
#
# Output seen:
#   None {}
#   False {"key":false}
#   0 {"key":0}
#   '' {"key":""}
#   [] {"key":[]}
#   {} {"key":{}}
#   [None] {"key":[null]}
#
# Why a good guess says otherwise: null is a key like any other (it is what `emit(doc.city)` gives
# for a document whose city is null, and the first in the order), the parameter is declared to take
# anything, and the falsy values next to it go through. The answer is no error but too many rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/python -m pip install --quiet ibmcloudant==0.11.12 > pip.log 2>&1

cat > show.py <<'PY'
import gzip
import http.server
import threading

from ibm_cloud_sdk_core.authenticators import NoAuthAuthenticator
from ibmcloudant.cloudant_v1 import CloudantV1


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        bodies.append(body.decode())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"total_rows":0,"offset":0,"rows":[]}')

    def log_message(self, *_):
        pass


bodies = []
server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
service = CloudantV1(authenticator=NoAuthAuthenticator())
service.set_service_url(f"http://127.0.0.1:{server.server_port}")
for key in (None, False, 0, "", [], {}, [None]):
    service.post_view(db="places", ddoc="by", view="city", key=key)
    print(repr(key), "".join(bodies.pop().split()))
PY
environment/bin/python show.py | tee seen.txt
diff seen.txt - <<'SEEN'
None {}
False {"key":false}
0 {"key":0}
'' {"key":""}
[] {"key":[]}
{} {"key":{}}
[None] {"key":[null]}
SEEN
