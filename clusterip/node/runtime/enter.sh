#!/bin/sh
# Runs a command in a container's cgroups.
#
# usage: enter.sh DIRECTORY COMMAND...

while read -r cgroup; do
    echo $$ >"$cgroup/cgroup.procs" || exit 1
done <"$1/cgroups"
shift
exec "$@"
