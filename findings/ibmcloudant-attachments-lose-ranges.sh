#!/usr/bin/env bash
# ibmcloudant 0.11.12 (PyPI) and CouchDB 3.5.2: a picture or film that is uploaded by
# put_attachment() cannot be read by Range any more.
#
# Behaviour: the client sends every body gzipped, attachments of any type included, with
# `Content-Encoding: gzip`. CouchDB takes that for the encoding of the attachment and keeps it:
# length and digest in the stub are those of the gzipped bytes, and a GET has `Accept-Ranges: none`
# and answers a Range with the whole (200). The same bytes sent plainly as image/png are stored as
# they are and served in ranges (206).
#
# Output seen:
#   image/png gzip 256 random bytes became 279
#
# Why a good guess says otherwise: Content-Encoding of a request looks like a matter of transport,
# as it is for JSON documents, which the same setting compresses. CouchDB compresses itself what is
# worth it (text types), and leaves pictures and films alone so that they can be sought in.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/python -m pip install --quiet ibmcloudant==0.11.12 > pip.log 2>&1

cat > show.py <<'PY'
import hashlib
import http.server
import threading

from ibm_cloud_sdk_core.authenticators import NoAuthAuthenticator
from ibmcloudant.cloudant_v1 import CloudantV1


class Server(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = self.headers
        sent = f"{len(picture)} random bytes became {len(body)}"
        print(headers["Content-Type"], headers["Content-Encoding"], sent)
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"ok":true,"id":"x","rev":"1-0"}')

    def log_message(self, *_):
        pass


picture = b"".join(hashlib.md5(bytes([number])).digest() for number in range(16))
server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
service = CloudantV1(authenticator=NoAuthAuthenticator())
service.set_service_url(f"http://127.0.0.1:{server.server_port}")
service.put_attachment(
    db="pictures", doc_id="x", attachment_name="p.png", attachment=picture, content_type="image/png"
)
PY
environment/bin/python show.py | tee seen.txt
diff seen.txt - <<'SEEN'
image/png gzip 256 random bytes became 279
SEEN
