from clusterip.apiserver.deletion import Outcome, mark, may_go
from clusterip.objects.core.configmap import ConfigMap
from clusterip.objects.core.namespace import Namespace
from clusterip.objects.core.pod import Pod
from clusterip.objects.meta import DeleteOptions, ObjectMeta


def running_pod(**changes: object) -> Pod:
    pod = Pod(metadata=ObjectMeta(name="p", generation=1))
    pod.spec.nodeName = "node-1"
    pod.spec.terminationGracePeriodSeconds = 30
    for name, value in changes.items():
        setattr(pod.spec, name, value)
    return pod


def test_plain_objects_go_at_once() -> None:
    assert mark(ConfigMap(), DeleteOptions()) is Outcome.DELETE


def test_finalizers_hold() -> None:
    obj = ConfigMap(metadata=ObjectMeta(finalizers=["a/b"], generation=3))
    assert mark(obj, DeleteOptions()) is Outcome.UPDATE
    assert obj.metadata.deletionTimestamp is not None
    assert (obj.metadata.deletionGracePeriodSeconds, obj.metadata.generation) == (0, 4)
    assert mark(obj, DeleteOptions()) is Outcome.NOTHING
    assert not may_go(obj)
    obj.metadata.finalizers = []
    assert may_go(obj)


def test_propagation_policies_become_finalizers() -> None:
    obj = ConfigMap()
    assert mark(obj, DeleteOptions(propagationPolicy="Foreground")) is Outcome.UPDATE
    assert obj.metadata.finalizers == ["foregroundDeletion"]
    mark(obj, DeleteOptions(propagationPolicy="Orphan"))
    assert obj.metadata.finalizers == ["orphan"]
    assert mark(obj, DeleteOptions(propagationPolicy="Background")) is Outcome.DELETE


def test_a_pod_on_a_node_stays_for_its_grace_period() -> None:
    pod = running_pod()
    assert mark(pod, DeleteOptions()) is Outcome.UPDATE
    assert pod.metadata.deletionGracePeriodSeconds == 30
    assert mark(pod, DeleteOptions()) is Outcome.NOTHING
    assert mark(pod, DeleteOptions(gracePeriodSeconds=60)) is Outcome.NOTHING
    assert mark(pod, DeleteOptions(gracePeriodSeconds=5)) is Outcome.UPDATE
    assert pod.metadata.deletionGracePeriodSeconds == 5
    assert mark(pod, DeleteOptions(gracePeriodSeconds=0)) is Outcome.DELETE


def test_pods_that_run_nowhere_go_at_once() -> None:
    assert mark(running_pod(nodeName=""), DeleteOptions()) is Outcome.DELETE
    done = running_pod()
    done.status.phase = "Succeeded"
    assert mark(done, DeleteOptions()) is Outcome.DELETE


def test_a_namespace_ends_when_it_is_empty() -> None:
    namespace = Namespace(metadata=ObjectMeta(name="n"))
    namespace.spec.finalizers = ["kubernetes"]
    assert mark(namespace, DeleteOptions()) is Outcome.UPDATE
    assert namespace.status.phase == "Terminating"
    assert not may_go(namespace)
    assert mark(namespace, DeleteOptions()) is Outcome.NOTHING
    namespace.spec.finalizers = []
    assert may_go(namespace)
    assert mark(namespace, DeleteOptions()) is Outcome.DELETE
