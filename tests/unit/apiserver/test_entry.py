from clusterip.apiserver.entry import Entry
from clusterip.objects.codec import decode, encode
from clusterip.objects.core.configmap import CONFIGMAPS, ConfigMap
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.meta import ObjectMeta


def entry(revision: int = 7, **labels: str) -> Entry:
    obj = ConfigMap(
        kind="ConfigMap", apiVersion="v1", metadata=ObjectMeta(name="a", namespace="b", labels=labels)
    )
    return Entry(CONFIGMAPS, "b", "a", revision, encode(obj))


def test_the_version_is_put_into_the_stored_form_and_taken_out_again() -> None:
    made = entry(x="y")
    obj = decode(made.json, ConfigMap)
    assert (obj.metadata.resourceVersion, obj.metadata.labels) == ("7", {"x": "y"})
    obj.metadata.resourceVersion = ""
    assert made.stored == encode(obj)
    assert made.at(1234).stored == made.stored
    assert made.at(1234).decode().metadata.resourceVersion == "1234"


def test_an_item_of_a_list_does_not_say_its_kind() -> None:
    assert entry().item.startswith(b'{"metadata":{"resourceVersion":"7","name":"a"')


def test_labels() -> None:
    assert entry(x="y").labels == {"x": "y"}
    assert entry().labels == {}


def test_fields() -> None:
    pod = Pod(kind="Pod", apiVersion="v1", metadata=ObjectMeta(name="p", namespace="n"))
    pod.spec.nodeName = "node-1"
    made = Entry(PODS, "n", "p", 1, encode(pod))
    assert [made.field(f) for f in ("metadata.name", "metadata.namespace", "spec.nodeName", "no")] == [
        "p",
        "n",
        "node-1",
        "",
    ]
