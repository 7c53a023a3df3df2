#!/bin/sh
# The first process of a Linux guest in the tests.  It takes commands from the
# console: lines up to one that is a single dot.  Their output goes to the
# console, then a line "@rc NUMBER STATUS"; NUMBER came with the dot.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
exec </dev/console >/dev/console 2>&1
stty -echo
dmesg -n 1

# disk CONTROLLER UNIT: the name of a disk; the controllers of hvhost differ in
# the last digit of their instances.
disk() {
	for d in /sys/bus/vmbus/devices/*e10$1/host*/target*/*:*:*:$2/block/*
	do
		[ -e "$d" ] && echo "${d##*/}"
	done
}

read -r up idle </proc/uptime
echo
echo "@up $up"
while :; do
	text=
	while IFS= read -r line; do
		case $line in
		'. '*)	break ;;
		esac
		text="$text$line
"
	done || poweroff -f
	# A shell of its own: a command cannot end the first process.
	(eval "$text") </dev/null
	printf '\n@rc %s %d\n' "${line#. }" $?
done
