#!/bin/sh
# Runs one container and writes down how it ended. The node agent starts it, but may die and come back
# while it runs: everything it knows is in the container's directory, and nothing here waits for the agent.
#
# usage: unshare --mount --propagation slave monitor.sh DIRECTORY ID CRUN CRUN-STATE null|fifo|once|terminal
#
# The last word says where input comes from: nowhere; the FIFO stdin, for ever; the FIFO until its first
# writer closes it; the FIFO by way of a terminal.
#
# The mounts are made in a mount namespace of this process, so they end with it, whatever happens.
#
# The shell reads all of main before it runs any of it, so a new version of this file may take its place.

note() { # FILE VALUE: whole or not at all; a full disk still takes a link
    { echo "$2" >"$1.new" && mv "$1.new" "$1"; } 2>/dev/null ||
        { ln -sfn "$2" "$1.new" && mv "$1.new" "$1"; }
}

main() {
    directory=$1 id=$2 crun=$3 state=$4 input=$5
    cd "$directory" || exit 1
    trap '' HUP INT

    # Opened for reading and writing, a FIFO never breaks: while no agent reads, output waits in it.
    exec 3<>stdout 4<>stderr
    note monitor $$

    # crun up to 1.8 refuses machines with both cgroup versions mounted, even when told to use neither.
    umount /sys/fs/cgroup/unified 2>/dev/null
    # It also wants to see one where there is none, as after `ip netns exec`, which mounts a bare /sys.
    grep -q ' /sys/fs/cgroup ' /proc/self/mounts || mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup

    if ! sh -e ./mount.sh 2>crun.log; then
        note exitcode 128
        exit
    fi

    if [ ! -x "$crun" ]; then
        echo "the container runtime $crun is not found; install it again" >crun.log
        note exitcode 128
        exit
    fi

    set -- "$crun" --root "$state" --log crun.log --cgroup-manager=disabled run --bundle . --pid-file pid "$id"
    feeder=
    case $input in
    null)
        "$@" </dev/null >&3 3>&- 2>&4 4>&-
        ;;
    fifo)
        "$@" <>stdin >&3 3>&- 2>&4 4>&-
        ;;
    once)
        mkfifo stdin.once
        # Output first: that waits for crun's end only, the input for whoever attaches.
        cat >stdin.once <stdin 3>&- 4>&- &
        feeder=$!
        "$@" <stdin.once >&3 3>&- 2>&4 4>&-
        ;;
    terminal)
        # script(1) makes a terminal for crun to be at, and copies between it and the FIFOs.
        SHELL=/bin/sh script --quiet --return --flush --command "exec $*" /dev/null \
            <>stdin >&3 3>&- 2>&4 4>&-
        ;;
    esac
    code=$?
    [ -z "$feeder" ] || kill "$feeder" 2>/dev/null
    note exitcode $code
}

main "$@"; exit
