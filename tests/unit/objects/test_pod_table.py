"""What kubectl shows of a Pod: one state out of phase, containers and deletion."""

import pytest

from clusterip.objects import times
from clusterip.objects.codec import convert
from clusterip.objects.core.pod import PODS, Pod

RUNNING = {"state": {"running": {}}, "ready": True}
DONE = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
FAILED = {"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
WAITING = {"state": {"waiting": {"reason": "PodInitializing"}}}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
SIDECAR = {"name": "i0", "restartPolicy": "Always"}


def waiting(reason):
    return {"state": {"waiting": {"reason": reason}}}


def shown(status, init=(), statuses=(), containers=1, init_statuses=(), deleted=False, **meta):
    def named(entries, prefix):
        return [{"name": f"{prefix}{i}", **entry} for i, entry in enumerate(entries)]

    metadata = {"name": "p", **({"deletionTimestamp": times.now()} if deleted else {}), **meta}
    tree = {
        "metadata": metadata,
        "spec": {
            "containers": named([{}] * containers, "c"),
            "initContainers": named(init, "i"),
        },
        "status": {
            "phase": "Running",
            "containerStatuses": named(statuses, "c"),
            "initContainerStatuses": named(init_statuses, "i"),
            **status,
        },
    }
    return PODS.row(convert(tree, Pod))


@pytest.mark.parametrize(
    ("case", "ready", "reason"),
    [
        ({"status": {"phase": "Pending"}}, "0/1", "Pending"),
        ({"status": {}, "statuses": [RUNNING]}, "1/1", "Running"),
        ({"status": {}, "statuses": [RUNNING, RUNNING], "containers": 2}, "2/2", "Running"),
        ({"status": {}, "statuses": [{"state": {"running": {}}}]}, "0/1", "Running"),
        ({"status": {}, "statuses": [waiting("ContainerCreating")]}, "0/1", "ContainerCreating"),
        ({"status": {}, "statuses": [waiting("CrashLoopBackOff")]}, "0/1", "CrashLoopBackOff"),
        ({"status": {}, "statuses": [waiting("ImagePullBackOff"), RUNNING], "containers": 2}, "1/2",
         "ImagePullBackOff"),
        ({"status": {"phase": "Succeeded"}, "statuses": [DONE]}, "0/1", "Completed"),
        ({"status": {"phase": "Failed"}, "statuses": [FAILED]}, "0/1", "Error"),
        ({"status": {"phase": "Failed"}, "statuses": [{"state": {"terminated": {"exitCode": 3}}}]}, "0/1",
         "ExitCode:3"),
        ({"status": {"phase": "Failed"}, "statuses": [{"state": {"terminated": {"signal": 9}}}]}, "0/1",
         "Signal:9"),
        ({"status": {"phase": "Failed", "reason": "Evicted"}}, "0/1", "Evicted"),
        ({"status": READY, "statuses": [DONE, RUNNING], "containers": 2}, "1/2", "Running"),
        ({"status": {}, "statuses": [DONE, RUNNING], "containers": 2}, "1/2", "NotReady"),
        ({"status": {}, "statuses": [DONE, FAILED], "containers": 2}, "0/2", "Error"),
        ({"status": {"conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}],
                     "phase": "Pending"}}, "0/1", "SchedulingGated"),
        # deletion
        ({"status": {}, "statuses": [RUNNING], "deleted": True}, "1/1", "Terminating"),
        ({"status": {"reason": "NodeLost"}, "deleted": True}, "0/1", "Unknown"),
        ({"status": {"phase": "Succeeded"}, "statuses": [DONE], "deleted": True}, "0/1", "Completed"),
        # init containers
        ({"status": {"phase": "Pending"}, "init": [{}, {}], "init_statuses": [DONE, {"state": {}}]}, "0/1",
         "Init:1/2"),
        ({"status": {"phase": "Pending"}, "init": [{}], "init_statuses": [WAITING]}, "0/1", "Init:0/1"),
        ({"status": {"phase": "Pending"}, "init": [{}], "init_statuses": [waiting("CrashLoopBackOff")]},
         "0/1", "Init:CrashLoopBackOff"),
        ({"status": {"phase": "Pending"}, "init": [{}], "init_statuses": [FAILED]}, "0/1", "Init:Error"),
        ({"status": {"phase": "Pending"}, "init": [{}],
          "init_statuses": [{"state": {"terminated": {"exitCode": 2}}}]}, "0/1", "Init:ExitCode:2"),
        ({"status": {"phase": "Pending"}, "init": [{}],
          "init_statuses": [{"state": {"terminated": {"exitCode": 2, "signal": 7}}}]}, "0/1",
         "Init:Signal:7"),
        ({"status": {}, "init": [{}], "init_statuses": [DONE], "statuses": [RUNNING]}, "1/1", "Running"),
        # sidecars
        ({"status": {}, "init": [SIDECAR], "init_statuses": [{**RUNNING, "started": True}],
          "statuses": [RUNNING]}, "2/2", "Running"),
        ({"status": {"phase": "Pending"}, "init": [SIDECAR], "init_statuses": [RUNNING],
          "statuses": [WAITING]}, "0/2", "Init:0/1"),
    ],
)  # fmt: skip
def test_ready_and_status(case, ready, reason):
    row = shown(**case)
    assert row[:3] == ["p", ready, reason]
    assert len(row) == len(PODS.columns)


def ended(seconds):
    """A last state that ended so long before the test runs, not before it was collected."""
    return {"ended": seconds}


def resolve(statuses):
    for status in statuses:
        status = dict(status)
        if (seconds := status.pop("ended", None)) is not None:
            status["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": ago(seconds)}}
        yield status


def ago(seconds):
    moment = times.parse(times.now()).timestamp() - seconds
    return times.format_time(times.datetime.fromtimestamp(moment, times.UTC))


@pytest.mark.parametrize(
    ("case", "restarts"),
    [
        ({"statuses": [RUNNING]}, "0"),
        ({"statuses": [{**RUNNING, "restartCount": 3}]}, "3"),
        ({"statuses": [{**RUNNING, "restartCount": 3, **ended(2000)}]}, "3 (33m ago)"),
        (
            {
                "statuses": [
                    {**RUNNING, "restartCount": 1, **ended(86400 * 3)},
                    {**RUNNING, "restartCount": 2, **ended(610)},
                ]
            },
            "3 (10m ago)",
        ),
        (
            {
                "init": [{}],
                "init_statuses": [{**DONE, "restartCount": 9, **ended(60)}],
                "statuses": [{**RUNNING, "restartCount": 1}],
            },
            "1",
        ),
        ({"init": [{}], "init_statuses": [{**WAITING, "restartCount": 2}]}, "2"),
    ],
)
def test_restarts(case, restarts):
    case = {key: list(resolve(value)) if key.endswith("statuses") else value for key, value in case.items()}
    assert shown({}, **case)[3] == restarts


def test_wide_cells():
    pod = convert(
        {
            "metadata": {"name": "p", "creationTimestamp": ago(3 * 86400)},
            "spec": {
                "nodeName": "node-1",
                "containers": [{"name": "c"}],
                "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}],
            },
            "status": {
                "podIPs": [{"ip": "10.244.1.2"}],
                "conditions": [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}],
            },
        },
        Pod,
    )
    assert PODS.row(pod)[4:] == ["3d", "10.244.1.2", "node-1", "<none>", "1/2"]
    assert PODS.row(Pod())[5:] == ["<none>"] * 4
    fields = {name: get(pod) for name, get in PODS.fields.items()}
    assert fields["spec.nodeName"] == "node-1"
    assert fields["status.podIP"] == "10.244.1.2"
    assert fields["spec.hostNetwork"] == "false"
