"""kubectl with Pods that run: its streams and everything that waits for what controllers do.

Each test runs with kubectl 1.37, which speaks WebSockets, and with 1.20, which speaks SPDY.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.support.cluster import TestCluster
from tests.support.kubectl import NEW, OLD, Kubectl

HTTP_SERVER = Path(__file__).parents[1] / "support" / "pod_server.py"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: NAME}}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: RESTART
  containers:
    - name: main
      image: clusterip.local/host
      stdin: STDIN
      tty: TTY
      command: [sh, -c, 'SCRIPT']
"""
LISTENS = """
      readinessProbe: {tcpSocket: {port: 8000}, periodSeconds: 1}
"""


@pytest.fixture(params=[NEW, OLD])
def kubectl(cluster: TestCluster, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:63].strip("-")
    config = tmp_path / "kubeconfig"
    text = cluster.paths.admin_kubeconfig.read_text()
    config.write_text(text)
    kubectl = Kubectl(config, tmp_path, request.param)
    kubectl("create", "namespace", name)
    kubectl("config", "set-context", "--current", f"--namespace={name}")
    eventually_accounts(kubectl)
    yield kubectl
    kubectl("delete", "namespace", name, "--wait=false")


def eventually_accounts(kubectl: Kubectl) -> None:
    """A Pod cannot be created before its namespace has a service account."""
    deadline = time.monotonic() + 10
    while kubectl.run("get", "serviceaccount", "default").returncode:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_pod(
    kubectl: Kubectl,
    name: str,
    script: str,
    *,
    stdin: bool = False,
    tty: bool = False,
    restart: str = "Never",
) -> None:
    """Start a Pod and wait until it is ready."""
    words = {"NAME": name, "SCRIPT": script.replace("'", "''"), "RESTART": restart}
    text = POD.rstrip() + (LISTENS if HTTP_SERVER.name in script else "\n")
    for word, value in {**words, "STDIN": str(stdin).lower(), "TTY": str(tty).lower()}.items():
        text = text.replace(word, value)
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=30s")


def test_exec_passes_streams_and_exit_codes(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", "sleep 1000")
    done = kubectl.run("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert done.stderr.startswith("err\n")
    assert "command terminated with exit code 3" in done.stderr
    done = kubectl.run("exec", "-i", "p", "--", "sh", "-c", "cat; echo seen the end", stdin="hello\n")
    assert (done.returncode, done.stdout) == (0, "hello\nseen the end\n")
    assert "executable file not found in $PATH" in kubectl.fails("exec", "p", "--", "no-such-thing")
    assert "container x is not valid for pod p" in kubectl.fails("exec", "p", "-c", "x", "--", "true")
    assert 'pods "none" not found' in kubectl.fails("exec", "none", "--", "true")


def test_exec_carries_much_data(kubectl: Kubectl, tmp_path: Path) -> None:
    run_pod(kubectl, "p", "sleep 1000")
    data = os.urandom(20 << 20)
    done = subprocess.run(
        [kubectl.path, "exec", "-i", "p", "--", "cat"],
        input=data,
        capture_output=True,
        env=kubectl.environment,
        timeout=60,
        check=True,
    )
    assert done.stdout == data


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], width: int, height: int) -> None:
        self._ours, theirs = pty.openpty()
        self._seen = b""
        self.resize(width, height)
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)

    def resize(self, width: int, height: int) -> None:
        ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if hasattr(self, "_process"):
            self._process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, text: str, seconds: float = 20) -> None:
        """Wait until the text appears after what was expected before."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self._seen:
            ready, _, _ = select.select([self._ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self._seen!r}"
            try:
                self._seen += os.read(self._ours, 4096)
            except OSError:
                raise AssertionError(f"ended without {text!r}: {self._seen!r}") from None
        self._seen = self._seen.partition(text.encode())[2]

    def end(self) -> int:
        """Its exit code."""
        with contextlib.suppress(OSError):
            while os.read(self._ours, 4096):
                pass
        os.close(self._ours)
        return self._process.wait(10)


def test_a_terminal_has_its_size_and_follows_it(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", "sleep 1000")
    command = [str(kubectl.path), "exec", "-it", "p", "--", "sh"]
    terminal = Terminal(command, kubectl.environment, 97, 31)
    terminal.type("trap 'stty size; echo resized' WINCH; echo re''ady\n")
    terminal.expect("ready")
    for width, height in ((97, 31), (120, 40)):
        terminal.resize(width, height)
        # The first size may arrive after the shell has started.
        terminal.type(
            f"until [ \"$(stty size)\" = '{height} {width}' ]; do sleep 0.05; done; echo o''k {width}\n"
        )
        terminal.expect(f"ok {width}")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


LISTENER = (
    "echo started; while read l; do echo got $l; [ $l = end ] && exit 4; done; echo no more; sleep 1000"
)


def test_attach_reaches_a_container_s_own_streams(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", LISTENER, stdin=True)
    attached = subprocess.Popen(
        [kubectl.path, "attach", "-i", "p"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=kubectl.environment,
        text=True,
    )
    assert attached.stdin
    assert attached.stdout
    for word in ("one", "end"):
        attached.stdin.write(f"{word}\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == f"got {word}\n"
    assert attached.wait(10) == 0
    attached.stdin.close()
    attached.stdout.close()
    path = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    kubectl("wait", "--for=condition=Ready=false", "pod/p", "--timeout=10s")
    assert kubectl("get", "pod", "p", "-o", path) == "4"


def test_attach_with_a_terminal(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", LISTENER, stdin=True, tty=True)
    terminal = Terminal([str(kubectl.path), "attach", "-it", "p"], kubectl.environment, 80, 24)
    terminal.type("\n")
    terminal.type("word\n")
    terminal.expect("got word")
    terminal.type("end\n")
    terminal.expect("got end")
    terminal.end()


def test_run_attached_and_removed(kubectl: Kubectl) -> None:
    options = ("--image=clusterip.local/host", "-i", "--rm", "--restart=Never")
    done = kubectl.run("run", "p", *options, "--", "sh", stdin="echo hi; exit 7\n")
    assert done.returncode == 7
    assert "hi\n" in done.stdout
    assert 'pods "p" not found' in kubectl.fails("get", "pod", "p")


def test_cp_both_ways(kubectl: Kubectl, tmp_path: Path) -> None:
    run_pod(kubectl, "p", "sleep 1000")
    there, back = tmp_path / "there", tmp_path / "back"
    (there / "below").mkdir(parents=True)
    (there / "below" / "data").write_bytes(os.urandom(3 << 20))
    (there / "text").write_text("hello\n")
    remote = f"p:/tmp/{tmp_path.name}-{kubectl.version}"
    kubectl("cp", str(there), remote)
    kubectl("cp", remote, str(back))
    kubectl("exec", "p", "--", "rm", "-r", remote.partition(":")[2])
    assert (back / "text").read_text() == "hello\n"
    assert (back / "below" / "data").read_bytes() == (there / "below" / "data").read_bytes()


@contextlib.contextmanager
def background(kubectl: Kubectl, *arguments: str, until: str) -> Iterator[re.Match[str]]:
    """kubectl at work; what it says once it is ready."""
    process = subprocess.Popen(
        [kubectl.path, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=kubectl.environment,
        text=True,
    )
    assert process.stdout
    try:
        said = ""
        while not (match := re.search(until, said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield match
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_port_forward_under_load(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", f"exec python3 {HTTP_SERVER} 8000")
    with background(kubectl, "port-forward", "pod/p", ":8000", until=r"127\.0\.0\.1:(\d+)") as match:
        url = f"http://127.0.0.1:{match[1]}/"

        def post(size: int) -> bool:
            body = os.urandom(size)
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
                return bool(answer.read() == body)

        with ThreadPoolExecutor(20) as pool:
            assert all(pool.map(post, [100_000] * 100))
        assert post(20 << 20)


def test_port_forward_to_a_service_and_to_nothing(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", f"exec python3 {HTTP_SERVER} 8000")
    kubectl("expose", "pod", "p", "--port=80", "--target-port=8000")
    with (
        background(kubectl, "port-forward", "service/p", ":80", until=r"127\.0\.0\.1:(\d+)") as match,
        urllib.request.urlopen(f"http://127.0.0.1:{match[1]}/path", timeout=20) as answer,
    ):
        assert b"/path" in answer.read()
    with background(kubectl, "port-forward", "pod/p", ":9", until=r"127\.0\.0\.1:(\d+)") as match:  # noqa: SIM117
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(f"http://127.0.0.1:{match[1]}/", timeout=20)


def test_proxy_serves_the_api_and_pods_without_credentials(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", f"exec python3 {HTTP_SERVER} 8000")
    namespace = kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip()
    with background(kubectl, "proxy", "--port=0", until=r"127\.0\.0\.1:(\d+)") as match:
        base = f"http://127.0.0.1:{match[1]}/api/v1/namespaces/{namespace}/pods"
        with urllib.request.urlopen(f"{base}/p:8000/proxy/below", timeout=20) as answer:
            assert (
                answer.read().decode()
                == f'<a href="/api/v1/namespaces/{namespace}/pods/p:8000/proxy/x">/below</a>'
            )
        with urllib.request.urlopen(f"{base}?limit=1", timeout=20) as answer:
            assert b'"PodList"' in answer.read()


def test_raw_requests_reach_services_and_nodes(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", f"exec python3 {HTTP_SERVER} 8000")
    kubectl("expose", "pod", "p", "--port=80", "--target-port=8000")
    namespace = kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip()
    base = f"/api/v1/namespaces/{namespace}/services/http:p:80/proxy"
    deadline = time.monotonic() + 20
    while (done := kubectl.run("get", "--raw", f"{base}/below?q=1")).returncode:
        assert "no endpoints available" in done.stderr or "not found" in done.stderr, done.stderr
        assert time.monotonic() < deadline
    assert done.stdout.strip() == f'<a href="{base}/x">/below?q=1</a>'
    node = kubectl("get", "pod", "p", "-o", "jsonpath={.spec.nodeName}")
    assert kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz") == "ok"
    pods = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{node}:10250/proxy/pods"))
    assert "p" in [each["metadata"]["name"] for each in pods["items"]]
    assert "<pre>" in kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/logs/")
    assert "no endpoints available" in kubectl.fails("get", "--raw", f"{base.replace(':80', ':none')}/")


def test_logs(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", "for i in 1 2 3; do echo line $i; done; echo problem >&2; sleep 1000")
    everything = "line 1\nline 2\nline 3\nproblem\n"
    deadline = time.monotonic() + 10
    while (seen := kubectl("logs", "p")) != everything:
        assert time.monotonic() < deadline, seen
    assert kubectl("logs", "p", "--tail=1") == "problem\n"
    assert kubectl("logs", "p", "--limit-bytes=4") == "line"
    assert kubectl("logs", "p", "--since=1h") == everything
    assert kubectl("logs", "p", "--since-time=2100-01-01T00:00:00Z") == ""
    stamped = kubectl("logs", "p", "--timestamps").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \w", line) for line in stamped)
    assert "line 1" in kubectl("logs", "-l", "app=p", "--prefix")
    assert 'previous terminated container "main" in pod "p" not found' in kubectl.fails("logs", "p", "-p")


def test_logs_follow_to_the_end_and_remember_the_last_run(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", "echo begun; read word; echo heard $word; exit 1", stdin=True, restart="OnFailure")
    following = subprocess.Popen(
        [kubectl.path, "logs", "-f", "p"], stdout=subprocess.PIPE, env=kubectl.environment, text=True
    )
    assert following.stdout
    assert following.stdout.readline() == "begun\n"
    kubectl.run("attach", "-i", "p", stdin="it\n")
    assert following.stdout.read() == "heard it\n"
    assert following.wait(10) == 0
    following.stdout.close()
    count = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"
    new = Kubectl(Path(kubectl.environment["KUBECONFIG"]), Path(kubectl.environment["HOME"]))
    new("wait", count, "pod/p", "--timeout=30s")
    assert kubectl("logs", "p", "--previous") == "begun\nheard it\n"


def test_a_rollout_from_beginning_to_end(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", "--image=clusterip.local/echo", "--replicas=2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    kubectl("set", "image", "deploy/d", "echo=clusterip.local/echo:2")
    kubectl("annotate", "deploy/d", "kubernetes.io/change-cause=second")
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    history = kubectl("rollout", "history", "deploy/d").split()
    assert history == "deployment.apps/d REVISION CHANGE-CAUSE 1 <none> 2 second".split()  # noqa: SIM905
    assert "clusterip.local/echo:2" in kubectl("rollout", "history", "deploy/d", "--revision=2")
    kubectl("rollout", "pause", "deploy/d")
    assert "already paused" in kubectl.fails("rollout", "pause", "deploy/d")
    kubectl("rollout", "resume", "deploy/d")
    assert kubectl("rollout", "undo", "deploy/d") == "deployment.apps/d rolled back\n"
    assert kubectl("rollout", "restart", "deploy/d") == "deployment.apps/d restarted\n"
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl("get", "deploy", "d", "-o", image) == "clusterip.local/echo"
    kubectl("scale", "deploy/d", "--replicas=1")
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    described = kubectl("describe", "deploy", "d")
    assert re.search(r"^NewReplicaSet: +d-\w+ \(1/1 replicas created\)$", described, re.MULTILINE)
    assert "ScalingReplicaSet" in described


def test_get_watches(kubectl: Kubectl) -> None:
    run_pod(kubectl, "first", "sleep 1000")
    watching = subprocess.Popen(
        [kubectl.path, "get", "pods", "-w", "--no-headers"],
        stdout=subprocess.PIPE,
        env=kubectl.environment,
        text=True,
    )
    assert watching.stdout
    try:
        assert watching.stdout.readline().split()[:3] == ["first", "1/1", "Running"]
        kubectl("run", "p", "--image=clusterip.local/host", "--restart=Never", "--command", "--", "true")
        seen = []
        for line in watching.stdout:
            name, _, status, *_ = line.split()
            if name == "p":
                seen.append(status)
            if status == "Completed":
                break
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()
    assert seen[0] == "Pending"


def test_drain_and_its_company(kubectl: Kubectl) -> None:
    deployment = kubectl(
        *("create", "deployment", "d", "--image=clusterip.local/echo", "--replicas=2"),
        *("--dry-run=client", "-o", "json"),
    )
    body = json.loads(deployment)
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    kubectl("apply", "-f", "-", stdin=json.dumps(body))
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    kubectl("taint", "node", "node-2", "a=b:NoSchedule")
    assert "a=b:NoSchedule" in kubectl("describe", "node", "node-2")
    kubectl("taint", "node", "node-2", "a-")
    try:
        drained = kubectl("drain", "node-2", "--ignore-daemonsets", "--pod-selector=app=d", "--timeout=60s")
        assert drained.startswith("node/node-2 ")
        assert "SchedulingDisabled" in kubectl("get", "node", "node-2")
        nodes = kubectl(
            "get", "pods", "-o", "jsonpath={.items[?(@.metadata.deletionTimestamp=='')].spec.nodeName}"
        )
        assert "node-2" not in nodes
    finally:
        kubectl("uncordon", "node-2")
    assert "SchedulingDisabled" not in kubectl("get", "node", "node-2")


def test_events_and_descriptions_tell_what_happened(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", "sleep 1000")
    events = kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        assert reason in events
    described = kubectl("describe", "pod", "p")
    assert re.search(r"Normal +Scheduled .* Successfully assigned \S+/p to node-\d", described)
    assert re.search(r"^ +Ready +True", described, re.MULTILINE)
    if kubectl.version == NEW:
        assert "Started" in kubectl("events", "--for", "pod/p")


def test_without_metrics_top_says_so(kubectl: Kubectl) -> None:
    assert kubectl.fails("top", "pods") == "error: Metrics API not available\n"
    assert kubectl.fails("top", "nodes") == "error: Metrics API not available\n"


def test_every_kind_can_be_described(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", "--image=clusterip.local/echo")
    kubectl("expose", "deployment", "d", "--port=80")
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    for kind in ("deploy", "rs", "pods", "svc", "endpoints", "endpointslices", "sa", "cm"):
        if kubectl.version == OLD and kind == "endpointslices":
            continue  # it knows only their beta version, which is gone
        assert re.search("^Name: ", kubectl("describe", kind), re.MULTILINE), kind
    for kind in ("nodes", "ns"):
        assert re.search("^Name: ", kubectl("describe", kind), re.MULTILINE), kind
