"""kubectl's streams: logs, exec, attach, cp and port-forward.

Each test runs with kubectl 1.37, which speaks WebSockets, and with 1.20, which speaks SPDY.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl
from tests.support.kubectl_pods import HTTP_SERVER, Terminal, background, run_pod


@pytest.fixture
def kubectl(any_kubectl_with_pods: Kubectl) -> Kubectl:
    return any_kubectl_with_pods


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
