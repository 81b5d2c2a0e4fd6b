"""``clusterip image``: import, pull, list, alias and remove container images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

T = TypeVar("T")


def _default_directory() -> str:
    base = os.environ.get("CLUSTERIP_STATE_DIR")
    return f"{base}/lib/images" if base else "/var/lib/clusterip/images"


_directory = click.option(
    "--image-dir",
    "directory",
    type=click.Path(path_type=Path),
    default=_default_directory,
    metavar="DIR",
    help="The image store. Default: that of the cluster `clusterip up` starts.",
)


@click.group("image")
def command() -> None:
    """Import, pull, list, alias and remove container images."""


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE|DIR...")
@click.option("--name", default="", help="The image's name, if the archive gives none or another one.")
@_directory
def import_(files: tuple[Path, ...], name: str, directory: Path) -> None:
    """Import OCI image layouts, OCI archives or archives of `docker save`."""
    from clusterip.node.images import commands

    for found in _explained(lambda: commands.import_images(directory, list(files), name)):
        click.echo(f"imported {found}")


@command.command("pull")
@click.argument("name")
@click.option("--username", default="")
@click.option("--password", default="", envvar="CLUSTERIP_REGISTRY_PASSWORD", show_envvar=True)
@_directory
def pull(name: str, username: str, password: str, directory: Path) -> None:
    """Pull an image from its registry."""
    import asyncio

    from clusterip.node.images import commands

    found = _explained(lambda: asyncio.run(commands.pull_image(directory, name, username, password)))
    click.echo(f"pulled {found}")


@command.command("list")
@_directory
def list_(directory: Path) -> None:
    """List the images."""
    from clusterip.node.images import commands

    click.echo(commands.table(directory))


@command.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_directory
def remove(names: tuple[str, ...], directory: Path) -> None:
    """Remove images. Containers that run go on."""
    from clusterip.node.images.store import ImageStore

    store = ImageStore(directory)
    for name in names:
        _explained(lambda name=name: store.remove(name))  # type: ignore[misc]
        click.echo(f"removed {name}")


@command.command("alias")
@click.argument("definitions", nargs=-1, metavar="[NAME=TARGET]...")
@_directory
def alias(definitions: tuple[str, ...], directory: Path) -> None:
    """Let names stand for images that are here, or list those that do.

    registry.k8s.io/pause:3.10=local/pause:1 is for one image, registry.k8s.io/=local/ for all whose names
    begin so. An empty target removes the alias.
    """
    from clusterip.node.images.aliases import Aliases

    aliases = Aliases(directory)
    for definition in definitions:
        name, target = _explained(lambda definition=definition: aliases.set(definition))  # type: ignore[misc]
        click.echo(f"{name} stands for {target}" if target else f"{name} stands for itself")
    if not definitions:
        for name, target in sorted(aliases.all().items()):
            click.echo(f"{name}={target}")


def _explained(action: Callable[[], T]) -> T:
    """Run ``action``; what is wrong with an image is told in one line, without a traceback."""
    from clusterip.node.files import UnsafePath
    from clusterip.node.images.archive import BadArchive
    from clusterip.node.images.blobs import DigestMismatch
    from clusterip.node.images.errors import PullError
    from clusterip.node.images.manifest import Unsupported
    from clusterip.node.images.reference import InvalidReference
    from clusterip.node.images.store import ImageNotFound

    known = (BadArchive, DigestMismatch, ImageNotFound, InvalidReference, UnsafePath, Unsupported)
    try:
        return action()
    except (*known, PullError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


if __name__ == "__main__":
    command()
