"""Whatever is sent, the answer is one that kube-apiserver could give: never a traceback, never a hang."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.apiserver import RunningApiServer


def words(text: str) -> list[str]:
    return text.split()


SETTINGS = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WORDS = words(
    "api apis v1 v2 apps namespaces default services pods x deployments status scale exec log watch "
    "openapi v3 healthz .. . %2F %00 %ff"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    words(
        "metadata name namespace labels annotations spec ports port targetPort selector clusterIP clusterIPs "
        "type ipFamilies status template replicas containers finalizers ownerReferences managedFields"
    )
)
TREE = st.recursive(
    JSON,
    lambda children: st.dictionaries(FIELDS, children, max_size=5) | st.lists(children, max_size=3),
    max_leaves=20,
)


def acceptable(code: int, body: Any) -> bool:
    """Whether an answer is no sign of a bug. Upstream, too, has a few of 500 that tell of bad input."""
    if code == 500:
        # A patch that is no object of the kind; an object whose resourceVersion is no number.
        known = ("failed to create typed patch object", "strconv.ParseUint: parsing ")
        return "reason" not in body and body["message"].startswith(known)
    return code < 500 or (code == 504 and body["reason"] == "Timeout")


@SETTINGS
@given(
    method=st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")),
    path=st.lists(st.sampled_from(WORDS), max_size=8).map(lambda parts: "/" + "/".join(parts)),
    query=st.dictionaries(
        st.sampled_from(
            words(
                "labelSelector fieldSelector limit continue resourceVersion resourceVersionMatch pretty "
                "dryRun fieldValidation fieldManager propagationPolicy gracePeriodSeconds tailLines"
            )
        ),
        st.text("abc019=!,()-%/:\\ ", max_size=8),
        max_size=3,
    ),
)
def test_paths_and_queries(
    apiserver: RunningApiServer, method: str, path: str, query: dict[str, str]
) -> None:
    code, body = apiserver.request(method, f"{path}?{urlencode(query)}")
    assert acceptable(code, body), (method, path, query, body)


@SETTINGS
@given(
    tree=st.dictionaries(FIELDS, TREE, max_size=5), kind=st.sampled_from(("services", "pods", "configmaps"))
)
def test_objects(apiserver: RunningApiServer, tree: dict[str, Any], kind: str) -> None:
    code, body = apiserver.request("POST", f"/api/v1/namespaces/default/{kind}?dryRun=All", tree)
    assert acceptable(code, body), (tree, body)


@SETTINGS
@given(
    patch=TREE,
    content_type=st.sampled_from(
        ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
    ),
)
def test_patches(apiserver: RunningApiServer, patch: Any, content_type: str) -> None:
    path = "/api/v1/namespaces/default/services/kubernetes?dryRun=All&fieldManager=m"
    code, body = apiserver.request(
        "PATCH", path, json.dumps(patch).encode(), Content_Type=f"application/{content_type}"
    )
    assert acceptable(code, body), (patch, content_type, body)


@SETTINGS
@given(
    body=st.binary(max_size=80),
    content_type=st.sampled_from(("json", "yaml", "vnd.kubernetes.protobuf", "x")),
    magic=st.booleans(),
)
def test_bodies(apiserver: RunningApiServer, body: bytes, content_type: str, magic: bool) -> None:
    sent = b"k8s\x00" + body if magic else body
    code, answer = apiserver.request(
        "POST",
        "/api/v1/namespaces/default/services?dryRun=All",
        sent or b" ",
        Content_Type=f"application/{content_type}",
    )
    assert acceptable(code, answer), (sent, content_type, answer)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET\r\n\r\n",
        b"NOPE / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x00\x00",
        b"\x00" * 1000,
    ],
    ids=range(9),
)
def test_what_is_not_http(apiserver: RunningApiServer, request_: bytes) -> None:
    context = ssl.create_default_context(cafile=str(apiserver.ca_file))
    with (
        socket.create_connection(("127.0.0.1", apiserver.port), 10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(request_)
        assert tls.recv(12)[:9] in (b"HTTP/1.1 ", b"HTTP/1.0 ")
    assert apiserver.request("GET", "/readyz")[0] == 200


def test_nothing_was_logged_as_an_error(apiserver: RunningApiServer) -> None:
    assert "request failed" not in apiserver.log.read_text()
