"""What a container's configuration cannot have in a user namespace that lacks some users and rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clusterip.kernel import users

_GROUP_OPTION = "gid="


def adapted(configuration: dict[str, Any]) -> dict[str, Any]:
    """A configuration of ``spec.configuration`` as crun can carry it out here."""
    if not users.is_in_user_namespace():
        return configuration
    mounts = [
        {**mount, "options": [option for option in mount["options"] if _is_known(option)]}
        for mount in configuration["mounts"]
    ]
    return {**configuration, "mounts": mounts, "process": _process(configuration["process"])}


def _process(process: dict[str, Any]) -> dict[str, Any]:
    user = process["user"]
    groups = [group for group in user["additionalGids"] if users.is_mapped("gid", group)]
    if Path("/proc/self/setgroups").read_text().strip() == "deny":
        groups = []
    result = {**process, "user": {**user, "additionalGids": groups}}
    if "oomScoreAdj" in process:  # lower than it is only the machine's root may make it
        own = int(Path("/proc/self/oom_score_adj").read_text())
        result["oomScoreAdj"] = max(own, process["oomScoreAdj"])
    return result


def _is_known(option: str) -> bool:
    """Whether a mount option names no group, or one that there is."""
    number = option.removeprefix(_GROUP_OPTION)
    return number == option or users.is_mapped("gid", int(number))
