import pytest

from clusterip.apiserver.decoding import read_object, to_json
from clusterip.apiserver.status import StatusError
from clusterip.objects.core.service import SERVICES


def refused(body: bytes, **query: str) -> str:
    with pytest.raises(StatusError) as raised:
        read_object(body, SERVICES, query)
    assert raised.value.status.code == 400
    return raised.value.status.message


def test_what_is_left_out_is_known_from_the_path() -> None:
    obj, warnings = read_object(b'{"metadata":{"name":"x"}}', SERVICES, {})
    assert (obj.kind, obj.apiVersion, obj.metadata.name, warnings) == ("Service", "v1", "x", [])


def test_unknown_fields() -> None:
    body = b'{"a":1,"spec":{"ports":[{"port":1},{"b":2}],"selector":{"any":"thing"}}}'
    assert read_object(body, SERVICES, {})[1] == ['unknown field "a"', 'unknown field "spec.ports[1].b"']
    assert read_object(body, SERVICES, {"fieldValidation": "Ignore"})[1] == []
    assert refused(body, fieldValidation="Strict") == (
        'Service in version "v1" cannot be handled as a Service: strict decoding error: '
        'unknown field "a", unknown field "spec.ports[1].b"'
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"spec":{"ports":[{"port":"x"}]}}',
            "string into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            b'{"spec":{"ports":{}}}',
            "object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
        ),
        (
            b'{"spec":{"selector":["a"]}}',
            "array into Go struct field ServiceSpec.spec.selector of type map[string]string",
        ),
        (
            b'{"spec":{"clusterIP":5}}',
            "number into Go struct field ServiceSpec.spec.clusterIP of type string",
        ),
        (b'{"spec":"x"}', "string into Go struct field Service.spec of type v1.ServiceSpec"),
        (
            b'{"metadata":{"labels":{"a":true}}}',
            "bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
    ],
)
def test_wrong_types(body: bytes, expected: str) -> None:
    start = 'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal '
    assert refused(body) == start + expected


def test_other_kinds() -> None:
    assert 'no kind "Nope" is registered for version "v1"' in refused(b'{"kind":"Nope","apiVersion":"v1"}')
    assert refused(b'{"kind":"Service","apiVersion":"apps/v1"}').startswith(
        'Service in version "v1" cannot be handled as a Service: no kind "Service"'
    )
    assert refused(b'{"kind":"Deployment","apiVersion":"apps/v1"}') == (
        "the API version in the data (apps/v1) does not match the expected API version (v1)"
    )


def test_nulls_count_as_absent() -> None:
    obj, _ = read_object(b'{"metadata":{"creationTimestamp":null,"labels":null},"status":null}', SERVICES, {})
    assert obj.metadata.labels == {}


@pytest.mark.parametrize("body", [b"", b"{", b"nope", b"\xff", b"[" * 100_000, b'"x"', b"null"])
def test_garbage(body: bytes) -> None:
    assert refused(body)


def test_yaml() -> None:
    text = b"metadata: {name: x}\nspec:\n  externalName: 2026-01-01\n"
    obj, _ = read_object(to_json(text, "application/yaml", None), SERVICES, {})
    assert obj.spec.externalName == "2026-01-01"
