"""Where a cluster keeps its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from clusterip.cluster.config import DEFAULT_NAME


@dataclass(frozen=True)
class Paths:
    """The directories of one cluster.

    Attributes:
        state: what must survive a reboot: the database, certificates, images.
        run: what a reboot makes void: process records, the journal of changes to the machine.
        logs: a file for each process.
        base: the directory that holds all three, if they were put in one.
    """

    state: Path
    run: Path
    logs: Path
    base: Path | None = None

    @classmethod
    def of(cls, name: str = DEFAULT_NAME, state_dir: str | None = None) -> Paths:
        """A cluster's directories: below ``state_dir`` (or $CLUSTERIP_STATE_DIR), else root's in the system's
        places, other users' in their own (XDG base directories)."""
        base = state_dir or os.environ.get("CLUSTERIP_STATE_DIR") or _own_directory(name)
        if base:
            root = Path(base).absolute()
            return cls(root / "lib", root / "run", root / "log", root)
        return cls(Path("/var/lib") / name, Path("/run") / name, Path("/var/log") / name)

    @property
    def config(self) -> Path:
        return self.state / "cluster.json"

    @property
    def database(self) -> Path:
        return self.state / "store.db"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def nodes(self) -> Path:
        return self.state / "nodes"

    @property
    def images(self) -> Path:
        return self.state / "images"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.kubeconfig("admin")

    def kubeconfig(self, user: str) -> Path:
        return self.state / "kubeconfigs" / f"{user}.yaml"

    def node(self, node: str) -> Path:
        """A node agent's own directory."""
        return self.nodes / node

    @property
    def journal(self) -> Path:
        return self.run / "journal"

    @property
    def plan(self) -> Path:
        """Which processes the supervisor runs."""
        return self.run / "plan.json"

    @property
    def processes(self) -> Path:
        """Which processes run, by pid and start time."""
        return self.run / "processes.json"

    @property
    def stopping(self) -> Path:
        """Exists while the cluster goes down: nothing is to be restarted."""
        return self.run / "stopping"

    @property
    def lock(self) -> Path:
        """Held by whoever brings the cluster up or down."""
        return self.run / "lock"

    @property
    def machine_lock(self) -> Path:
        """Held by whoever makes or ends the machine that an isolated cluster runs in."""
        return self.run / "machine.lock"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def make(self) -> None:
        """Make the directories; keys and kubeconfigs are for root only."""
        for directory in (self.state, self.run, self.logs):
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        for directory in (self.pki, self.state / "kubeconfigs"):
            directory.mkdir(mode=0o700, exist_ok=True)


def _own_directory(name: str) -> str | None:
    """The directory of a user's cluster; None for root."""
    if os.geteuid() == 0:
        return None
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return str(Path(data) / "clusterip" / name)
