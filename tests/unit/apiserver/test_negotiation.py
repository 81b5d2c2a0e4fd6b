import pytest

from clusterip.apiserver.negotiation import JSON, PROTOBUF, YAML, accept, body_type
from clusterip.apiserver.status import StatusError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("header", "media_type", "shape"),
    [
        ("", JSON, "object"),
        ("*/*", JSON, "object"),
        ("text/html, */*", JSON, "object"),
        ("application/yaml", YAML, "object"),
        ("application/vnd.kubernetes.protobuf,application/json", JSON, "object"),
        (f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", JSON, "table"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", JSON, "object"),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", JSON, "metadata"),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", JSON, "metadata-list"),
    ],
)
def test_the_first_form_that_can_be_served(header: str, media_type: str, shape: str) -> None:
    form = accept(header)
    assert (form.media_type, form.shape) == (media_type, shape)


@pytest.mark.parametrize("header", ["application/vnd.kubernetes.protobuf", "text/html", "image/*"])
def test_nothing_can_be_served(header: str) -> None:
    with pytest.raises(StatusError) as raised:
        accept(header)
    assert raised.value.status.code == 406


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/yaml", YAML),
        ("application/vnd.kubernetes.protobuf", PROTOBUF),
    ],
)
def test_bodies(content_type: str, expected: str) -> None:
    assert body_type(content_type) == expected


def test_unknown_body() -> None:
    with pytest.raises(StatusError) as raised:
        body_type("text/csv")
    assert (raised.value.status.code, raised.value.status.reason) == (415, "UnsupportedMediaType")
