#!/bin/sh
# The first process of the rig's outer machine (rig.py): loads KVM, runs the
# command it was given and sends back output, files and exit status.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs -o size=90% tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
ip link set lo up

. /rig/environment
for m in $RIG_MODULES; do
	modprobe "$m" 2>&1 | sed 's/^/rig: /' >/dev/console
done
port() {
	for d in /sys/class/virtio-ports/*; do
		[ "$(cat "$d/name")" = "$1" ] && echo "/dev/${d##*/}"
	done
}
out=$(port out)
result=$(port result)

# Each line that comes from outside interrupts every processor (rig.py says
# why): one wakes the reader on the next.
poked() {
	if [ -d "/sys/devices/system/cpu/cpu$(($1 + 1))" ]; then
		taskset -c "$1" sh -c 'while read -r l; do echo; done' |
		    poked $(($1 + 1))
	else
		taskset -c "$1" cat >/dev/null
	fi
}
poked 0 <"$(port poke)" &

# The sign that the machine is up (rig.py).
echo @rig >"$out"
cd "$RIG_CWD" || cd /
sh /rig/command >"$out" 2>&1 </dev/null
echo $? >/rig/status

# The status comes last: without it, the machine broke before the end.
set --
[ -n "$RIG_RESULTS" ] && set -- "${RIG_RESULTS#/}"
cd / && tar -cf - "$@" rig/status >"$result"
sync
poweroff -f
