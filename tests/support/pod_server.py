"""A small HTTP server for Pods: ``pod_server.py PORT``. GET answers with a link, POST with the body."""

import http.server
import socketserver
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(f'<a href="/x">{self.path}</a>'.encode(), "text/html")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])), "application/octet-stream")

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 256


Server(("", int(sys.argv[1])), Handler).serve_forever()
