"""Where a server or an agent keeps its files: all below one directory."""

from __future__ import annotations

from pathlib import Path

from clusterip.cluster.paths import Paths

SERVER_DIRECTORY = "/var/lib/clusterip-server"
AGENT_DIRECTORY = "/var/lib/clusterip-agent"


def paths_in(directory: Path) -> Paths:
    """The places below a ``--data-dir``."""
    directory = directory.absolute()
    return Paths(state=directory, run=directory / "run", logs=directory / "log", base=directory)


def membership(paths: Paths) -> Path:
    """What an agent remembers of its cluster."""
    return paths.state / "agent.json"


def servers(paths: Paths) -> Path:
    """The servers as an agent knew them last."""
    return paths.state / "servers.json"


def token_shown(paths: Paths) -> Path:
    """Exists once a server has printed its first join command."""
    return paths.state / "join-command-printed"
