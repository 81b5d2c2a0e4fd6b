"""A bounded run of the fuzzer for each thing that reads what strangers send (``fuzz_dns.py``)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import dns.message
import pytest

HERE = Path(__file__).parent
RUNS = 10_000
NAME = "web.ns.svc.cluster.local"
SEEDS: dict[str, list[bytes]] = {
    "query": [
        dns.message.make_query(NAME, "A").to_wire(),
        dns.message.make_query(NAME, "SRV", use_edns=0, payload=512, want_dnssec=True).to_wire(),
        dns.message.make_query("version.bind", "TXT", "CH").to_wire(),
        b"\0\1\1\0\0\0\0\0\0\0\0\1\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh",
    ],
    "response": [
        b"\0\1\x81\x80\0\1\0\2\0\0\0\0\1a\0\0\1\0\1\xc0\x0c\0\5\0\1\0\0\0\5\0\4\1b\xc0\x0c"
        b"\xc0\x1e\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1",
    ],
    "corefile": [
        b".:53 {\n kubernetes c.local {\n pods verified\n }\n forward . 10.0.0.1 {\n except a\n }\n}\n",
        b"(s) {\n rewrite name regex (.*) {1}.b answer auto\n}\n. {\n template IN A {\n answer a\n}\n}",
    ],
    "template": [b"{{ range $i, $m := .Match }}{{ if eq $m `a` }}{{ printf `%d` $i }}{{ end }}{{ end }}"],
    "record": [b"a.test. 60 IN SOA ns.a. h.a. (1 60 1h 60 60)", b'a. TXT "a b" \\# 2 abcd'],
}  # fmt: skip


@pytest.mark.parametrize("target", SEEDS)
def test_fuzzed(target: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris has no wheel for this Python or machine")
    for number, seed in enumerate(SEEDS[target]):
        (tmp_path / str(number)).write_bytes(seed)
    command = [sys.executable, str(HERE / "fuzz_dns.py"), target, str(tmp_path)]
    command += [f"-runs={RUNS}", "-max_len=700", "-max_total_time=8", "-timeout=10", "-seed=1"]
    command += [f"-artifact_prefix={tmp_path}/found-"]
    root = str(HERE.parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr, done.stderr[-2000:]
