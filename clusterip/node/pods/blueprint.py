"""From a container of a Pod to what the runtime is told: command, environment, user, mounts, rights."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterip.kernel.users import is_in_user_namespace
from clusterip.node.cgroups.limits import oom_score
from clusterip.node.files import UnsafePath, follow_beneath
from clusterip.node.images.store import Image
from clusterip.node.pods.environment import ConfigurationError
from clusterip.node.pods.expansion import expand
from clusterip.node.runtime import users
from clusterip.node.runtime.rootfs import host_mounts
from clusterip.node.runtime.spec import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    ContainerSpec,
    Mount,
    Tmpfs,
    User,
)
from clusterip.node.sandbox.sandbox import Sandbox
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.security import SecurityContext

_ETC = ("hosts", "hostname", "resolv.conf")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def spec_hash(container: Container) -> str:
    """What a container was made from, as far as it may change: another image means another container.

    Not all of the spec: a new default of a newer API server must not restart everything.
    """
    return hashlib.sha256(f"{container.name}\0{container.image}".encode()).hexdigest()[:16]


def build(
    pod: Pod,
    container: Container,
    image: Image,
    sandbox: Sandbox,
    *,
    environment: Mapping[str, str],
    volumes: Mapping[str, Path],
    hidden: list[Path],
    termination_log: Path,
    target: int = 0,
) -> ContainerSpec:
    """What the runtime must know of a container.

    ``volumes`` are the Pod's by name; ``hidden`` the directories no view of the host may show. The
    container is in the PID namespace of the process ``target``, unless that is 0.

    Raises:
        ConfigurationError: the Pod asks for something the image or node does not have.
    """
    process = image.process
    values = _environment(image, sandbox.record.hostname, environment)
    args = _arguments(container, image, values)
    if not args:
        raise ConfigurationError("no command specified")
    context = container.securityContext or SecurityContext()
    user = _user(pod, context, image)
    values.setdefault("HOME", users.home(image, user.uid))
    mounts: list[Mount | Tmpfs] = host_mounts(hidden) if image.layers is None else []
    mounts += [Mount(sandbox.directory.etc(name), f"/etc/{name}") for name in _ETC]
    mounts.append(Mount(termination_log, container.terminationMessagePath or "/dev/termination-log"))
    mounts += _volume_mounts(container, volumes, values)
    privileged = bool(context.privileged)
    namespaces = sandbox.namespaces() | ({"pid": f"/proc/{target}/ns/pid"} if target else {})
    return ContainerSpec(
        args=args,
        env=list(values.items()),
        cwd=expand(container.workingDir, values) or process.WorkingDir or "/",
        user=user,
        terminal=container.tty,
        mounts=mounts,
        namespaces=namespaces,
        host_pid=pod.spec.hostPID,
        capabilities=_capabilities(context),
        privileged=privileged,
        no_new_privileges=context.allowPrivilegeEscalation is False and not privileged,
        read_only_root=bool(context.readOnlyRootFilesystem),
        oom_score_adjust=_oom_score(pod, container),
        shm=Path(sandbox.record.shm) if sandbox.record.shm else None,
    )


def stop_signal(container: Container, image: Image) -> str:
    """The signal that asks the container to end."""
    own = container.lifecycle.stopSignal if container.lifecycle else None
    return own or image.process.StopSignal or "SIGTERM"


def _environment(image: Image, hostname: str, environment: Mapping[str, str]) -> dict[str, str]:
    values = {"PATH": _DEFAULT_PATH, "HOSTNAME": hostname}
    for text in image.process.Env or ():
        name, _, value = text.partition("=")
        values[name] = value
    values.update(environment)
    return values


def _arguments(container: Container, image: Image, values: Mapping[str, str]) -> list[str]:
    # Docker's rule: an own command also drops the image's arguments.
    entry: Sequence[str] = container.command or image.process.Entrypoint or ()
    rest: Sequence[str] = container.args or (() if container.command else image.process.Cmd or ())
    return [expand(argument, values) for argument in (*entry, *rest)]


def _user(pod: Pod, context: SecurityContext, image: Image) -> User:
    shared = pod.spec.securityContext
    uid = context.runAsUser if context.runAsUser is not None else shared.runAsUser if shared else None
    gid = context.runAsGroup if context.runAsGroup is not None else shared.runAsGroup if shared else None
    non_root = (
        context.runAsNonRoot if context.runAsNonRoot is not None else shared.runAsNonRoot if shared else None
    )
    try:
        user = users.resolve(image, image.process.User if uid is None else str(uid))
    except users.UnknownUser as error:
        raise ConfigurationError(str(error)) from error
    if non_root and user.uid == 0:
        if uid == 0:
            raise ConfigurationError("container's runAsUser breaks non-root policy")
        raise ConfigurationError("container has runAsNonRoot and image will run as root")
    strict = shared is not None and shared.supplementalGroupsPolicy == "Strict"
    groups = set() if strict else set(user.groups)
    if shared:
        groups |= set(shared.supplementalGroups)
        if shared.fsGroup is not None:
            groups.add(shared.fsGroup)
    return User(user.uid, user.gid if gid is None else gid, tuple(sorted(groups)))


def _oom_score(pod: Pod, container: Container) -> int:
    score = oom_score(pod.spec, container)
    if _held(["SYS_RESOURCE"]) and not is_in_user_namespace():
        return score
    return max(score, int(Path("/proc/self/oom_score_adj").read_text()))  # we may not set a lower one


def _capabilities(context: SecurityContext) -> Sequence[str]:
    if context.privileged:
        return _held(ALL_CAPABILITIES)
    names = list(DEFAULT_CAPABILITIES)
    if change := context.capabilities:
        drop = {name.upper().removeprefix("CAP_") for name in change.drop}
        add = [name.upper().removeprefix("CAP_") for name in change.add]
        names = [] if "ALL" in drop else [name for name in names if name not in drop]
        names += list(ALL_CAPABILITIES) if "ALL" in add else [name for name in add if name not in names]
    return _held(names)


def _held(names: Sequence[str]) -> list[str]:
    """Those of the capabilities that we hold ourselves: the rest cannot be given to anybody."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        line = next(line for line in status if line.startswith("CapBnd:"))
    mask = int(line.split()[1], 16)
    return [name for name in names if name in _NUMBERS and mask >> _NUMBERS[name] & 1]


def _volume_mounts(
    container: Container, volumes: Mapping[str, Path], values: Mapping[str, str]
) -> list[Mount | Tmpfs]:
    mounts: list[Mount | Tmpfs] = []
    for mount in container.volumeMounts:
        source = volumes[mount.name]
        sub_path = mount.subPath or expand(mount.subPathExpr, values, _missing)
        if sub_path:
            if sub_path.startswith("/") or ".." in sub_path.split("/"):
                raise ConfigurationError(f'subPath "{sub_path}" must stay within the volume')
            source = _sub_path(source, sub_path)
        propagation = {"Bidirectional": "rshared", "HostToContainer": "rslave"}
        kind = propagation.get(mount.mountPropagation or "", "rprivate")
        target = mount.mountPath if mount.mountPath.startswith("/") else f"/{mount.mountPath}"
        mounts.append(Mount(source, target, mount.readOnly, kind))
    return mounts


def _missing(name: str) -> str:
    raise ConfigurationError(f'missing value for "{name}"')


def _sub_path(volume: Path, sub_path: str) -> Path:
    try:
        path = follow_beneath(volume, sub_path)
    except UnsafePath as error:
        raise ConfigurationError(str(error)) from error
    # What is missing is made with the volume's own permissions, whatever the umask.
    missing = [each for each in (path, *path.parents) if each.is_relative_to(volume) and not each.exists()]
    for each in reversed(missing):
        each.mkdir()
        each.chmod(stat.S_IMODE(volume.stat().st_mode))
    return path


# linux/capability.h
_NUMBERS = {
    name: number
    for number, name in enumerate(
        (
            *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
            *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
            *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
            *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
            *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
            *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
        )
    )
}
