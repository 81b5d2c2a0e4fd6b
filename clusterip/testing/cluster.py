"""A cluster that tests use, as seen from the tests' process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from clusterip.testing.shape import Shape

if TYPE_CHECKING:
    from clusterip.client.rest import Client

_SECONDS = 30.0
_STOP_SECONDS = 30.0


class StartError(Exception):
    """A cluster could not be started; the text says why."""


class RequestError(Exception):
    """The API server refused a request. ``code`` is HTTP's, ``body`` the decoded Status."""

    def __init__(self, code: int, body: Any) -> None:
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__(f"{code}: {message}")
        self.code = code
        self.body = body


class Cluster:
    """A running cluster.

    Attributes:
        shape: what of a cluster it is.
        server: the URL of its API server, on this machine's loopback.
        kubeconfig: the administrator's kubeconfig, for kubectl and client libraries.
        directory: its files; they are gone after its end.
    """

    def __init__(self, shape: Shape) -> None:
        """Start it; it runs until ``stop``, or this process ends. Raises StartError."""
        self.shape = shape
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "clusterip.testing.keeper", shape.encode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests, which end it in their own way
        )
        about = self._read()
        self.directory = Path(about["directory"])
        self.kubeconfig = Path(about["kubeconfig"])
        self.server: str = about["server"]
        self._about = about
        self._context = ssl.create_default_context(cafile=about["authority"])
        self._context.load_cert_chain(about["certificate"], about["key"])

    def stop(self) -> None:
        """End it with all it made. Harmless to repeat."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        try:
            self._keeper.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()

    def client(self) -> Client:
        """A client of ours, the administrator's: ``async with cluster.client() as client: ...``."""
        from clusterip.client.config import load
        from clusterip.client.rest import Client

        return Client(load(str(self.kubeconfig)))

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request as the administrator; the decoded answer (text where it is no JSON).

        ``body`` is encoded as JSON unless it is bytes. Underscores in names of ``headers`` stand for dashes.

        Raises:
            RequestError: the API server answered with an error.
        """
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        all_headers = {"Content-Type": "application/json"} if data is not None else {}
        all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.server + path, data, all_headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=_SECONDS) as answer:
                return _decoded(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise RequestError(error.code, _decoded(error.read())) from None

    def watch(self, path: str) -> Iterator[dict[str, Any]]:
        """The events of a watch, as they come, until it ends. ``path`` has the query. Raises RequestError."""
        try:
            with urllib.request.urlopen(self.server + path, context=self._context, timeout=None) as events:
                for line in events:
                    yield json.loads(line)
        except urllib.error.HTTPError as error:
            with error:
                raise RequestError(error.code, _decoded(error.read())) from None

    def run(
        self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None, check: bool = True
    ) -> str:
        """What ``clusterip`` prints when run with ``arguments`` (``apply``, ``get``, ``exec``, ...).

        Raises:
            subprocess.CalledProcessError: it failed, and ``check`` is set; its ``stderr`` says why.
        """
        done = subprocess.run(
            [sys.executable, "-m", "clusterip", *arguments],
            env={**os.environ, **self.environment, "KUBECONFIG": str(kubeconfig or self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
            error.add_note(done.stderr)
            raise error
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """What to add to the environment of kubectl, or of a program under test."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "CLUSTERIP_STATE_DIR": str(self.directory),
            "CLUSTERIP_NAME": "test",
        }

    def connect(
        self,
        host: str,
        port: int,
        *,
        kind: str = "tcp",
        node: str | None = None,
        timeout: float | None = 10.0,
    ) -> socket.socket:
        """A socket in the cluster's network, connected to a Service or Pod, by address or DNS name.

        Args:
            host: an address or name; names are looked up in the cluster's DNS, from the namespace default.
            port: of the Service or Pod.
            kind: ``tcp`` or ``udp``.
            node: connect from this node; from the machine that the nodes are connected to if None.
            timeout: of connecting and of the socket, in seconds.
        Raises:
            OSError: it could not be connected.
            TypeError: a cluster of this level has no network.
        """
        if "dial" not in self._about:
            raise TypeError('only a cluster of the level "nodes" has a network to connect in')
        from clusterip.testing import dialer

        path = Path(self._about["dial"])
        return dialer.connect(path, host, port, kind=kind, node=node, timeout=timeout)

    @contextlib.contextmanager
    def namespace(self, name: str = "") -> Iterator[Namespace]:
        """A new namespace, with its service account where controllers run; deleted afterwards."""
        name = name or f"test-{uuid.uuid4().hex[:10]}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.request("POST", "/api/v1/namespaces", body)
        try:
            if self.shape.level != "api":
                self._await_account(name)
            yield Namespace(self, name)
        finally:
            with contextlib.suppress(RequestError):  # the test may have deleted it
                self.request("DELETE", f"/api/v1/namespaces/{name}")

    def logs(self, lines: int = 20) -> str:
        """The end of what each part logged."""
        found = []
        for path in sorted(Path(self._about["logs"]).glob("*.log")):
            end = path.read_text(errors="replace").splitlines()[-lines:]
            found.append("\n".join([f"== {path.name}", *end]))
        return "\n\n".join(found)

    def _await_account(self, namespace: str) -> None:
        """Return once Pods can be created in a namespace. A watch begins with what there is."""
        query = f"watch=1&fieldSelector=metadata.name%3Ddefault&timeoutSeconds={_SECONDS:.0f}"
        for _ in self.watch(f"/api/v1/namespaces/{namespace}/serviceaccounts?{query}"):
            return
        raise TimeoutError(f"namespace {namespace} got no service account in {_SECONDS:.0f} s")

    def _read(self) -> Mapping[str, Any]:
        """What the keeper says of the cluster. Raises StartError."""
        assert self._keeper.stdout is not None
        said = b""
        for line in self._keeper.stdout:
            if line.startswith(b"{"):
                about: dict[str, Any] = json.loads(line)
                break
            said += line
        else:
            about = {"error": "the keeper of the cluster ended"}
        self._keeper.stdout.close()
        if "error" in about:
            self.stop()
            raise StartError(f"{said.decode(errors='replace')}{about['error']}")
        return about


class Namespace:
    """A namespace of a cluster, for one test.

    Attributes:
        kubeconfig: the administrator's, with this namespace as the default.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.kubeconfig = cluster.directory / f"kubeconfig-{name}.yaml"
        text = cluster.kubeconfig.read_text()
        self.kubeconfig.write_text(text.replace("  context:\n", f"  context:\n    namespace: {name}\n", 1))

    def __str__(self) -> str:
        return self.name

    @property
    def environment(self) -> dict[str, str]:
        """As a cluster's, for this namespace."""
        return {**self.cluster.environment, "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """As a cluster's, in this namespace."""
        return self.cluster.run(*arguments, stdin=stdin, kubeconfig=self.kubeconfig, check=check)

    def path(self, resource: str, name: str = "", *, group: str = "") -> str:
        """The path of a resource here, such as ``path("deployments", "web", group="apps/v1")``."""
        base = f"/apis/{group}" if group else "/api/v1"
        return f"{base}/namespaces/{self.name}/{resource}{f'/{name}' if name else ''}"

    def wait(
        self,
        resource: str,
        until: Callable[[list[dict[str, Any]]], bool],
        *,
        group: str = "",
        selector: str = "",
        timeout: float = 30.0,
    ) -> list[dict[str, Any]]:
        """The objects of a resource here, as soon as ``until`` is true of them.

        Args:
            resource: e.g. ``pods``.
            until: called with all of them, and again after each change.
            group: the group and version, ``v1`` of the core group if empty.
            selector: of labels.
            timeout: in seconds.
        Raises:
            TimeoutError: that did not come to pass; the text has what there was.
        """
        path = f"{self.path(resource, group=group)}?labelSelector={quote(selector)}"
        listed = self.cluster.request("GET", path)
        found = {each["metadata"]["name"]: each for each in listed["items"]}
        version, deadline = listed["metadata"]["resourceVersion"], time.monotonic() + timeout
        while not until(list(found.values())):
            left = deadline - time.monotonic()
            if left <= 0:
                text = json.dumps(list(found.values()), indent=2)
                raise TimeoutError(f"waited {timeout} s for {resource} of {self.name}, which were: {text}")
            query = f"&watch=1&resourceVersion={version}&timeoutSeconds={max(1, int(left))}"
            for event in self.cluster.watch(path + query):
                obj = event["object"]
                if event["type"] == "DELETED":
                    found.pop(obj["metadata"]["name"], None)
                else:
                    found[obj["metadata"]["name"]] = obj
                version = obj["metadata"]["resourceVersion"]
                if until(list(found.values())):
                    break
        return list(found.values())


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
