"""Pods: defaulting, validation and what an update may change."""

import pytest

from clusterip.objects.codec import convert, copy, to_tree
from clusterip.objects.core.pod import PODS, Pod, PodStatus
from clusterip.objects.core.pod.defaults import pull_policy, set_defaults
from clusterip.objects.core.pod.warnings import template_warnings
from clusterip.objects.core.pod_spec import PodSpec, PodTemplateSpec
from clusterip.objects.errors import Path

CONTAINER = {"name": "c", "image": "echo:1"}


def pod(spec=None, /, *, container=None, **meta):
    spec = {"containers": [{**CONTAINER, **(container or {})}], **(spec or {})}
    metadata = {"name": "p", "namespace": "default", "resourceVersion": "1", **meta}
    result = convert({"metadata": metadata, "spec": spec}, Pod)
    PODS.set_defaults(result)
    PODS.prepare_create(result)
    return result


def errors(result):
    return [str(error) for error in PODS.validate(result)]


def test_defaults():
    tree = to_tree(pod())
    assert tree["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "echo:1",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    assert tree["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert tree["metadata"]["generation"] == 1


def test_container_defaults():
    container = {
        "ports": [{"containerPort": 80}],
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "livenessProbe": {"httpGet": {"port": "web"}},
        "readinessProbe": {"grpc": {"port": 1}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
        "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"memory": "1.5Gi"}},
    }
    spec = pod({"hostNetwork": True}, container=container).spec.containers[0]
    assert to_tree(spec.ports) == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert spec.env[0].valueFrom.fieldRef.apiVersion == "v1"
    assert to_tree(spec.livenessProbe) == {
        "httpGet": {"path": "/", "port": "web", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert spec.readinessProbe.periodSeconds == 1
    assert spec.readinessProbe.grpc.service == ""
    assert spec.lifecycle.preStop.httpGet.scheme == "HTTP"
    assert spec.resources.limits == {"cpu": "500m", "memory": "1Gi"}
    assert spec.resources.requests == {"cpu": "500m", "memory": "1536Mi"}


def test_volume_defaults():
    volumes = [
        {"name": "a"},
        {"name": "b", "secret": {"secretName": "s"}},
        {"name": "c", "hostPath": {"path": "/x"}},
        {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        {"name": "e", "emptyDir": {"sizeLimit": "2048Ki"}},
    ]
    assert to_tree(pod({"volumes": volumes}).spec.volumes) == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "secret": {"secretName": "s", "defaultMode": 420}},
        {"name": "c", "hostPath": {"path": "/x", "type": ""}},
        {
            "name": "d",
            "projected": {
                "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
                "defaultMode": 420,
            },
        },
        {"name": "e", "emptyDir": {"sizeLimit": "2Mi"}},
    ]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("echo", "Always"),
        ("echo:latest", "Always"),
        ("echo:1", "IfNotPresent"),
        ("localhost:5000/echo", "Always"),
        ("localhost:5000/echo:1", "IfNotPresent"),
        ("echo@sha256:0123456789abcdef0123456789abcdef", "IfNotPresent"),
        ("echo:latest@sha256:0123456789abcdef0123456789abcdef", "Always"),
    ],
)
def test_pull_policy(image, policy):
    assert pull_policy(image) == policy


CPU, MEMORY = {"cpu": "1"}, {"memory": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
        ({"requests": {"example.com/gpu": 1}, "limits": {"example.com/gpu": 1}}, "BestEffort"),
        ({"requests": CPU}, "Burstable"),
        ({"limits": CPU}, "Burstable"),
        ({"limits": CPU | MEMORY}, "Guaranteed"),
        ({"limits": CPU | MEMORY, "requests": {"cpu": "1000m"} | MEMORY}, "Guaranteed"),
        ({"limits": CPU | MEMORY, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources, quality):
    assert pod(container={"resources": resources}).status.qosClass == quality


VOLUMES = [{"name": "v", "emptyDir": {}}]


@pytest.mark.parametrize(
    ("spec", "container"),
    [
        ({}, {}),
        ({"volumes": VOLUMES}, {"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "b/c"}]}),
        ({}, {"env": [{"name": "A", "value": "b"}], "envFrom": [{"configMapRef": {"name": "c"}}]}),
        ({}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]}),
        ({}, {"livenessProbe": {"exec": {"command": ["true"]}}, "lifecycle": {"preStop": {"sleep": {}}}}),
        ({"initContainers": [{"name": "i", "image": "x", "restartPolicy": "Always",
                              "readinessProbe": {"tcpSocket": {"port": 1}}}]}, {}),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.1"], "searches": ["a_b.c.", "."]}}, {}),
        ({"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute",
                                                   "tolerationSeconds": 5}]}, {}),
        ({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.b"]}]}, {}),
    ],
)  # fmt: skip
def test_valid(spec, container):
    assert errors(pod(spec, container=container)) == []


@pytest.mark.parametrize(
    ("spec", "container", "error"),
    [
        ({"containers": []}, {}, "spec.containers: Required value"),
        ({}, {"image": ""}, "spec.containers[0].image: Required value"),
        ({}, {"image": " x "}, 'spec.containers[0].image: Invalid value: " x ": must not have leading or'),
        ({}, {"name": ""}, "spec.containers[0].name: Required value"),
        ({"containers": [CONTAINER, CONTAINER]}, {}, 'spec.containers[1].name: Duplicate value: "c"'),
        ({"initContainers": [CONTAINER]}, {}, 'spec.initContainers[0].name: Duplicate value: "c"'),
        (
            {"initContainers": [{"name": "i", "image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}}]},
            {},
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
            "restartPolicy=Always",
        ),
        ({"ephemeralContainers": [{"name": "e", "image": "x"}]}, {}, "cannot be set on create"),
        ({}, {"ports": [{}]}, "spec.containers[0].ports[0].containerPort: Required value"),
        (
            {},
            {"ports": [{"containerPort": 1, "hostPort": 2}, {"containerPort": 3, "hostPort": 2}]},
            'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//2"',
        ),
        (
            {"hostNetwork": True},
            {"ports": [{"containerPort": 1, "hostPort": 2}]},
            "hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true",
        ),
        ({}, {"imagePullPolicy": "Maybe"}, '"Always", "IfNotPresent", "Never"'),
        ({}, {"env": [{}]}, "spec.containers[0].env[0].name: Required value"),
        (
            {},
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.color"}}}]},
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "
            '"spec.color": error converting fieldPath: field label not supported: spec.color',
        ),
        (
            {},
            {"env": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            'valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ),
        (
            {},
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}]},
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {"volumes": VOLUMES},
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}]},
            'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
        ),
        (
            {"volumes": VOLUMES},
            {"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "../b"}]},
            "subPath: Invalid value: \"../b\": must not contain '..'",
        ),
        ({"volumes": VOLUMES * 2}, {}, 'spec.volumes[1].name: Duplicate value: "v"'),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
            {},
            "may not specify more than 1 volume type",
        ),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/a/../b", "type": ""}}]},
            {},
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        ),
        (
            {},
            {"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}},
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            {},
            {"readinessProbe": {}},
            "spec.containers[0].readinessProbe: Required value: must specify a handler type",
        ),
        (
            {},
            {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
            "preStop.sleep: Invalid value: 31: must be non-negative and less than "
            "terminationGracePeriodSeconds (30)",
        ),
        (
            {},
            {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}},
            'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {},
            {"resources": {"limits": {"cpu": "-1"}, "requests": {"cpu": "0"}}},
            'resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ),
        (
            {"restartPolicy": "Sometimes"},
            {},
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", '
            '"Never"',
        ),
        ({"dnsPolicy": "None"}, {}, "spec.dnsConfig: Required value: must provide `dnsConfig` when"),
        ({"nodeSelector": {"a": "b c"}}, {}, 'spec.nodeSelector: Invalid value: "b c"'),
        ({"hostname": "a.b"}, {}, 'spec.hostname: Invalid value: "a.b": must not contain dots'),
        ({"activeDeadlineSeconds": 0}, {}, "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1"),
        (
            {"tolerations": [{"key": "", "operator": "Equal"}]},
            {},
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is '
            'empty, which means "match all values and all keys"',
        ),
        (
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
            {},
            "nodeSelectorTerms: Required value: must have at least one node selector term",
        ),
        (
            {"securityContext": {"runAsUser": -1}},
            {},
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
    ],
)
def test_errors(spec, container, error):
    (found,) = errors(pod(spec, container=container))
    assert error in found


def changed(old, change):
    new = copy(old)
    change(new)
    PODS.prepare_update(new, old)
    return new, [str(error) for error in PODS.validate_update(new, old)]


def test_images_and_metadata_may_change():
    old = pod()

    def change(new):
        new.spec.containers[0].image = "echo:2"
        new.metadata.labels["a"] = "b"
        new.status.phase = "Running"

    new, found = changed(old, change)
    assert found == []
    assert new.metadata.generation == 2
    assert new.status.phase == "Pending"
    assert changed(old, lambda new: new.metadata.labels.update(x="y"))[0].metadata.generation == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("hostname", "x"), ("nodeName", "node-1"), ("restartPolicy", "Never"), ("priority", 5)],
)
def test_the_rest_of_spec_may_not(field, value):
    _new, found = changed(pod(), lambda new: setattr(new.spec, field, value))
    (error,) = found
    assert error.startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
        "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
        "previously negative)"
    )
    assert f"spec.{field}" in error


def test_containers_may_not_come_or_go():
    _new, found = changed(pod(), lambda new: new.spec.containers.append(copy(new.spec.containers[0])))
    assert "spec.containers: Forbidden: pod updates may not add or remove containers" in found


def test_tolerations_may_only_be_added():
    old = pod({"tolerations": [{"key": "a", "operator": "Exists"}]})
    assert changed(old, lambda new: new.spec.tolerations.append(copy(new.spec.tolerations[0])))[1] == []
    (error,) = changed(old, lambda new: new.spec.tolerations.clear())[1]
    assert error == (
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    )


@pytest.mark.parametrize(
    ("given", "address", "addresses"),
    [
        ({"podIP": "10.0.0.1"}, "10.0.0.1", ["10.0.0.1"]),
        ({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, "10.0.0.1", ["10.0.0.1", "fd00::1"]),
        ({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.1"}]}, "10.0.0.2", ["10.0.0.2"]),
        ({}, "", []),
    ],
)
def test_the_address_and_the_addresses(given, address, addresses):
    pod = convert({"metadata": {"name": "p"}, "status": given}, Pod)
    set_defaults(pod)
    assert pod.status.podIP == address
    assert [each.ip for each in pod.status.podIPs] == addresses


def test_status_updates():
    old = pod({"restartPolicy": "Never"})
    ended = {"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 0}}}]}
    old.status.containerStatuses = convert(ended, PodStatus).containerStatuses
    new = copy(old)
    new.spec.nodeName = "node-1"
    new.status.qosClass = ""
    new.status.phase = "Succeeded"
    PODS.prepare_status_update(new, old)
    assert new.spec == old.spec
    assert new.status.qosClass == "BestEffort"
    assert PODS.validate_status_update(new, old) == []
    new.status.containerStatuses[0].state.terminated = None
    assert [str(error) for error in PODS.validate_status_update(new, old)] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]


@pytest.mark.parametrize(
    ("spec", "container", "warning"),
    [
        ({}, {"env": [{"name": "A"}, {"name": "A", "value": "2"}]}, "hides previous definition of"),
        ({}, {"ports": [{"containerPort": 1}, {"containerPort": 1}]}, "duplicate port definition with spec."),
        ({"imagePullSecrets": [{}]}, {}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
        (
            {},
            {"ports": [{"containerPort": 1, "hostIP": "1.2.3.4"}]},
            "hostIP set without hostPort: {Name: Ho",
        ),
        ({}, {"resources": {"requests": {"memory": "1500m"}}}, "fractional byte value"),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z"}]},
            {},
            "topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ),
        ({"volumes": [{"name": "v", "projected": {"sources": [{}]}}]}, {}, "has no sources provided"),
        (
            {"volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "a"}, {"path": "a/b"}]}}]},
            {},
            'volume "v" (DownwardAPI): overlapping paths: "a/b" with "a"',
        ),
        ({"volumes": [{"name": "v", "gitRepo": {"repository": "r"}}]}, {}, "volumes[0].gitRepo: deprecated"),
    ],
)  # fmt: skip
def test_warnings(spec, container, warning):
    (found,) = PODS.warnings(pod(spec, container=container))
    assert warning in found
    assert PODS.warnings(pod()) == []


def test_a_negative_grace_period_is_one_second():
    created = pod({"terminationGracePeriodSeconds": -1})
    PODS.prepare_create(created)
    assert created.spec.terminationGracePeriodSeconds == 1
    assert PODS.warnings(created) == []
    template = PodTemplateSpec(spec=PodSpec(terminationGracePeriodSeconds=-1))
    (warning,) = template_warnings(template, Path("spec"))
    assert "negative values are invalid and will be treated as 1" in warning


@pytest.mark.parametrize(
    ("sysctls", "error"),
    [
        ([{}], "spec.securityContext.sysctls[0].name: Required value"),
        ([{"name": "Bad"}], "must have at most 253 characters and match regex ^([a-z0-9]("),
        ([{"name": "a.b"}, {"name": "a/b"}], 'sysctls[1].name: Duplicate value: "a/b"'),
    ],
)
def test_kernel_parameters(sysctls, error):
    (found,) = PODS.validate(pod({"securityContext": {"sysctls": sysctls}}))
    assert error in str(found)
