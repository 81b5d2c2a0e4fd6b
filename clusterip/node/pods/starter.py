"""Starting one attempt at a container: image, configuration, files, process, postStart hook."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from clusterip.client.errors import ApiError, Unreachable
from clusterip.node.cgroups import tree as cgroups
from clusterip.node.cgroups.limits import of_container
from clusterip.node.files import remove_tree
from clusterip.node.layout import PodDirectory
from clusterip.node.pods import blueprint, volumes
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.downward import PodFacts
from clusterip.node.pods.environment import ConfigurationError, environment_of
from clusterip.node.pods.hooks import HookFailed, run_hook
from clusterip.node.pods.puller import ImageError
from clusterip.node.pods.slot import Past, Slot
from clusterip.node.pods.termination import Deadline, stop
from clusterip.node.runtime import container as runtime
from clusterip.node.runtime.record import Record
from clusterip.node.runtime.rootfs import mount_script
from clusterip.node.runtime.spec import configuration
from clusterip.node.sandbox.sandbox import Sandbox
from clusterip.objects import times
from clusterip.objects.core.secret import Secret

_KEPT_ATTEMPTS = 2  # the current one and the one that `kubectl logs --previous` shows


class StartFailed(Exception):
    """No attempt could be begun; ``reason`` is what the status says in one word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def set_up_volumes(context: NodeContext, facts: PodFacts, directory: PodDirectory) -> dict[str, Path]:
    """Make all the Pod's volumes ready.

    Raises:
        StartFailed: one cannot be; it is tried again later.
    """
    found: dict[str, Path] = {}
    for volume in facts.pod.spec.volumes:
        try:
            found[volume.name] = await volumes.set_up(facts, volume, directory, context.sources)
        except (volumes.VolumeError, ApiError, Unreachable, OSError) as error:
            message = f'MountVolume.SetUp failed for volume "{volume.name}" : {error}'
            context.event(facts.pod, "Warning", "FailedMount", message)
            raise StartFailed("ContainerCreating", message) from error
    return found


async def start(
    context: NodeContext,
    facts: PodFacts,
    slot: Slot,
    sandbox: Sandbox,
    mounted: dict[str, Path],
    target: runtime.Container | None = None,
) -> None:
    """Begin an attempt at a slot's container; it runs, or has ended already, on return.

    ``target`` is the container that an ephemeral one is aimed at.

    Raises:
        StartFailed: it could not even be created.
    """
    pod, spec, directory = facts.pod, slot.spec, sandbox.directory

    def say(type_: str, reason: str, message: str) -> None:
        context.event(pod, type_, reason, message, container=spec.name)

    try:
        pull_secrets = await _pull_secrets(context, facts)
        image = await context.puller.ensure(
            pod.metadata.uid, spec.image, spec.imagePullPolicy or "IfNotPresent", pull_secrets, say
        )
        environment = await environment_of(facts, spec, context.sources)
        if slot.target and (target is None or not target.running):
            raise ConfigurationError(f"unable to find target container {slot.target}")
        attempt = (directory.attempts(spec.name) or [-1])[-1] + 1
        place = directory.container(spec.name, attempt)
        described = blueprint.build(
            pod,
            spec,
            image,
            sandbox,
            environment=environment,
            volumes=mounted,
            hidden=context.hidden,
            termination_log=place / "termination-log",
            target=target.pid if target is not None else 0,
        )
    except ImageError as error:
        raise StartFailed(error.reason, str(error)) from error
    except (ConfigurationError, ApiError, Unreachable) as error:
        say("Warning", "Failed", f"Error: {error}")
        raise StartFailed("CreateContainerConfigError", str(error)) from error
    record = Record(
        id=secrets.token_hex(32),
        name=spec.name,
        attempt=attempt,
        image=image.name if image.layers is not None else spec.image,
        image_id=image.image_id,
        spec_hash=blueprint.spec_hash(spec),
        created_at=times.now_micro(),
        stdin=spec.stdin,
        stdin_once=spec.stdin and spec.stdinOnce,
        terminal=spec.tty,
        stop_signal=blueprint.stop_signal(spec, image),
        message_from_log=spec.terminationMessagePolicy == "FallbackToLogsOnError",
        shares_processes=described.host_pid or "pid" in described.namespaces,
    )
    try:
        container = runtime.create(
            place,
            record,
            directory.log(spec.name, attempt),
            context.inotify,
            configuration=configuration(described, place if cgroups.noted(directory.path) else None),
            mount_script=mount_script(image),
            log_limits=context.logs,
        )
        context.cgroups.make_container(record.id, of_container(spec), directory.path, place)
        (place / "termination-log").touch(mode=0o666)
        (place / "termination-log").chmod(0o666)
    except OSError as error:
        with contextlib.suppress(OSError):
            cgroups.remove_container(place)
            remove_tree(place)  # or each try would count as an attempt
        say("Warning", "Failed", f"Error: {error}")
        raise StartFailed("CreateContainerError", str(error)) from error
    say("Normal", "Created", "Container created")
    await _run(context, facts, slot, container, sandbox)


async def _run(
    context: NodeContext, facts: PodFacts, slot: Slot, container: runtime.Container, sandbox: Sandbox
) -> None:
    if slot.container is not None and slot.container.exit is not None:
        slot.past = Past(slot.container.record, slot.container.exit)
    slot.container, slot.waiting = container, None
    slot.started = slot.ready = False
    await runtime.start(container, crun=context.runtime.crun, state=context.runtime.state)
    _forget_older_attempts(sandbox.directory, slot.name)
    ended = container.exit
    if ended is not None and ended.started_at is None:
        message = f"Error: {ended.message}"
        context.event(facts.pod, "Warning", "Failed", message, container=slot.name)
        return
    context.event(facts.pod, "Normal", "Started", "Container started", container=slot.name)
    hook = slot.spec.lifecycle.postStart if slot.spec.lifecycle else None
    if hook is None:
        return
    host = (facts.pod_ips or [""])[0]
    try:
        await run_hook(context.runtime, container, slot.spec, hook, host, None)
    except HookFailed as error:
        context.event(
            facts.pod, "Warning", "FailedPostStartHook", "PostStartHook failed", container=slot.name
        )
        grace = facts.pod.spec.terminationGracePeriodSeconds
        deadline = Deadline(float(max(1, 30 if grace is None else grace)))
        await stop(context, facts.pod, slot, deadline, "FailedPostStartHook", host)
        slot.waiting = ("PostStartHookError", str(error))


async def _pull_secrets(context: NodeContext, facts: PodFacts) -> list[Secret]:
    found: list[Secret] = []
    missing: list[str] = []
    for reference in facts.pod.spec.imagePullSecrets:
        secret = await context.sources.secret(facts.pod.metadata.namespace, reference.name)
        if secret is None:
            missing.append(reference.name)
        else:
            found.append(secret)
    if missing:
        message = (
            f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
            "attempting to pull the image may not succeed."
        )
        context.event(facts.pod, "Warning", "FailedToRetrieveImagePullSecret", message)
    return found


def _forget_older_attempts(directory: PodDirectory, name: str) -> None:
    for attempt in directory.attempts(name)[:-_KEPT_ATTEMPTS]:
        remove_tree(directory.container(name, attempt))
        log = directory.log(name, attempt)
        for path in log.parent.glob(f"{attempt}.log*"):
            path.unlink(missing_ok=True)
