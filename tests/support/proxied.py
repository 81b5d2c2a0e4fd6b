"""A world with a server behind the API server's proxies, and requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.apiserver import TOKEN, RunningApiServer, running_apiserver
from tests.support.backend import Backend

ADDRESS = "192.0.2.10"
"""Where the proxied server listens: addresses of the machine itself, as 127.0.0.1, are not proxied to."""
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "wanted",
}


@contextlib.contextmanager
def proxied_backend(directory: Path) -> Iterator[Backend]:
    """A server to proxy to. The calling thread is on a machine of its own meanwhile."""
    name = f"ct-proxied-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with RouteSocket(path) as routes:
            routes.set_link("lo", up=True)
            routes.add_address("lo", f"{ADDRESS}/32")
        with namespaces.enter(path):
            server = Backend(directory, ADDRESS)
            server.start()
            try:
                yield server
            finally:
                server.stop()
    finally:
        namespaces.delete_named(name)


@contextlib.contextmanager
def proxying_apiserver(backend: Backend, directory: Path) -> Iterator[RunningApiServer]:
    """An API server that knows the server as a Pod, as endpoint of Services and as a node."""
    with running_apiserver(directory, "--authorization-mode=RBAC") as server:
        namespace = "/api/v1/namespaces/default"
        must = Creator(server)
        must.post("/api/v1/nodes", "n", {})
        status = {
            "addresses": [{"type": "InternalIP", "address": ADDRESS}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": backend.tls_port}},
        }
        must.patch_status("/api/v1/nodes/n", status)
        must.pod("p", ADDRESS, [{"name": "web", "containerPort": backend.port}])
        must.pod("portless", ADDRESS)
        must.pod("addressless", "")
        must.pod("local", "127.0.0.1", [{"containerPort": backend.port}])
        must.post(f"{namespace}/services", "one", {"spec": {"ports": [{"port": 80}]}})
        ports = [{"name": "web", "port": 80}, {"name": "tls", "port": 443}]
        for name in ("two", "unready", "foreign", "endless"):
            must.post(f"{namespace}/services", name, {"spec": {"ports": ports}})
        mine = {"ip": ADDRESS, "targetRef": {"kind": "Pod", "name": "p", "namespace": "default"}}
        named = [{"name": "web", "port": backend.port}, {"name": "tls", "port": backend.tls_port}]
        must.endpoints("one", {"addresses": [mine], "ports": [{"port": backend.port}]})
        must.endpoints("two", {"addresses": [mine], "ports": named})
        must.endpoints("unready", {"notReadyAddresses": [mine], "ports": named})
        must.endpoints("foreign", {"addresses": [{"ip": ADDRESS}], "ports": named})
        yield server


class Creator:
    """Creates objects, or fails the test."""

    def __init__(self, server: RunningApiServer) -> None:
        self._server = server

    def post(self, path: str, name: str, body: Mapping[str, Any]) -> None:
        code, answer = self._server.request("POST", path, {"metadata": {"name": name}, **body})
        assert code == 201, answer

    def patch_status(self, path: str, status: Any) -> None:
        kind = "application/merge-patch+json"
        code, answer = self._server.request("PATCH", f"{path}/status", {"status": status}, Content_Type=kind)
        assert code == 200, answer

    def pod(self, name: str, address: str, ports: Any = ()) -> None:
        path = "/api/v1/namespaces/default/pods"
        self.post(path, name, {"spec": {"containers": [{"name": "c", "image": "i", "ports": list(ports)}]}})
        if address:
            self.patch_status(f"{path}/{name}", {"podIP": address, "podIPs": [{"ip": address}]})

    def allow(self, name: str, rules: Any) -> str:
        """Make an account that may do this; its token."""
        rbac, core = "/apis/rbac.authorization.k8s.io/v1/namespaces/default", "/api/v1/namespaces/default"
        self.post(f"{core}/serviceaccounts", name, {})
        self.post(f"{rbac}/roles", name, {"rules": rules})
        role = {"kind": "Role", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        account = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
        self.post(f"{rbac}/rolebindings", name, {"roleRef": role, "subjects": [account]})
        code, answer = self._server.request("POST", f"{core}/serviceaccounts/{name}/token", {"spec": {}})
        assert code == 201, answer
        token: str = answer["status"]["token"]
        return token

    def endpoints(self, name: str, subset: Any) -> None:
        self.post("/api/v1/namespaces/default/endpoints", name, {"subsets": [subset]})


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.code = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def message(self) -> str:
        status = json.loads(self.body)
        assert (status["kind"], status["code"]) == ("Status", self.code)
        message: str = status["message"]
        return message


class Proxied:
    """Requests under a path of the API server."""

    def __init__(
        self, server: RunningApiServer, base: str = "/api/v1/namespaces/default/pods/p/proxy"
    ) -> None:
        self._server = server
        self.base = base

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._server.ca_file))
        return http.client.HTTPSConnection("127.0.0.1", self._server.port, timeout=20, context=context)

    def __call__(
        self, path: str = "/", method: str = "GET", body: Any = None, *, token: str = TOKEN, **headers: str
    ) -> Answer:
        with contextlib.closing(self.connect()) as connection:
            sent = {"Authorization": f"Bearer {token}"}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, self.base + path, body, sent)
            return Answer(connection.getresponse())

    def raw(self, path: str, headers: Mapping[str, str]) -> socket.socket:
        """A connection on which a request has been sent."""
        connection = self.connect()
        connection.connect()
        lines = [f"GET {self.base}{path} HTTP/1.1", "Host: api", f"Authorization: Bearer {TOKEN}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        opened: socket.socket = connection.sock
        return opened


def of(apiserver: RunningApiServer, name: str, path: str = "/x") -> Answer:
    """A request to ``pods/NAME``, ``services/NAME`` or ``nodes/NAME`` by its proxy."""
    scope = "" if name.startswith("nodes/") else "namespaces/default/"
    return Proxied(apiserver, f"/api/v1/{scope}{name}/proxy")(path)
