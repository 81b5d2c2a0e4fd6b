"""``clusterip image``: import, pull, list, alias and remove container images."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clusterip.cli.printing import print_json
from clusterip.cli.waiting import saying

if TYPE_CHECKING:
    from clusterip.cluster.paths import Paths

T = TypeVar("T")


def _paths() -> Paths:
    from clusterip.cluster.paths import Paths

    return Paths.of(os.environ.get("CLUSTERIP_NAME", "clusterip"))


def _default_directory() -> str:
    return str(_paths().images)


_directory = click.option(
    "--image-dir",
    "directory",
    type=click.Path(path_type=Path),
    default=_default_directory,
    metavar="DIR",
    help="The image store. Default: that of the cluster `clusterip up` starts.",
)


def _with_users(command: Callable[..., None]) -> Callable[..., None]:
    """Run a command where the files of images can belong to whom they say, also without root."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        from clusterip.cluster import places
        from clusterip.cluster.errors import ClusterError

        def work() -> None:
            try:
                command(**arguments)
            except click.ClickException as error:
                error.show()
                sys.exit(error.exit_code)

        try:
            sys.exit(places.with_users(_paths(), work))
        except ClusterError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


@click.group("image")
def command() -> None:
    """Import, pull, list, alias and remove container images.

    \b
    Examples:
      clusterip image import my-app.tar
      clusterip image list
    """


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE|DIR...")
@click.option("--name", default="", help="The image's name, if the archive gives none or another one.")
@_directory
@_with_users
def import_(files: tuple[Path, ...], name: str, directory: Path) -> None:
    """Import OCI image layouts, OCI archives or archives of `docker save`.

    \b
    Examples:
      clusterip image import my-app.tar
      docker save my-app:1 -o my-app.tar && clusterip image import my-app.tar
    """
    from clusterip.node.images import commands

    with saying(f"importing {', '.join(map(str, files))}"):
        imported = _explained(lambda: commands.import_images(directory, list(files), name))
    for found in imported:
        click.echo(f"imported {found}")


@command.command("pull")
@click.argument("name")
@click.option("--username", default="")
@click.option("--password", default="", envvar="CLUSTERIP_REGISTRY_PASSWORD", show_envvar=True)
@_directory
@_with_users
def pull(name: str, username: str, password: str, directory: Path) -> None:
    """Pull an image from its registry.

    \b
    Example:
      clusterip image pull registry.example.org/my-app:1
    """
    import asyncio

    from clusterip.node.images import commands

    with saying(f"pulling {name}"):
        found = _explained(lambda: asyncio.run(commands.pull_image(directory, name, username, password)))
    click.echo(f"pulled {found}")


@command.command("list")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it."
)
@_directory
def list_(output: str, directory: Path) -> None:
    """List the images.

    \b
    Examples:
      clusterip image list
      clusterip image list -o json
    """
    from clusterip.node.images import commands

    if output == "json":
        print_json(commands.listed(directory))
    else:
        click.echo(commands.table(directory))


@command.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_directory
@_with_users
def remove(names: tuple[str, ...], directory: Path) -> None:
    """Remove images. Containers that run go on.

    \b
    Example:
      clusterip image rm my-app:1
    """
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

    \b
    Examples:
      clusterip image alias registry.k8s.io/=local/
      clusterip image alias
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
