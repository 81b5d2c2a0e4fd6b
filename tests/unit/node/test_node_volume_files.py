"""Files of volumes that change all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterip.node.files import UnsafePath, follow_beneath, resolve_beneath
from clusterip.node.pods.volume_files import VolumeFile, write


def test_files_are_links_into_one_directory_that_is_replaced(tmp_path: Path) -> None:
    assert write(tmp_path, {"a": VolumeFile(b"1", 0o400), "sub/b": VolumeFile(b"2")})
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "sub" / "b").read_bytes() == b"2"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o400
    before = (tmp_path / "..data").readlink()
    assert not write(tmp_path, {"a": VolumeFile(b"1", 0o400), "sub/b": VolumeFile(b"2")})
    assert (tmp_path / "..data").readlink() == before
    assert write(tmp_path, {"a": VolumeFile(b"3")})
    assert sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.startswith("..")) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"3"
    assert len([entry for entry in tmp_path.iterdir() if entry.name.startswith("..2")]) == 1


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..data", ""])
def test_no_file_leaves_its_volume(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafePath):
        write(tmp_path, {name: VolumeFile(b"")})


def test_links_are_followed_within_the_root_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "abs").symlink_to("/usr")
    (root / "out").symlink_to("../../../etc")
    (root / "loop").symlink_to("loop")
    assert resolve_beneath(root, "bin/tool") == root / "usr/bin/tool"
    assert resolve_beneath(root, "abs/x") == root / "usr/x"
    assert resolve_beneath(root, "out/passwd") == root / "etc/passwd"
    assert resolve_beneath(root, "bin") == root / "bin"  # the last one stays
    assert follow_beneath(root, "bin") == root / "usr/bin"
    assert follow_beneath(root, "bin/../../..") == root
    with pytest.raises(UnsafePath, match="too many symbolic links"):
        resolve_beneath(root, "loop/x")
    with pytest.raises(UnsafePath, match=r'contains "\.\."'):
        resolve_beneath(root, "../x")
