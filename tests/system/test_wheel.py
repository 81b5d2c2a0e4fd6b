"""What is installed from a wheel: everything, wherever and whenever it was built."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _build(source: Path, kind: str, target: Path) -> Path:
    """Build a ``wheel`` or an ``sdist`` as pip does, but with what is installed here."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


def _belongs(path: Path) -> bool:
    return "__pycache__" not in path.parts and not path.name.startswith(".") and path.suffix != ".pyc"


def test_the_wheel_has_everything(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    kept = [path for path in (ROOT / "clusterip").rglob("*") if path.is_file() and _belongs(path)]
    expected = {str(path.relative_to(ROOT)) for path in kept}
    expected |= {f"{name.removesuffix('.c')}.o" for name in expected if name.endswith(".bpf.c")}
    assert not expected - found
    assert "clusterip/examples/my-service.yaml" in found
    assert any(name.endswith(".data/data/share/man/man1/clusterip.1") for name in found)
    assert not [name for name in found if "__pycache__" in name or name.startswith("tests")]


def test_the_same_source_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """From another directory, by way of an sdist, at another time."""
    sdist = _build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    for path in source.rglob("*"):
        os.utime(path, (0, 0))
    assert _build(source, "wheel", tmp_path / "again").read_bytes() == wheel.read_bytes()


def test_an_installed_wheel_brings_a_cluster_up(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, but with the dependencies that are here, and away from the source."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin/python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install"),
            *("--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)),
        ],
        check=True,
    )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (environment / "lib" / version / "site-packages/dependencies.pth").write_text(
        sysconfig.get_path("purelib")
    )
    variables = {**os.environ, "CLUSTERIP_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    variables.pop("PYTHONPATH", None)

    def clusterip(*arguments: str) -> str:
        done = subprocess.run(
            [str(environment / "bin/clusterip"), *arguments],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert clusterip("version").startswith("clusterip ")
    module = subprocess.run(
        [python, "-c", "import clusterip; print(clusterip.__file__)"],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert module.startswith(str(environment))
    try:
        printed = clusterip("up", "--isolated", "--nodes=1")
        example = next(line.split()[-1] for line in printed.splitlines() if "apply -f" in line)
        assert "created" in clusterip(
            "enter", "--", str(environment / "bin/clusterip"), "apply", "-f", example
        )
    finally:
        clusterip("down")
    assert not (tmp_path / "state").exists()
