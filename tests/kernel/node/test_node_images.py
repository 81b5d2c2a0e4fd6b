"""Images: archives of every kind, hostile ones, registries, layers on overlayfs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.files import UnsafePath
from clusterip.node.images.archive import BadArchive, import_archive
from clusterip.node.images.blobs import DigestMismatch
from clusterip.node.images.errors import PullError
from clusterip.node.images.reference import InvalidReference, parse
from clusterip.node.images.registry import Login, pull
from clusterip.node.images.store import ImageNotFound, ImageStore
from clusterip.node.runtime import users
from tests.support.images import layer, member, pack, skopeo, write_layout
from tests.support.nodes import eventually


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    layers = [layer(("etc/motd", b"one"), ("gone", b"")), layer(("etc/motd", b"two"), (".wh.gone", b""))]
    config = {"Entrypoint": ["/app"], "Env": ["A=1"], "WorkingDir": "/w", "User": "1000"}
    return write_layout(tmp_path / "layout", "example.com/app:v1", layers, config)


@pytest.mark.parametrize("form", ["directory", "oci.tar", "oci.tar.gz", "docker.tar"])
def test_import(store: ImageStore, layout: Path, tmp_path: Path, form: str) -> None:
    source = layout
    if form.startswith("oci"):
        source = pack(layout, tmp_path / form)
    elif form == "docker.tar":
        source = tmp_path / form
        skopeo("copy", f"oci:{layout}", f"docker-archive:{source}:example.com/app:v1")
    assert [str(name) for name in import_archive(store, source)] == ["example.com/app:v1"]
    image = store.find("example.com/app:v1")
    assert image.process.Entrypoint == ["/app"]
    assert image.layers
    assert [(path / "etc/motd").read_bytes() for path in image.layers] == [b"one", b"two"]
    assert image.image_id == f"example.com/app@{image.digest}"
    assert [row.name for row in store.list()][2:] == ["example.com/app:v1"]


def test_layers_become_what_overlayfs_wants(store: ImageStore, tmp_path: Path) -> None:
    lower = layer(("dir/old", b""), ("kept", b"k"), ("gone", b""))
    upper = layer(
        ("dir/.wh..wh..opq", b""),
        ("dir/new", b""),
        (".wh.gone", b""),
        member("link", tarfile.SYMTYPE, "/kept"),
        ("file", b"f"),
        member("hard", tarfile.LNKTYPE, "file"),
    )
    import_archive(store, write_layout(tmp_path / "l", "a.b/c:1", [lower, upper]))
    layers = store.find("a.b/c:1").layers
    assert layers
    gone = layers[1] / "gone"
    assert stat.S_ISCHR(gone.lstat().st_mode)
    assert gone.lstat().st_rdev == 0
    assert os.getxattr(layers[1] / "dir", "trusted.overlay.opaque") == b"y"
    assert (layers[1] / "hard").samefile(layers[1] / "file")
    assert (layers[1] / "link").readlink() == Path("/kept")


@pytest.mark.parametrize(
    "bad",
    [
        layer(("../escape", b"")),
        layer(("a/../../escape", b"")),
        layer(member("hard", tarfile.LNKTYPE, "../../etc/passwd")),
    ],
)
def test_no_layer_leads_out_of_its_directory(store: ImageStore, tmp_path: Path, bad: bytes) -> None:
    source = write_layout(tmp_path / "l", "a.b/c:1", [bad])
    with pytest.raises(UnsafePath):
        import_archive(store, source)


def test_links_in_a_layer_are_followed_inside_only(store: ImageStore, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    hostile = layer(member("out", tarfile.SYMTYPE, str(victim)), ("out/file", b"x"))
    import_archive(store, write_layout(tmp_path / "l", "a.b/c:1", [hostile]))
    assert list(victim.iterdir()) == []


def test_damage_is_noticed(store: ImageStore, layout: Path) -> None:
    for blob in (layout / "blobs" / "sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            blob.write_bytes(blob.read_bytes()[:-1] + b"\xff")
    with pytest.raises(DigestMismatch, match="the source is damaged"):
        import_archive(store, layout)


def test_a_layer_that_is_not_the_one_promised(store: ImageStore, tmp_path: Path) -> None:
    source = write_layout(tmp_path / "l", "a.b/c:1", [layer(("a", b""))])
    index = json.loads((source / "index.json").read_text())
    blobs = source / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    other = write_layout(tmp_path / "m", "a.b/d:1", [layer(("a", b""))])
    (other / "config.json").write_text(json.dumps(config))
    store.blobs.put(json.dumps(config).encode())
    manifest["config"]["digest"] = store.blobs.put(json.dumps(config).encode())
    store.blobs.directory.mkdir(exist_ok=True)
    shutil.copytree(blobs, store.blobs.directory, dirs_exist_ok=True)
    store.tag(parse("a.b/c:1"), store.blobs.put(json.dumps(manifest).encode()))
    with pytest.raises(DigestMismatch, match="where sha256:0000"):
        store.find("a.b/c:1")


def test_files_that_are_no_images(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(BadArchive, match="not a readable tar archive"):
        import_archive(store, tmp_path / "text")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadArchive, match="neither an OCI image layout nor an archive of docker save"):
        import_archive(store, empty)
    with pytest.raises(InvalidReference, match="has no name"):
        import_archive(store, write_layout(tmp_path / "l", "", [layer(("a", b""))]))
    assert str(import_archive(store, tmp_path / "l", name="given")[0]) == "docker.io/library/given:latest"


def test_removal_keeps_what_others_share(store: ImageStore, tmp_path: Path) -> None:
    shared = layer(("shared", b"s"))
    import_archive(store, write_layout(tmp_path / "l", "a.b/one:1", [shared, layer(("one", b""))]))
    import_archive(store, write_layout(tmp_path / "m", "a.b/two:1", [shared]))
    store.remove("a.b/one:1")
    with pytest.raises(ImageNotFound, match="clusterip image import"):
        store.find("a.b/one:1")
    layers = store.find("a.b/two:1").layers
    assert layers
    assert (layers[0] / "shared").exists()
    assert len(list((store.directory / "layers").iterdir())) == 1
    with pytest.raises(ImageNotFound):
        store.remove("a.b/one:1")


def test_users_of_an_image(store: ImageStore, tmp_path: Path) -> None:
    files = layer(
        ("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:7:8::/home/app:/bin/sh\n"),
        ("etc/group", b"root:x:0:\nstaff:x:8:\nextra:x:9:app,other\n"),
    )
    import_archive(store, write_layout(tmp_path / "l", "a.b/c:1", [files]))
    image = store.find("a.b/c:1")

    def resolved(text: str) -> tuple[int, int, tuple[int, ...]]:
        user = users.resolve(image, text)
        return user.uid, user.gid, user.groups

    assert resolved("") == (0, 0, ())
    assert resolved("app") == (7, 8, (9,))
    assert resolved("7") == (7, 8, (9,))
    assert resolved("app:extra") == (7, 9, ())
    assert resolved("1000:1001") == (1000, 1001, ())
    assert users.home(image, 7) == "/home/app"
    with pytest.raises(users.UnknownUser, match='unable to find user "nobody"'):
        resolved("nobody")


@pytest.fixture
def network() -> Iterator[Path]:
    """A network of our own, so that the registry's port is free."""
    name = f"ct-images-{os.getpid()}"
    path = namespaces.create_named(name)
    with RouteSocket(path) as route:
        route.set_link("lo", up=True)
    with namespaces.enter(path):
        yield path
    namespaces.delete_named(name)


def start_registry(directory: Path, port: int, auth: str = "") -> subprocess.Popen[bytes]:
    directory.mkdir()
    (directory / "config.yml").write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n{auth}"
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", str(directory / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(listens)
    return process


def test_what_was_cut_off_goes_once_nobody_adds_anything(store: ImageStore, layout: Path) -> None:
    import_archive(store, layout)
    remains = [store.blobs.directory / ".new-blob", store.layers.directory / ".new-layer"]
    remains[0].write_bytes(b"half a layer")
    (remains[1] / "etc").mkdir(parents=True)
    with store.adding(), pytest.raises(BlockingIOError):
        store.remove_remains()
    assert all(path.exists() for path in remains)
    store.remove_remains()
    assert not any(path.exists() for path in remains)
    assert store.find("example.com/app:v1").layers


@pytest.mark.skipif(not shutil.which("docker-registry"), reason="docker-registry is not installed")
async def test_pull_from_a_registry(store: ImageStore, layout: Path, tmp_path: Path, network: Path) -> None:
    registry = start_registry(tmp_path / "registry", 5000)
    try:
        skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}", "docker://127.0.0.1:5000/team/app:v1")
        reference = parse("127.0.0.1:5000/team/app:v1")
        digest = await pull(store, reference)
        assert store.find(str(reference)).digest == digest
        by_digest = parse(f"127.0.0.1:5000/team/app@{digest}")
        assert await pull(store, by_digest) == digest
        assert {image.name for image in store.pulled.all()} == {str(reference), str(by_digest)}
        with pytest.raises(PullError, match="not found"):
            await pull(store, parse("127.0.0.1:5000/team/app:v2"))
    finally:
        registry.terminate()
        registry.wait()
    with pytest.raises(PullError, match="failed to pull image"):
        await pull(store, reference)


def bcrypt(password: str) -> str:
    """What htpasswd files hold, by way of perl's crypt."""
    code = f"print crypt('{password}', '$2y$05$abcdefghijklmnopqrstuu')"
    return subprocess.run(["perl", "-e", code], capture_output=True, check=True, text=True).stdout


@pytest.mark.skipif(not shutil.which("docker-registry"), reason="docker-registry is not installed")
async def test_pull_with_a_password(store: ImageStore, layout: Path, tmp_path: Path, network: Path) -> None:
    (tmp_path / "htpasswd").write_text(f"bob:{bcrypt('secret')}")
    auth = f"auth: {{htpasswd: {{realm: test, path: {tmp_path}/htpasswd}}}}\n"
    registry = start_registry(tmp_path / "registry", 5001, auth)
    try:
        with pytest.raises(PullError, match="pull access denied"):
            await pull(store, parse("127.0.0.1:5001/team/app:v1"))
        with pytest.raises(PullError, match="pull access denied"):
            await pull(store, parse("127.0.0.1:5001/team/app:v1"), Login("bob", "wrong"))
        target = "docker://127.0.0.1:5001/team/app:v1"
        skopeo("copy", "--dest-tls-verify=false", "--dest-creds=bob:secret", f"oci:{layout}", target)
        await pull(store, parse("127.0.0.1:5001/team/app:v1"), Login("bob", "secret"))
        assert store.has("127.0.0.1:5001/team/app:v1")
    finally:
        registry.terminate()
        registry.wait()
