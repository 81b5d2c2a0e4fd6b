#!/bin/sh
# The first process of a PID namespace that a Pod's containers share. The namespace is there as long as this
# runs; processes whose parents have ended become its children, and a shell that waits buries them.
#
# usage: pause.sh POD-DIRECTORY
#
# The shell reads all of main before it runs any of it, so a new version of this file may take its place.

main() {
    cd "$1" || exit 1
    trap '' HUP INT TERM # nobody in the Pod ends it
    while :; do
        sleep 2147483647 &
        wait
    done
}

main "$@"
