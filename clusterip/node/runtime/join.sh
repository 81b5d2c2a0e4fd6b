#!/bin/sh
# An OCI hook (createRuntime): puts a container's first process into the container's cgroups, before it runs
# anything of the container's. The runtime's state comes from standard input.
#
# usage: join.sh DIRECTORY

state=
while IFS= read -r line || [ -n "$line" ]; do state=$state$line; done
pid=${state##*\"pid\":}
pid=${pid# }
pid=${pid%%[!0-9]*}

while read -r cgroup; do
    echo "$pid" >"$cgroup/cgroup.procs" || exit 1
done <"$1/cgroups"
