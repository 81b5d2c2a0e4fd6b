"""Messages here are written by hand, field by field, as Kubernetes' generated.proto files number them."""

import json
from typing import Any

import pytest

from clusterip.objects.core.pod import Pod
from clusterip.objects.core.secret import Secret
from clusterip.objects.core.service import Service
from clusterip.objects.protobuf import NotProtobuf, to_json


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def read(api_version: str, kind: str, raw: bytes, type_: Any) -> Any:
    return json.loads(to_json(envelope(api_version, kind, raw), type_))


def test_a_service() -> None:
    meta = field(1, "x") + field(8, b"") + field(11, field(1, "a") + field(2, "b"))
    port = field(1, "http") + field(3, 80) + field(4, field(1, 1) + field(2, 0) + field(3, "web"))
    spec = field(1, port) + field(1, field(3, 81) + field(4, field(1, 0) + field(2, 8081)))
    assert read("v1", "Service", field(1, meta) + field(2, spec), Service) == {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "x", "creationTimestamp": None, "labels": {"a": "b"}},
        "spec": {
            "ports": [{"name": "http", "port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 8081}]
        },
    }


def test_times_numbers_and_bytes() -> None:
    meta = field(8, field(1, 1_700_000_000)) + field(10, -1)
    tree = read("v1", "Secret", field(1, meta) + field(2, field(1, "k") + field(2, b"\x00\xff")), Secret)
    assert tree["metadata"] == {"creationTimestamp": "2023-11-14T22:13:20Z", "deletionGracePeriodSeconds": -1}
    assert tree["data"] == {"k": "AP8="}


def test_what_is_inline_in_json() -> None:
    config_map = field(1, field(1, "settings"))  # ConfigMapVolumeSource.localObjectReference.name
    volume = field(1, "v") + field(2, field(19, config_map))  # Volume.volumeSource.configMap
    tree = read("v1", "Pod", field(2, field(1, volume)), Pod)
    assert tree["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "settings"}}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"k8s\x00",
        envelope("v1", "Nope", b""),
        envelope("v1", "Service", b"\x0a\xff"),
        envelope("v1", "Service", b"\x0b"),
        envelope("v1", "Service", field(1, 5)),
        envelope("v1", "Service", field(1, field(1, b"\xff\xff"))),
    ],
)
def test_garbage(body: bytes) -> None:
    with pytest.raises(NotProtobuf):
        to_json(body, Service)
