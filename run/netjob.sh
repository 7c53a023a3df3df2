#!/bin/bash
# netjob.sh : boots the hosted guest with a network adapter behind our driver and
# moves real traffic through it.  Linux's stack in one network namespace is above
# the guest's hn0, that of another one at the other end of the provider's wire:
# what goes from one to the other goes through driver and provider.  Ends with
# one line of counters and `network job: ok', or says what was wrong, and exits
# 1.  Needs root, or user namespaces, and /dev/net/tun; else says so and exits 0.
#
#	CPUS=4		virtual processors
#	MB=256		of the file that is sent each way
#	PERIOD=3	of each rate, in seconds
#	HOSTEDVM=prog	another build's hostedvm
#	VMFLAGS=...	further options for it (hostedvm --help)
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

job=build/run
vm=${HOSTEDVM:-build/release/run/hostedvm}
cpus=${CPUS:-4}
mb=${MB:-256}
period=${PERIOD:-3}
a4=10.91.0.1 b4=10.91.0.2 a6=fd91::1 b6=fd91::2
va4=10.92.0.1 vb4=10.92.0.2
boot_seconds=60
vmpid= farpid= vlan=
start=$SECONDS

say() {
	printf '[%3d s] %s\n' $((SECONDS - start)) "$*"
}

fail() {
	printf 'network job: FAILED: %s\n' "$*" >&2
	exit 1
}

skip() {
	printf 'network job: skipped: %s\n' "$*"
	exit 0
}

# A network of one's own to begin with, as root of a user namespace if need be.
if [ "${1:-}" != inside ]; then
	[ -r /dev/net/tun ] && [ -w /dev/net/tun ] ||
	    skip '/dev/net/tun cannot be used here'
	if unshare --net true 2>/dev/null; then
		exec unshare --net "$0" inside
	elif unshare --user --map-root-user --net true 2>/dev/null; then
		exec unshare --user --map-root-user --net "$0" inside
	fi
	skip 'no network namespaces here'
fi

cleanup() {
	for p in $farpid $vmpid; do
		kill -TERM "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	rm -f "$job/file" "$job/file.in"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# far COMMAND... : in the namespace at the wire's other end.
far() {
	nsenter --target "$farpid" --net "$@"
}

# --- The guest and both ends ---

boot() {
	[ -x "$vm" ] || fail "$vm is not built"
	# shellcheck disable=SC2086
	"$vm" --cpus "$cpus" --net tap=wire0,guest=hn0 \
	    --stats "$job/net.json" ${VMFLAGS:-} >"$job/net.log" 2>&1 &
	vmpid=$!
	for _ in $(seq $((boot_seconds * 10))); do
		grep -q '^ready hn0' "$job/net.log" && break
		kill -0 "$vmpid" 2>/dev/null || break
		sleep 0.1
	done
	grep -q '^ready hn0' "$job/net.log" || {
		cat "$job/net.log" >&2
		fail 'the guest did not come up with hn0'
	}
	cat "$job/net.log"
}

addresses() {
	unshare --net sleep 100000 &
	farpid=$!
	# It has its namespace once that is another one.
	for _ in $(seq 50); do
		[ "$(readlink /proc/$farpid/ns/net)" != \
		    "$(readlink /proc/$$/ns/net)" ] && break
		sleep 0.1
	done
	ip link set lo up
	ip link set wire0 netns "$farpid" || fail 'wire0 cannot be moved'
	ip address add $a4/24 dev hn0
	ip address add $a6/64 dev hn0 nodad
	ip link set hn0 up
	far ip link set lo up
	far ip address add $b4/24 dev wire0
	far ip address add $b6/64 dev wire0 nodad
	far ip link set wire0 up
	sleep 1
	if ! ip link add link hn0 name hn0.5 type vlan id 5 2>/dev/null; then
		say 'no VLAN: this kernel has no 8021q'
		return
	fi
	vlan=1
	ip address add $va4/24 dev hn0.5
	ip link set hn0.5 up
	far ip link add link wire0 name wire0.5 type vlan id 5
	far ip address add $vb4/24 dev wire0.5
	far ip link set wire0.5 up
	# As with FreeBSD's vlan(4) above an interface without VLAN_HWTSO.
	ethtool -K hn0.5 tso off >/dev/null 2>&1
	sleep 1
}

shut_down() {
	local status

	say 'shutting the guest down'
	kill -TERM "$vmpid" 2>/dev/null
	wait "$vmpid"
	status=$?
	vmpid=
	[ $status -eq 0 ] || {
		tail -20 "$job/net.log" >&2
		fail "the guest ended with status $status"
	}
}

# --- Counters ---

# The guest's line of now: packets interrupts hypercalls drops.
counters() {
	local n
	n=$(grep -c '^hn0: packets' "$job/net.log")
	kill -USR1 "$vmpid"
	for _ in $(seq 50); do
		[ "$(grep -c '^hn0: packets' "$job/net.log")" -gt "$n" ] && break
		sleep 0.1
	done
	grep '^hn0: packets' "$job/net.log" | tail -1 |
	    awk '{ print $3, $9, $11, $7 }'
}

# What it took since the last time.
show_since() {
	local now
	now=$(counters)
	say "$(echo "$last $now" | awk '{
		p = $5 - $1
		if (p > 0)
			printf "    %d packets, %.4f interrupts and %.4f " \
			    "hypercalls each", p, ($6 - $2) / p, ($7 - $3) / p
		}')"
	last=$now
}

# --- Jobs ---

pings() {
	local size

	for size in 0 56 500 1472 1473 8000 20000 65000; do
		busybox ping -A -q -c 20 -s $size $b4 >"$job/step.log" 2>&1 &&
		    grep -q ' 0% packet loss' "$job/step.log" || {
			cat "$job/step.log" >&2
			fail "ping of $size bytes"
		}
	done
	for size in 56 1452 1453 20000; do
		busybox ping -6 -A -q -c 20 -s $size $b6 >"$job/step.log" 2>&1 &&
		    grep -q ' 0% packet loss' "$job/step.log" || {
			cat "$job/step.log" >&2
			fail "ping over IPv6 of $size bytes"
		}
	done
	say 'pings of all sizes, IPv4 and IPv6: none lost'
	[ -n "$vlan" ] || return
	busybox ping -A -q -c 20 -s 1472 $vb4 >"$job/step.log" 2>&1 &&
	    grep -q ' 0% packet loss' "$job/step.log" || {
		cat "$job/step.log" >&2
		fail 'ping on VLAN 5'
	}
	say 'pings on VLAN 5: none lost'
}

# rate WHAT ADDRESS OPTIONS... : iperf3's rate as its receiver saw it.
rate() {
	local what=$1 to=$2
	shift 2
	far iperf3 --server --one-off --daemon >/dev/null 2>&1
	sleep 0.3
	if ! timeout $((period * 4 + 20)) iperf3 --client "$to" \
	    --time "$period" --json "$@" >"$job/iperf.json" 2>&1; then
		tail -5 "$job/iperf.json" >&2
		fail "iperf3: $what"
	fi
	say "$what: $(python3 - "$job/iperf.json" <<-'EOP'
		import json, sys
		end = json.load(open(sys.argv[1]))["end"]
		if "sum_received" in end and "sum" not in end:
		    s = end["sum_received"]
		    print("%.0f Mbit/s, %d retransmits" % (
		        s["bits_per_second"] / 1e6,
		        end["sum_sent"].get("retransmits", 0)))
		else:
		    s = end["sum"]
		    got = s["packets"] - s["lost_packets"]
		    print("%.0f packets/s received, %.1f%% lost" % (
		        got / s["seconds"], s["lost_percent"]))
	EOP
	)"
	show_since
}

# The file at the other end of a connection, to standard output.
take() {
	"$@" python3 -c '
import shutil, socket, sys
s = socket.create_server(("", 5001))
s.settimeout(60)
c = s.accept()[0]
c.settimeout(60)
shutil.copyfileobj(c.makefile("rb"), sys.stdout.buffer)'
}

give() {	# ADDRESS COMMAND-PREFIX...
	local to=$1
	shift
	"$@" python3 -c '
import shutil, socket, sys
c = socket.create_connection((sys.argv[1], 5001), 60)
f = c.makefile("wb")
shutil.copyfileobj(sys.stdin.buffer, f)
f.close()
c.close()' "$to"
}

# Through driver and provider, each way: the same bytes.
files() {
	local sum taker

	head -c "${mb}M" /dev/urandom >"$job/file"
	sum=$(sha256sum <"$job/file")
	take far >"$job/file.in" &
	taker=$!
	sleep 1
	give $b4 env <"$job/file" || fail "sending a file of $mb MiB"
	wait $taker
	[ "$(sha256sum <"$job/file.in")" = "$sum" ] ||
	    fail 'the file that was sent is not the one that arrived'
	take env >"$job/file.in" &
	taker=$!
	sleep 1
	give $a4 far <"$job/file" || fail "receiving a file of $mb MiB"
	wait $taker
	[ "$(sha256sum <"$job/file.in")" = "$sum" ] ||
	    fail 'the file that was received is not the one that was sent'
	say "a file of $mb MiB each way over TCP: SHA-256 ${sum%% *}"
	show_since
}

# --- The job ---

mkdir -p "$job"
boot
addresses
last=$(counters)
pings
last=$(counters)
rate 'TCP, sending' $b4
rate 'TCP, receiving' $b4 --reverse
rate 'TCP, 4 streams, sending' $b4 --parallel 4
rate 'TCP, 4 streams, receiving' $b4 --parallel 4 --reverse
rate 'TCP over IPv6, sending' $b6
rate 'TCP over IPv6, receiving' $b6 --reverse
if [ -n "$vlan" ]; then
	rate 'TCP on VLAN 5, sending' $vb4
	rate 'TCP on VLAN 5, receiving' $vb4 --reverse
fi
rate 'UDP of 64 bytes, sending' $b4 --udp --bitrate 0 --length 64
rate 'UDP of 64 bytes, receiving' $b4 --udp --bitrate 0 --length 64 --reverse
files
shut_down
grep '^hn0: packets' "$job/net.log" | tail -1
say 'done'
echo 'network job: ok'
