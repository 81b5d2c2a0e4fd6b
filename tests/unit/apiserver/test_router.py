import pytest

from clusterip.apiserver.router import is_true, parse, parse_query
from clusterip.objects import kinds

_ = kinds


@pytest.mark.parametrize(
    ("method", "path", "verb", "namespace", "plural", "name", "subresource"),
    [
        ("GET", "/api/v1/services", "list", "", "services", "", ""),
        ("GET", "/api/v1/services?watch=1", "watch", "", "services", "", ""),
        ("GET", "/api/v1/watch/services", "watch", "", "services", "", ""),
        ("GET", "/api/v1/services?watch=false", "list", "", "services", "", ""),
        ("GET", "/api/v1/namespaces", "list", "", "namespaces", "", ""),
        ("GET", "/api/v1/namespaces/a", "get", "a", "namespaces", "a", ""),
        ("PUT", "/api/v1/namespaces/a/finalize", "update", "a", "namespaces", "a", "finalize"),
        ("GET", "/api/v1/namespaces/a/services", "list", "a", "services", "", ""),
        ("GET", "/api/v1/namespaces/a/services/", "list", "a", "services", "", ""),
        ("POST", "/api/v1/namespaces/a/services", "create", "a", "services", "", ""),
        ("DELETE", "/api/v1/namespaces/a/services", "deletecollection", "a", "services", "", ""),
        ("DELETE", "/api/v1/namespaces/a/services/b", "delete", "a", "services", "b", ""),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            "patch",
            "a",
            "deployments",
            "b",
            "scale",
        ),
        ("GET", "/api/v1/nodes/n%2D1", "get", "", "nodes", "n-1", ""),
    ],
)
def test_resources(
    method: str, path: str, verb: str, namespace: str, plural: str, name: str, subresource: str
) -> None:
    info = parse(method, path)
    assert info.resource is not None
    assert (info.verb, info.namespace, info.plural, info.name, info.subresource) == (
        verb,
        namespace,
        plural,
        name,
        subresource,
    )


@pytest.mark.parametrize("path", ["/", "/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1", "/healthz"])
def test_paths_outside_resources(path: str) -> None:
    info = parse("GET", path)
    assert (info.plural, info.verb, info.resource) == ("", "get", None)


def test_what_follows_a_subresource_is_kept() -> None:
    assert parse("GET", "/api/v1/namespaces/a/services/b/proxy/c/d").rest == "c/d"


def test_of_parameters_given_twice_the_first_counts() -> None:
    assert parse_query("a=1&a=2&b=x%20y") == {"a": "1", "b": "x y"}


@pytest.mark.parametrize(("text", "expected"), [("w=true", True), ("w", True), ("w=0", False), ("", False)])
def test_flags(text: str, expected: bool) -> None:
    assert is_true(parse_query(text), "w") is expected
