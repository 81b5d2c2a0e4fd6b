"""Requests made up from the OpenAPI documents: bodies of the right shape with values that make no sense.

``test_hostile`` sends what is no object at all; here most of the decoder is passed, and defaults, validation,
conversion, patching and ownership get to see what they were not written for. Every write is a dry run.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from clusterip.apiserver import openapi
from tests.api.test_hostile import acceptable
from tests.support.apiserver import RunningApiServer

EXAMPLES = 80
DOCUMENTS = ("api/v1", "apis/apps/v1", "apis/discovery.k8s.io/v1", "apis/networking.k8s.io/v1")
DROPPED = frozenset(("watch", "dryRun", "timeoutSeconds"))
WHAT_RUNS = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {
    "selector": {"matchLabels": {"a": "b"}},
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": WHAT_RUNS},
}
EXISTING: dict[str, dict[str, Any]] = {
    "/api/v1/namespaces/default/services": {"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
    "/api/v1/namespaces/default/pods": {"spec": WHAT_RUNS},
    "/api/v1/namespaces/default/configmaps": {"data": {"a": "b"}},
    "/apis/apps/v1/namespaces/default/deployments": {"spec": TEMPLATE},
    "/apis/apps/v1/namespaces/default/statefulsets": {"spec": TEMPLATE | {"serviceName": "x"}},
    "/apis/apps/v1/namespaces/default/daemonsets": {"spec": TEMPLATE},
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": {"addressType": "IPv4", "endpoints": []},
    "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies": {"spec": {}},
}
"""Objects by the name of ``x`` for what is changed, by where they are."""


@cache
def operations(document: str) -> list[Any]:
    """All operations of a document, but for those that connect to something or need what is not there."""
    whole = openapi.v3(document)
    assert whole is not None
    schema = schemathesis.openapi.from_dict(whole)
    return [
        made
        for made in (result.ok() for result in schema.get_all_operations() if isinstance(result, Ok))
        if made.definition.raw.get("x-kubernetes-action") != "connect"
        and not made.path.endswith(("/log", "/binding", "/eviction"))
        and (
            "{name}" not in made.path
            or made.path.replace("{namespace}", "default").partition("/{name}")[0] in EXISTING
        )
    ]


def to_draw_from(operation: Any, document: str) -> Any:
    """The operation whose bodies make sense for another: a patch looks like what it changes."""
    if operation.method.upper() != "PATCH":
        return operation
    return next(
        other
        for other in operations(document)
        if (other.path, other.method.upper()) == (operation.path, "PUT")
    )


@pytest.fixture(scope="module")
def objects(apiserver: RunningApiServer) -> None:
    account = {"metadata": {"name": "default"}}
    apiserver.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    for path, content in EXISTING.items():
        code, answer = apiserver.request("POST", path, {"metadata": {"name": "x"}} | content)
        assert code == 201, answer


def completed(body: Any, case: Any) -> Any:
    """A body with who the object is, without which nothing else of it would be looked at."""
    kind = case.operation.definition.raw.get("x-kubernetes-group-version-kind")
    if not isinstance(body, dict) or not kind or case.method == "DELETE":
        return body
    metadata = body.get("metadata")
    version = f"{kind['group']}/{kind['version']}".removeprefix("/")
    names = {"apiVersion": version, "kind": kind["kind"]}
    return body | names | {"metadata": (metadata if isinstance(metadata, dict) else {}) | {"name": "x"}}


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.usefixtures("objects")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_what_the_documents_allow(apiserver: RunningApiServer, document: str, data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(operations(document)))
    case = data.draw(operation.as_strategy())
    if case.media_type != "application/json-patch+json":
        case.body = data.draw(to_draw_from(operation, document).as_strategy()).body
    path = operation.path.format_map(
        dict.fromkeys(case.path_parameters or {}, "x") | {"namespace": "default"}
    )
    query = {name: value for name, value in (case.query or {}).items() if name not in DROPPED}
    if case.method not in ("GET", "HEAD"):
        query["dryRun"] = "All"
    body = None
    if not isinstance(case.body, schemathesis.core.NotSet):
        body = json.dumps(completed(case.body, case)).encode()
    content_type = case.media_type if case.method == "PATCH" else "application/json"
    code, answer = apiserver.request(
        case.method, f"{path}?{urlencode(query)}", body, Content_Type=content_type or "application/json"
    )
    assert acceptable(code, answer), (case.method, path, query, body, answer)
