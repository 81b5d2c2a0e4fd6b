"""A machine within the machine: user, mount, process and network namespaces for a whole cluster.

It is what makes a cluster possible without root, and one that changes nothing outside itself. Its first
process (*init*) only reaps; all else, the parts and the Pods, ends with it, so nothing can be left behind.

No packet leaves the machine or comes in, with one exception: init holds a socket that listens on the real
machine's loopback address. Sockets belong to the network they were made in, so the API server, which gets
it, answers to the real machine, and through it ``exec``, ``logs``, ``port-forward`` and ``proxy`` work.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from clusterip.cluster import processes
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.paths import Paths
from clusterip.cluster.processes import Process
from clusterip.kernel import namespaces, users

_LISTENER = 3  # init's descriptor of the API server's socket
_LIFELINE = 4
_PIDFD_GETFD = 438

_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


class Machine(msgspec.Struct, frozen=True):
    """``machine.json``: init, in the real machine's numbers, and the port on the real machine's loopback.

    ``owner`` is the user it was made by; ``limits`` says why there is one user in it, "" if there are more.
    """

    init: Process
    port: int
    owner: int
    limits: str = ""

    def describe(self) -> str:
        """What a cluster in it does not do, for a person."""
        note = (
            "It has a network of its own: Services are reachable from Pods, with `kubectl port-forward` and\n"
            "in `clusterip enter -- COMMAND`, not from this machine; and nothing in it reaches the outside."
        )
        if self.limits:
            note += f"\nContainers can run only as root, which is this user, because {self.limits}."
        return note


def find(paths: Paths) -> Machine | None:
    """The machine of a cluster, if it is there."""
    try:
        found = msgspec.json.decode(_record(paths).read_bytes(), type=Machine)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if found.init.is_alive else None


def create(paths: Paths, listener: socket.socket, lifeline: int | None = None) -> Machine:
    """Make a machine; it stays until ``remove``.

    Args:
        paths: of its cluster; whatever is noted there of an earlier machine is void.
        listener: where the API server listens on the real machine.
        lifeline: the reading end of a pipe; once it is closed at the other end, the machine ends.
    Raises:
        ClusterError: the kernel, or who guards it, does not allow that; the text says what to do.
    """
    for void in (paths.journal, paths.processes, paths.plan, paths.stopping):
        void.unlink(missing_ok=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    maker = os.fork()
    if maker == 0:
        ours.close()
        _make(theirs, listener.fileno(), lifeline)
    theirs.close()
    with ours:
        limits = ""
        try:
            if os.geteuid() != 0:
                _expect(ours, b"user")
                limits = users.map_users(maker) or ""
                ours.send(b"mapped")
            init = int(_expect(ours, b"pid ").split()[1])
        except OSError as error:
            os.kill(maker, signal.SIGKILL)
            raise ClusterError(f"this user cannot be mapped to root of a user namespace: {error}") from error
        finally:
            os.waitpid(maker, 0)
        made = Machine(processes.identify(init), listener.getsockname()[1], os.geteuid(), limits)
        record = _record(paths)
        record.with_name("machine.new").write_bytes(msgspec.json.encode(made))
        record.with_name("machine.new").replace(record)
        ours.send(b"go")
        _expect(ours, b"ready")
    return made


def run_in(machine: Machine, work: Callable[[], int | None], *, network: bool = True) -> int:
    """Do ``work`` in a process of a machine, with this one's files and terminal; its exit code.

    Without ``network`` it stays in the network that this process is in.
    Call it while there is only one thread: the process is a fork of this one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    visitor = os.fork()
    if visitor == 0:
        os._exit(_visit(machine, work, network))
    with _ignoring_interrupts():  # it is interrupted as well, and says with which code it ended
        return os.waitstatus_to_exitcode(os.waitpid(visitor, 0)[1])


def remove(paths: Paths, machine: Machine) -> None:
    """End a machine with all that is in it."""
    descriptor = machine.init.open()
    if descriptor is not None:
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], 10)
        finally:
            os.close(descriptor)
    _record(paths).unlink(missing_ok=True)


def outside_socket() -> socket.socket:
    """The socket on the real machine that init holds, in a process of the machine. Raises OSError."""
    init = os.pidfd_open(1)
    try:
        descriptor = _libc.syscall(_PIDFD_GETFD, init, _LISTENER, 0)
        _check(descriptor, "get the API server's socket from the machine's first process")
    finally:
        os.close(init)
    return socket.socket(fileno=descriptor)


def _record(paths: Paths) -> Path:
    return paths.run / "machine.json"


# What the processes do


def _visit(machine: Machine, work: Callable[[], int | None], network: bool) -> int:
    here = Path.cwd()
    descriptor = machine.init.open()
    if descriptor is None:
        print("clusterip: the cluster's machine has just ended", file=sys.stderr)
        return 1
    kinds = users.CLONE_NEWNS | users.CLONE_NEWPID | users.CLONE_NEWIPC
    if network:
        kinds |= namespaces.CLONE_NEWNET
    if machine.owner != 0:
        kinds |= users.CLONE_NEWUSER
    _check(_libc.setns(descriptor, kinds), "enter the cluster's machine")
    os.close(descriptor)
    with contextlib.suppress(OSError):
        os.chdir(here)
    inside = os.fork()  # only children are in the other process namespace
    if inside == 0:
        _finish(work)
    with _ignoring_interrupts():
        code = os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1])
    return code if code >= 0 else 128 - code


def _finish(work: Callable[[], int | None]) -> None:
    """End this process as the interpreter would end a program that is ``work``."""
    code = 1
    try:
        code = work() or 0
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else int(request.code is not None)
    except ClusterError as error:
        print(f"clusterip: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except BaseException:  # noqa: BLE001 - the outermost frame of a process
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _make(peer: socket.socket, listener: int, lifeline: int | None) -> None:
    """Make the namespaces and fork init into them. Never returns."""
    try:
        os.setsid()
        if os.geteuid() != 0:
            _unshare(users.CLONE_NEWUSER, "user")
            peer.send(b"user")
            if peer.recv(16) != b"mapped":
                os._exit(1)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        kinds = users.CLONE_NEWNS | users.CLONE_NEWPID | users.CLONE_NEWIPC | namespaces.CLONE_NEWNET
        _unshare(kinds, "mount, process and network")
        init = os.fork()
        if init == 0:
            _be_init(peer, listener, lifeline)
        peer.send(f"pid {init}".encode())
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - it is told to who waits for us
        _tell(peer.fileno(), error)


def _tell(peer: int, error: BaseException) -> None:
    """Tell who waits for us what went wrong, and end. Never returns."""
    try:
        if isinstance(error, PermissionError):
            _complain_of_guards()
    except ClusterError as better:
        error = better
    with contextlib.suppress(OSError):
        os.write(peer, f"failed: {error}".encode())
    os._exit(1)


def _unshare(kinds: int, what: str) -> None:
    if _libc.unshare(kinds) == 0:
        return
    reason = os.strerror(ctypes.get_errno())
    _complain_of_guards()
    raise ClusterError(
        f"the kernel refuses to make {what} namespaces ({reason}). In a container, allow it to make them "
        "(Docker: --privileged, or a seccomp profile that has unshare); else run `clusterip up` as root"
    )


def _complain_of_guards() -> None:
    """Raise ClusterError if a setting keeps users from making namespaces."""
    for name, forbidding, remedy in _GUARDS:
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text().strip() == forbidding:
                setting = name.replace("/", ".")
                raise ClusterError(
                    f"this machine lets only root make namespaces ({setting}={forbidding}): as root, allow "
                    f"it with `sysctl {setting}={remedy}`, or run `clusterip up` as root"
                )


_GUARDS = (
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user/max_user_namespaces", "0", "15000"),
)
"""Settings, the values that forbid user namespaces, and such as allow them."""


def _be_init(peer: socket.socket, listener: int, lifeline: int | None) -> None:
    """What the machine's first process does. Never returns."""
    try:
        descriptors = [os.dup(listener), os.dup(peer.fileno())]
        if lifeline is not None:
            descriptors.append(os.dup(lifeline))
        _mount_all()
        peer.detach()
        if os.read(descriptors[1], 16) != b"go":
            os._exit(1)
        _keep_only(descriptors)
        os.write(_PEER, b"ready")
        os.close(_PEER)
    except BaseException as error:  # noqa: BLE001 - it is told to who waits for us
        _tell(descriptors[1], error)
    _reap(_LIFELINE if lifeline is not None else None)


_PEER = 5


def _keep_only(descriptors: list[int]) -> None:
    """Close all descriptors but the listener, the lifeline and the peer, which get their own numbers."""
    high = [os.dup2(each, 900 + n) for n, each in enumerate(descriptors)]
    for number, descriptor in zip((_LISTENER, _PEER, _LIFELINE), high, strict=False):
        os.dup2(descriptor, number, inheritable=False)
    if len(high) < 3:
        with contextlib.suppress(OSError):
            os.close(_LIFELINE)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(_PEER + 1, 1 << 16)


def _reap(lifeline: int | None) -> None:
    """Reap orphans until we are ended, or nobody holds the other end of ``lifeline`` any more."""
    import setproctitle

    os.chdir("/")
    setproctitle.setproctitle("clusterip machine")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watched = [reader, *([lifeline] if lifeline is not None else [])]
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        ready = select.select(watched, [], [])[0]
        if lifeline in ready:
            os._exit(0)
        os.read(reader, 4096)


# Mounts


def _mount_all() -> None:
    """Give the machine a /proc of its processes, and a /run that it may write to."""
    _mount("", "/", "", _MS_REC | _MS_PRIVATE)
    try:
        _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    except OSError as error:
        raise ClusterError(
            f"the kernel does not let a user namespace show its processes ({error.strerror}), as in a "
            "container whose /proc is masked (Docker: --security-opt systempaths=unconfined)"
        ) from error
    _own_run()
    # crun up to 1.8 refuses machines with both cgroup versions mounted.
    if Path("/sys/fs/cgroup/unified").is_dir():
        _mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=0755")
    from clusterip.kernel.rtnetlink import RouteSocket

    with RouteSocket() as routes:
        routes.set_link("lo", up=True)


_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_OWN_IN_RUN = frozenset(("netns", "xtables.lock"))


def _own_run() -> None:
    """Mount a tmpfs on /run, with what was there before bound into it."""
    run = Path("/run")
    kept: list[tuple[Path, int | str]] = []
    for path in run.iterdir():
        if path.name in _OWN_IN_RUN:
            continue
        with contextlib.suppress(OSError):
            link = os.readlink(path) if path.is_symlink() else None
            kept.append((path, link or os.open(path, os.O_PATH | os.O_CLOEXEC)))
    _mount("tmpfs", "/run", "tmpfs", _NOSUID | _NODEV, "mode=0755")
    for path, source in kept:
        if isinstance(source, str):
            path.symlink_to(source)
            continue
        opened = Path(f"/proc/self/fd/{source}")
        with contextlib.suppress(OSError):  # what cannot be shown is left out
            path.mkdir() if opened.is_dir() else path.touch()
            _mount(str(opened), str(path), "", _MS_BIND | _MS_REC)
        os.close(source)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _check(result, f"mount {target}")


def _check(result: int, action: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} ({action})")


def _expect(peer: socket.socket, beginning: bytes) -> bytes:
    """The next message. Raises ClusterError if it is not of that beginning."""
    message = peer.recv(4096)
    if not message.startswith(beginning):
        text = message.decode(errors="replace").removeprefix("failed: ")
        raise ClusterError(text or "the cluster's machine ended while it was made")
    return message


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
