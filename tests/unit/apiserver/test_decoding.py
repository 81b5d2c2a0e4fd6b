"""Bodies as objects. What is expected is what kube-apiserver 1.36 answers to the same bodies."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.apiserver.decoding import Document, read_object, read_options, read_tree, to_json
from clusterip.apiserver.status import StatusError
from clusterip.objects.coordination.lease import LEASES
from clusterip.objects.core.configmap import CONFIGMAPS
from clusterip.objects.core.node import NODES
from clusterip.objects.core.service import SERVICES
from clusterip.objects.meta import DeleteOptions
from clusterip.objects.registry import Resource

YAML = "application/yaml"


def read(
    body: bytes, resource: Resource[Any] = SERVICES, content_type: str = "", **query: str
) -> tuple[Any, list[str]]:
    return read_object(to_json(body, content_type, resource.type), resource, query)


def refused(body: bytes, resource: Resource[Any] = SERVICES, content_type: str = "", **query: str) -> str:
    with pytest.raises(StatusError) as raised:
        read(body, resource, content_type, **query)
    assert raised.value.status.code == 400
    return raised.value.status.message


def test_what_is_left_out_is_known_from_the_path() -> None:
    obj, warnings = read(b'{"metadata":{"name":"x"}}')
    assert (obj.kind, obj.apiVersion, obj.metadata.name, warnings) == ("Service", "v1", "x", [])
    assert read(b"null")[0].metadata.name == ""


class TestStrictness:
    def test_unknown_fields(self) -> None:
        body = b'{"a":1,"spec":{"ports":[{"port":1},{"b":2}],"selector":{"any":"thing"}}}'
        assert read(body)[1] == ['unknown field "a"', 'unknown field "spec.ports[1].b"']
        assert read(body, fieldValidation="Ignore")[1] == []
        assert refused(body, fieldValidation="Strict") == (
            'Service in version "v1" cannot be handled as a Service: strict decoding error: '
            'unknown field "a", unknown field "spec.ports[1].b"'
        )

    def test_the_case_of_letters_matters(self) -> None:
        obj, warnings = read(b'{"Metadata":{"name":"x"},"metadata":{"Name":"y","name":"z"}}')
        assert obj.metadata.name == "z"
        assert warnings == ['unknown field "Metadata"', 'unknown field "metadata.Name"']

    def test_duplicates_are_told_and_the_last_one_counts(self) -> None:
        body = b'{"metadata":{"name":"x","name":"y"},"spec":{"ports":[{"port":80,"foo":1,"port":81}]}}'
        obj, warnings = read(body)
        assert (obj.metadata.name, obj.spec.ports[0].port) == ("y", 81)
        assert warnings == [
            'duplicate field "metadata.name"',
            'unknown field "spec.ports[0].foo"',
            'duplicate field "spec.ports[0].port"',
        ]

    def test_objects_given_twice_are_joined(self) -> None:
        obj, warnings = read(b'{"data":{"a":"b","a":"c"},"data":{"z":"q"}}', CONFIGMAPS)
        assert obj.data == {"a": "c", "z": "q"}
        assert warnings == ['duplicate field "data.a"', 'duplicate field "data"']

    def test_a_colon_within_a_string_is_no_key(self) -> None:
        obj, warnings = read(b'{"data":{"a":"{\\"b\\": 1, \\"b\\": 2}"}}', CONFIGMAPS)
        assert (obj.data, warnings) == ({"a": '{"b": 1, "b": 2}'}, [])

    def test_names_are_quoted_as_go_does(self) -> None:
        assert read(rb'{"a\"b\\c\u0001":1,"tab\t":1}')[1] == [
            r'unknown field "a\"b\\c\x01"',
            r'unknown field "tab\t"',
        ]

    def test_no_more_than_a_hundred_are_told(self) -> None:
        body = b"{" + b",".join(b'"f%d":1' % i for i in range(150)) + b"}"
        assert len(read(body)[1]) == 100

    def test_duplicates_in_yaml(self) -> None:
        body = b"metadata:\n  name: x\n  name: z\ndata:\n  a: b\n  a: c\n"
        obj, warnings = read(body, CONFIGMAPS, YAML)
        assert (obj.metadata.name, obj.data) == ("z", {"a": "c"})
        assert warnings == ['line 3: key "name" already set in map', 'line 6: key "a" already set in map']
        assert refused(body, CONFIGMAPS, YAML, fieldValidation="Strict").endswith(
            'strict decoding error: yaml: unmarshal errors:\n  line 3: key "name" already set in map\n'
            '  line 6: key "a" already set in map'
        )

    def test_of_a_patched_tree(self) -> None:
        tree = {"metadata": {"name": "x"}, "spec": {"foo": 1}}
        assert read_tree(tree, SERVICES, {})[1] == ['unknown field "spec.foo"']


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"spec":{"ports":[{"port":"x"}]}}',
            ("string into Go struct field ServicePort.spec.ports.port of type int32"),
        ),
        (
            b'{"spec":{"ports":[{"port":1.0}]}}',
            ("number 1.0 into Go struct field ServicePort.spec.ports.port of type int32"),
        ),
        (
            b'{"spec":{"ports":[{"port":2147483648}]}}',
            ("number 2147483648 into Go struct field ServicePort.spec.ports.port of type int32"),
        ),
        (
            b'{"spec":{"ports":[{"targetPort":true}]}}',
            ("bool into Go struct field ServicePort.spec.ports.targetPort of type int32"),
        ),
        (
            b'{"spec":{"ports":[{"targetPort":99999999999}]}}',
            ("number 99999999999 into Go struct field ServicePort.spec.ports.targetPort of type int32"),
        ),
        (
            b'{"spec":{"ports":[{"protocol":5}]}}',
            ("number into Go struct field ServicePort.spec.ports.protocol of type v1.Protocol"),
        ),
        (
            b'{"spec":{"ports":{}}}',
            ("object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort"),
        ),
        (
            b'{"spec":{"ipFamilies":"x"}}',
            ("string into Go struct field ServiceSpec.spec.ipFamilies of type []v1.IPFamily"),
        ),
        (
            b'{"spec":{"selector":["a"]}}',
            ("array into Go struct field ServiceSpec.spec.selector of type map[string]string"),
        ),
        (
            b'{"spec":{"clusterIP":5}}',
            ("number into Go struct field ServiceSpec.spec.clusterIP of type string"),
        ),
        (b'{"spec":"x"}', "string into Go struct field Service.spec of type v1.ServiceSpec"),
        (
            b'{"metadata":{"labels":{"a":true}}}',
            ("bool into Go struct field ObjectMeta.metadata.labels of type string"),
        ),
        (
            b'{"metadata":{"generation":9223372036854775808}}',
            ("number 9223372036854775808 into Go struct field ObjectMeta.metadata.generation of type int64"),
        ),
        (
            b'{"metadata":{"creationTimestamp":5}}',
            ("number into Go struct field ObjectMeta.metadata.creationTimestamp of type string"),
        ),
        (
            b'{"metadata":{"ownerReferences":[{"uid":1}]}}',
            ("number into Go struct field OwnerReference.metadata.ownerReferences.uid of type types.UID"),
        ),
    ],
)
def test_wrong_types(body: bytes, expected: str) -> None:
    start = 'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal '
    assert refused(body) == start + expected


def test_wrong_types_of_bytes_and_amounts() -> None:
    message = refused(b'{"binaryData":{"a":1}}', CONFIGMAPS)
    assert message.endswith("number into Go struct field ConfigMap.binaryData of type []uint8")
    message = refused(b'{"binaryData":"a"}', CONFIGMAPS)
    assert message.endswith("string into Go struct field ConfigMap.binaryData of type map[string][]uint8")
    message = refused(b'{"status":{"capacity":[]}}', NODES)
    assert message.endswith("array into Go struct field NodeStatus.status.capacity of type v1.ResourceList")
    message = refused(b'{"status":{"capacity":{"cpu":true}}}', NODES)
    assert "quantities must match the regular expression" in message


class TestOtherKinds:
    def test_of_no_version(self) -> None:
        start = (
            'Nope in version "v1" cannot be handled as a Service: no kind "Nope" is registered '
            "for "
            'version "v1"'
        )
        assert refused(b'{"kind":"Nope","apiVersion":"v1"}').startswith(start)
        assert refused(b'{"kind":"Service","apiVersion":"apps/v1"}').startswith(
            'Service in version "v1" cannot be handled as a Service: no kind "Service" is '
            "registered "
            'for version "apps/v1"'
        )

    def test_of_another_name(self) -> None:
        for kind, api_version in (
            ("Deployment", "apps/v1"),
            ("Secret", "v1"),
            ("SecretList", "v1"),
            ("Status", "v1"),
        ):
            body = b'{"kind":"%b","apiVersion":"%b"}' % (kind.encode(), api_version.encode())
            assert refused(body) == (
                f'{kind} in version "v1" cannot be handled as a Service: converting (v1.{kind}) '
                f"to "
                f"(core.Service): "
                "unknown conversion"
            )

    def test_of_a_former_version(self) -> None:
        from clusterip.objects.apps.deployment import DEPLOYMENTS

        assert refused(b'{"kind":"Deployment","apiVersion":"extensions/v1beta1"}', DEPLOYMENTS) == (
            "the API version in the data (extensions/v1beta1) does not match the expected API "
            "version "
            "(apps/v1)"
        )

    def test_of_no_name_at_all(self) -> None:
        assert refused(b'{"kind":5}') == (
            "the object provided is unrecognized (must be of type Service): couldn't get "
            "version/kind; "
            "json parse "
            'error: json: cannot unmarshal number into Go struct field .kind of type string ({"kind":5})'
        )
        assert "json parse error: json: cannot unmarshal array into Go value of type struct {" in refused(
            b"[]"
        )
        assert "unexpected GroupVersion string: a/b/c" in refused(b'{"apiVersion":"a/b/c"}')


def test_nulls_count_as_absent() -> None:
    obj, _ = read(b'{"metadata":{"creationTimestamp":null,"labels":null},"status":null}')
    assert obj.metadata.labels == {}


def test_nulls_in_lists_and_maps_are_zero_values() -> None:
    obj, _ = read(b'{"metadata":{"labels":{"a":null}},"spec":{"ports":[null],"ipFamilies":[null]}}')
    assert obj.metadata.labels == {"a": ""}
    assert (obj.spec.ports[0].port, obj.spec.ipFamilies) == (0, [""])


@pytest.mark.parametrize(
    ("body", "why", "shown"),
    [
        (b"", "unexpected end of JSON input", "<empty>"),
        (b"  ", "unexpected end of JSON input", "2020"),
        (b"{", "unexpected end of JSON input", "{"),
        (b'{"metadata":{"name":"x"', "unexpected end of JSON input", '{"metadata":{"name":"x"'),
        (b'{"a":1} x', "invalid character 'x' after top-level value", '{"a":1} x'),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string", '{"a":1,}'),
        (b"{'a':1}", r"invalid character '\'' looking for beginning of object key string", "{'a':1}"),
        (b'{"a" 1}', "invalid character '1' after object key", '{"a" 1}'),
        (b'{"a":1 2}', "invalid character '2' after object key:value pair", '{"a":1 2}'),
        (b"[1 2]", "invalid character '2' after array element", "5b3120325d"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value", '{"a":NaN}'),
        (b'{"a":nul}', "invalid character '}' in literal null (expecting 'l')", '{"a":nul}'),
        (b'{"a":-}', "invalid character '}' in numeric literal", '{"a":-}'),
        (b'{"a":1.}', "invalid character '}' after decimal point in numeric literal", '{"a":1.}'),
        (b'{"a":"\x01"}', r"invalid character '\x01' in string literal", '{"a":"\x01"}'),
        (b'{"a":"\\q"}', "invalid character 'q' in string escape code", '{"a":"\\q"}'),
        (
            b"hello world this is a long text that is not json at all",
            "invalid character 'h' looking for beginning of value",
            "68656c6c6f20776f726c6420746869732069732061206c6f6e6720746578 ...",
        ),
        (b'{"a":' * 20_000, "exceeded max depth", '{"a":{"a":{"a":{"a":{"a":{"a": ...'),
        (b"[" * 100_000, "exceeded max depth", "5b" * 30 + " ..."),
    ],
    ids=range(19),
)
def test_text_that_is_not_json(body: bytes, why: str, shown: str) -> None:
    assert refused(body) == (
        "the object provided is unrecognized (must be of type Service): couldn't get version/kind; "
        f"json parse error: {why} ({shown})"
    )


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert read(b'{"data":{"a":"\xe9"}}', CONFIGMAPS)[0].data == {"a": "\ufffd"}
    assert read(b'{"data":{"a":"\\ud800"}}', CONFIGMAPS)[0].data == {"a": "\ufffd"}
    assert read(b'{"data":{"a":"\\ud83d\\ude00"}}', CONFIGMAPS)[0].data == {"a": "\U0001f600"}


class TestYaml:
    def test_scalars_are_what_go_takes_them_for(self) -> None:
        obj, _ = read(b"spec:\n  externalName: 2026-01-01\n", content_type=YAML)
        assert obj.spec.externalName == "2026-01-01"
        text = (
            b"metadata: {name: x, generation: 1e3}\ndata: {5: q, true: z, 1.5: f, a: !foo x, b: "
            b"!!binary "
            b"aGk=, c: !!str 5, d: ~}\n"
        )
        obj, _ = read(text, CONFIGMAPS, YAML)
        assert obj.metadata.generation == 1000
        assert obj.data == {"5": "q", "true": "z", "1.5": "f", "a": "x", "b": "hi", "c": "5", "d": ""}
        assert "cannot unmarshal bool" in refused(b"metadata: {name: y}", content_type=YAML)
        assert "cannot unmarshal number" in refused(b"metadata: {name: 0o17}", content_type=YAML)

    def test_structure(self) -> None:
        text = b"\xef\xbb\xbfdata:\n  <<: {a: &v hey}\n  c: *v\n---\ndata: {d: e}\n"
        assert read(text, CONFIGMAPS, YAML)[0].data == {"a": "hey", "c": "hey"}
        assert read(b"", content_type=YAML)[0].metadata.name == ""

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"metadata: [\n", "yaml: line 1: did not find expected node content"),
            (b"metadata:\n\tname: x\n", "yaml: line 2: found character that cannot start any token"),
            (b"metadata: *nope\n", "yaml: unknown anchor 'nope' referenced"),
            (b"data: {a: \xe9}\n", "yaml: invalid trailing UTF-8 octet"),
            (b"data: {a: \x01}\n", "yaml: control characters are not allowed"),
            (b"metadata: {generation: .inf}\n", "json: unsupported value: +Inf"),
            (b"[" * 20_000, "yaml: exceeded max depth of 10000"),
        ],
        ids=range(7),
    )
    def test_errors(self, body: bytes, why: str) -> None:
        assert refused(body, content_type=YAML).startswith(
            f"the object provided is unrecognized (must be of type Service): {why} ("
        )

    def test_a_billion_laughs(self) -> None:
        lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
        lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
        assert "excessive aliasing" in refused("\n".join(lines).encode(), content_type=YAML)


class TestTimes:
    def test_are_kept_in_utc(self) -> None:
        obj, _ = read(b'{"metadata":{"deletionTimestamp":"2020-01-01T02:00:00.5+02:00"}}')
        assert obj.metadata.deletionTimestamp == "2020-01-01T00:00:00Z"
        obj, _ = read(b'{"spec":{"renewTime":"2020-01-01T00:00:00.123456+01:00"}}', LEASES)
        assert obj.spec.renewTime == "2019-12-31T23:00:00.123456Z"

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", ' as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"'),
            ("2020", ' as "2006-01-02T15:04:05Z07:00": cannot parse "" as "-"'),
            ("2020-01-01 00:00:00Z", ' as "2006-01-02T15:04:05Z07:00": cannot parse " 00:00:00Z" as "T"'),
            ("2020-01-01T00:00:00", ' as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"'),
            ("2020-13-01T00:00:00Z", ": month out of range"),
            ("2020-02-30T00:00:00Z", ": day out of range"),
            ("2020-01-01T24:00:00Z", ": hour out of range"),
        ],
    )
    def test_that_are_none(self, text: str, why: str) -> None:
        message = refused(b'{"metadata":{"creationTimestamp":"%b"}}' % text.encode())
        assert (
            message == f'Service in version "v1" cannot be handled as a Service: parsing time "{text}"{why}'
        )

    def test_micro_times_need_their_digits(self) -> None:
        message = refused(b'{"spec":{"renewTime":"2020-01-01T00:00:00Z"}}', LEASES)
        assert message.endswith('as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"')
        message = refused(b'{"spec":{"renewTime":"2020-01-01T00:00:00.123456789Z"}}', LEASES)
        assert message.endswith('cannot parse "789Z" as "Z07:00"')


class TestAmounts:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ('"1024Ki"', "1Mi"),
            ('"1000m"', "1"),
            ('"1.1m"', "2m"),
            ('"1n"', "1m"),
            ('"2.5Gi"', "2560Mi"),
            ('".5"', "500m"),
            ('"1E3"', "1E3"),
            ('"+1"', "+1"),
            ('"5."', "5."),
            ('" 1 "', "1"),
            ("1.5", "1500m"),
            ("12345678901234567890", "12345678901234567890"),
        ],
    )
    def test_are_canonical_and_at_least_a_thousandth(self, given: str, kept: str) -> None:
        obj, _ = read(b'{"status":{"capacity":{"cpu":%b}}}' % given.encode(), NODES)
        assert obj.status.capacity == {"cpu": kept}

    @pytest.mark.parametrize("given", ["", "1Zi", "1..", "1 Gi", "0x10", "1e1Ki"])
    def test_that_are_none(self, given: str) -> None:
        message = refused(b'{"status":{"capacity":{"cpu":"%b"}}}' % given.encode(), NODES)
        assert "quantities must match the regular expression '^([+-]?[0-9.]+)" in message

    @pytest.mark.parametrize("given", ["1K", "1e", "1Mi1"])
    def test_of_unknown_suffix(self, given: str) -> None:
        message = refused(b'{"status":{"capacity":{"cpu":"%b"}}}' % given.encode(), NODES)
        assert message.endswith("cannot be handled as a Node: unable to parse quantity's suffix")


@pytest.mark.parametrize(
    ("text", "at"), [("Bad Value!", 3), ("a/b/c", 4), ("123", 0), ("ab=c", 2), ("ab==c", 4), ("YWI=\nYQ", 5)]
)
def test_bytes_that_are_not_base64(text: str, at: int) -> None:
    body = b'{"binaryData":{"a":"%b"}}' % text.replace("\n", "\\n").encode()
    assert refused(body, CONFIGMAPS).endswith(f"illegal base64 data at input byte {at}")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "*/*",
        "application/*",
        "application/json;foo",
        ";",
        "json",
        "application/x-yaml",
        "application/cbor",
    ],
)
def test_forms_that_cannot_be_read(content_type: str) -> None:
    with pytest.raises(StatusError) as raised:
        to_json(b"{}", content_type, SERVICES.type)
    assert (raised.value.status.code, raised.value.status.reason) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    "content_type", ["", "APPLICATION/JSON", "application/json; charset=utf-8", " application/json "]
)
def test_forms_of_json(content_type: str) -> None:
    assert to_json(b"{}", content_type, SERVICES.type) == Document(b"{}", (), b"{}")


def test_options() -> None:
    assert read_options(b'{"gracePeriodSeconds":5}', "", DeleteOptions).gracePeriodSeconds == 5
    with pytest.raises(StatusError) as raised:
        read_options(b'{"gracePeriodSeconds":"5"}', "", DeleteOptions)
    assert raised.value.status.message == (
        'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot '
        "unmarshal "
        "string into "
        "Go struct field DeleteOptions.gracePeriodSeconds of type int64"
    )
