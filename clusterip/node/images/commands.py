"""What ``clusterip image`` does, apart from its command line."""

from __future__ import annotations

from pathlib import Path

from clusterip.node.images.archive import import_archive
from clusterip.node.images.login import Login
from clusterip.node.images.reference import parse
from clusterip.node.images.store import ImageStore


def import_images(directory: Path, files: list[Path], name: str) -> list[str]:
    """Import archives or layouts into the store at ``directory``; the names of their images.

    Raises what ``import_archive`` raises.
    """
    store = ImageStore(directory)
    return [str(reference) for file in files for reference in import_archive(store, file, name=name)]


async def pull_image(directory: Path, name: str, username: str = "", password: str = "") -> str:
    """Pull an image into the store; its full name. Raises InvalidReference, PullError."""
    from clusterip.node.images.registry import pull

    reference = parse(name)
    await pull(ImageStore(directory), reference, Login(username, password) if username else None)
    return str(reference)


def table(directory: Path) -> str:
    """The store's images as text columns."""
    rows = [("IMAGE", "ID", "SIZE")]
    for image in ImageStore(directory).list():
        shown = image.id.removeprefix("sha256:")[:12] or "<built-in>"
        rows.append((image.name, shown, _size(image.size)))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return "\n".join(f"{a:<{widths[0]}}   {b:<{widths[1]}}   {c}" for a, b, c in rows)


def listed(directory: Path) -> list[dict[str, str | int]]:
    """The store's images: ``name``, ``id`` (empty for those that are built in), ``size`` in bytes."""
    return [{"name": each.name, "id": each.id, "size": each.size} for each in ImageStore(directory).list()]


def _size(size: int) -> str:
    if size == 0:
        return "-"
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g}{unit}"
        amount /= 1000
    return f"{amount:.3g}GB"
