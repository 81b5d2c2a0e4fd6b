"""``clusterip install``: servers and agents as services of systemd.

See systemd.unit(5), systemd.service(5), systemd.kill(5).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from clusterip.cluster.errors import ClusterError

Role = Literal["server", "agent"]
ROLES: tuple[Role, ...] = ("server", "agent")

DIRECTORY = Path("/etc/systemd/system")
SECRETS = Path("/etc/clusterip")

_ABOUT = {"server": "control plane", "agent": "node"}
_UNIT = """\
[Unit]
Description=clusterip {role} ({about})
Wants=network-online.target
After=network-online.target
RequiresMountsFor={directory}
# A server that is not there yet may come at any time.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
{environment}Restart=always
RestartSec=2
# It ends its parts itself; Pods and their monitors go on while it is started again.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""


def name_of(role: Role) -> str:
    return f"clusterip-{role}.service"


def unit(
    role: Role, program: str, options: Sequence[str], directory: Path, *, secrets: Path | None = None
) -> str:
    """The text of a unit file.

    Args:
        role: which command it runs.
        program: the absolute path of ``clusterip``.
        options: the command's options; none of them may be a secret, as everybody may read the file.
        directory: the command's ``--data-dir``.
        secrets: a file of environment variables that only root may read.
    """
    command = " ".join(_quoted(word) for word in (program, role, *options))
    environment = f"EnvironmentFile=-{secrets}\n" if secrets is not None else ""
    return _UNIT.format(
        role=role,
        about=_ABOUT[role],
        directory=_quoted(str(directory)),
        command=command,
        environment=environment,
    )


def without_token(options: Sequence[str]) -> tuple[list[str], str]:
    """Take ``--token`` out of an agent's options: what is left, and the token ("" if there is none)."""
    left: list[str] = []
    token, following = "", False
    for word in options:
        if following:
            token, following = word, False
        elif word == "--token":
            following = True
        elif word.startswith("--token="):
            token = word.partition("=")[2]
        else:
            left.append(word)
    return left, token


def secrets_of(role: Role) -> Path:
    return SECRETS / f"{role}.env"


def program() -> str:
    """The absolute path of this program. Raises ClusterError if it is not installed as one."""
    own = Path(sys.argv[0])
    found = str(own.resolve()) if own.name == "clusterip" and own.exists() else shutil.which("clusterip")
    if not found:
        raise ClusterError("there is no program called clusterip: install the package, so that there is one")
    return found


def install(role: Role, text: str, token: str) -> list[str]:
    """Write the files, and start the service where systemd runs; what was done, or is left to do.

    Raises:
        ClusterError: systemd refuses.
    """
    done: list[str] = []
    if token:
        SECRETS.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = secrets_of(role)
        secret.touch(mode=0o600)
        secret.chmod(0o600)
        secret.write_text(f"CLUSTERIP_TOKEN={token}\n")
        done.append(f"wrote {secret}")
    target = DIRECTORY / name_of(role)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    done.append(f"wrote {target}")
    steps = (["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", name_of(role)])
    if not _systemctl(*steps):
        commands = " && ".join(" ".join(step) for step in steps)
        return [*done, f"systemd does not run here. Where it does, start it with: {commands}"]
    return [*done, f"started {name_of(role)}; its journal: journalctl -u {name_of(role)}"]


def uninstall(directory: Path) -> list[str]:
    """Stop the services that have their files in a directory, and remove what ``install`` wrote for them.

    Returns what was done.

    Raises:
        ClusterError: systemd refuses.
    """
    done: list[str] = []
    mark = f"RequiresMountsFor={_quoted(str(directory))}"
    for role in ROLES:
        target = DIRECTORY / name_of(role)
        if not target.exists() or mark not in target.read_text().splitlines():
            continue
        _systemctl(["systemctl", "disable", "--now", name_of(role)])
        target.unlink()
        secrets_of(role).unlink(missing_ok=True)
        _systemctl(["systemctl", "daemon-reload"])
        done.append(f"removed {target}")
    return done


def _systemctl(*steps: list[str]) -> bool:
    """Whether systemd runs here, and has done these. Raises ClusterError if it refuses one."""
    if not Path("/run/systemd/system").is_dir():
        return False
    for step in steps:
        ended = subprocess.run(step, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise ClusterError(f"{' '.join(step)}: {ended.stderr.strip()}")
    return True


def _quoted(word: str) -> str:
    """A word of ExecStart=, in which systemd replaces nothing."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return (
        f'"{escaped}"'
        if not word or any(letter.isspace() or letter in "\"'\\;" for letter in word)
        else escaped
    )
