#!/bin/sh
# The first process of a user-mode-linux whose root is the host's own file system, read only.
# The kernel's command line gives HERE (a directory of the host to write to) and the rest by environment.
mount -t proc proc /proc
mount -t sysfs sys /sys
for directory in /tmp /run /root/.cache /var/tmp; do
	[ -d $directory ] && mount -t tmpfs tmpfs $directory
done
mkdir -p /run/netns "$HERE"
mount -t hostfs none "$HERE" -o "$HERE"

release=$(uname -r)
mount -t tmpfs tmpfs /lib/modules
mkdir /lib/modules/"$release"
cp -r /usr/lib/uml/modules/"$release"/. /lib/modules/"$release"
depmod
# What ordinary kernels have built in, or load when a program asks.
modprobe -a ipv6 nf_conntrack nf_conntrack_netlink sctp ip_vs

ip link set lo up
ulimit -n 65536
cd "$WHERE" || exit 1
"$HERE/run" >"$HERE/output" 2>&1 </dev/null
echo $? >"$HERE/status"
sync
poweroff -f
