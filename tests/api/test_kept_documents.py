"""Discovery and OpenAPI documents, which clients keep on disk and ask for again by their tags."""

from __future__ import annotations

import http.client
import json
import ssl

import pytest

from tests.support.apiserver import TOKEN, RunningApiServer
from tests.support.kubectl import Kubectl

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def get(server: RunningApiServer, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
    try:
        sent = {"Authorization": f"Bearer {TOKEN}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request("GET", path, headers=sent)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/api", "/apis", "/openapi/v3", "/openapi/v3/apis/apps/v1"])
def test_who_has_a_document_is_not_sent_it_again(apiserver: RunningApiServer, path: str) -> None:
    accept = AGGREGATED if path.startswith("/api") else "application/json"
    response, body = get(apiserver, path, Accept=accept)
    assert (response.status, response.headers["Vary"]) == (200, "Accept")
    assert json.loads(body)
    again, nothing = get(apiserver, path, Accept=accept, If_None_Match=response.headers["Etag"])
    assert (again.status, nothing) == (304, b"")
    other, _ = get(apiserver, path, Accept=accept, If_None_Match='"other"')
    assert other.status == 200


def test_a_document_under_its_hash_may_be_kept_for_long(apiserver: RunningApiServer) -> None:
    _, index = get(apiserver, "/openapi/v3")
    address = json.loads(index)["paths"]["api/v1"]["serverRelativeURL"]
    response, body = get(apiserver, address)
    assert response.headers["Cache-Control"] == "public, immutable"
    assert response.headers["Etag"].strip('"') == address.partition("hash=")[2]
    assert "io.k8s.api.core.v1.Service" in json.loads(body)["components"]["schemas"]
    old, _ = get(apiserver, "/openapi/v3/api/v1?hash=0123")
    assert (old.status, old.headers["Location"]) == (301, address)


def test_kubectl_keeps_discovery(kubectl: Kubectl) -> None:
    kubectl("api-resources")
    again = kubectl.run("api-resources", "-v=8")
    assert again.stderr.count("X-From-Cache: 1") == 2
