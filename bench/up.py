"""How long `clusterip up` takes on a machine that has the packages, and what the cluster weighs.

    .venv/bin/python bench/up.py [--runs 5]

Each run brings up a cluster of three nodes under a name and a directory of its own, as root, until the
command says that it is ready; measures the proportional set size (shared pages counted once) of all its
processes; applies the example and waits for the Service's first answer; and takes the cluster down.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLUSTERIP = Path(sys.executable).parent / "clusterip"
RANGES = [
    "--subnet=172.30.249.0/24",
    "--cluster-cidr=10.249.0.0/16",
    "--service-cluster-ip-range=10.251.0.0/16",
]


def clusterip(*arguments: str) -> str:
    done = subprocess.run([CLUSTERIP, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def first_answer(kubeconfig: str) -> float:
    """Seconds from applying the example to the first answer through its ClusterIP."""
    start = time.perf_counter()
    clusterip("apply", f"--kubeconfig={kubeconfig}", "-f", str(ROOT / "examples/my-service.yaml"))
    service = json.loads(clusterip("get", f"--kubeconfig={kubeconfig}", "svc", "my-service", "-o", "json"))
    url = f"http://{service['spec']['clusterIP']}/"
    while time.perf_counter() - start < 30:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                answer.read()
            return time.perf_counter() - start
        except OSError:
            continue  # refused until the first endpoint is ready: asking again is the measurement
    raise SystemExit("the example did not answer within 30 s")


def once(directory: str) -> tuple[float, float, float]:
    where = ["--name=bench", f"--state-dir={directory}"]
    start = time.perf_counter()
    try:
        clusterip("up", *where, *RANGES)
        ready = time.perf_counter() - start
        status = json.loads(clusterip("status", *where, "-o", "json"))
        memory = sum(part["memory"] for part in status["parts"]) / 1e6
        return ready, memory, first_answer(status["kubeconfig"])
    finally:
        clusterip("down", *where)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    results = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as directory:
            results.append(once(directory))
    for name, unit, values in zip(
        ("ready", "memory in all", "apply to first answer"),
        ("s", "MB", "s"),
        zip(*results, strict=True),
        strict=True,
    ):
        print(f"{name}: median {statistics.median(values):.2f} {unit}, worst {max(values):.2f} {unit}")


if __name__ == "__main__":
    main()
