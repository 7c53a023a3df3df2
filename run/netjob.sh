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
#	PERIOD=2	of each rate, in seconds
#	HOSTEDVM=prog	another build's hostedvm
#	VMFLAGS=...	further options for it (hostedvm --help)
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

job=build/run
vm=${HOSTEDVM:-build/release/run/hostedvm}
ctl=build/release/host/control/hvctl
cpus=${CPUS:-4}
mb=${MB:-256}
period=${PERIOD:-2}
a4=10.91.0.1 b4=10.91.0.2 a6=fd91::1 b6=fd91::2
va4=10.92.0.1 vb4=10.92.0.2
queue=4096		# packets, of an interface
socket=2M		# of a UDP receiver's buffer
boot_seconds=60
vmpid= farpid= vlan= tagged=0
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
	rm -f "$job/file" "$job/file.in" "$job/load.img"
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
	truncate -s 64M "$job/load.img"
	"$vm" --cpus "$cpus" --net tap=wire0,guest=hn0 \
	    --net tap=wire1,guest=hn1,softtag \
	    --disk "$job/load.img" --nbd "$job/load.nbd" \
	    --services --control "$job/control" \
	    --stats "$job/net.json" ${VMFLAGS:-} >"$job/net.log" 2>&1 &
	vmpid=$!
	for _ in $(seq $((boot_seconds * 10))); do
		grep -q '^ready hn1' "$job/net.log" && break
		kill -0 "$vmpid" 2>/dev/null || break
		sleep 0.1
	done
	grep -q '^ready hn1' "$job/net.log" || {
		cat "$job/net.log" >&2
		fail 'the guest did not come up with hn0 and hn1'
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
	for i in 0 1; do
		ip link set "wire$i" netns "$farpid" ||
		    fail "wire$i cannot be moved"
		ip link set "hn$i" txqueuelen $queue
		far ip link set "wire$i" txqueuelen $queue
	done
	# hn1 is for frames that no stack has a part in.
	sysctl -qw net.ipv6.conf.hn1.disable_ipv6=1
	far sysctl -qw net.ipv6.conf.wire1.disable_ipv6=1
	# TCP, too, is to send twice only what was lost, not what a processor's
	# other work holds up.
	sysctl -qw net.ipv4.tcp_early_retrans=0
	far sysctl -qw net.ipv4.tcp_early_retrans=0
	ip link set lo up
	ip address add $a4/24 dev hn0
	ip address add $a6/64 dev hn0 nodad
	ip link set hn0 up
	ip link set hn1 up
	far ip link set lo up
	far ip address add $b4/24 dev wire0
	far ip address add $b6/64 dev wire0 nodad
	far ip link set wire0 up
	far ip link set wire1 up
	sleep 1
	ip link add link hn0 name hn0.5 type vlan id 5 2>/dev/null || return
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

# count WHAT ARGUMENTS... : netcount.py, with the guest's counters of now.
count() {
	local n what=$1
	shift

	n=$(grep -c '^hn1: counters' "$job/net.log")
	kill -USR1 "$vmpid"
	for _ in $(seq 50); do
		[ "$(grep -c '^hn1: counters' "$job/net.log")" -gt "$n" ] &&
		    break
		sleep 0.1
	done
	run/netcount.py "$what" "$job/count.json" "$job/net.log" $$ "$farpid" \
	    "$@"
}

# since WHAT KIND [REPORT] : what it took, and whether that is as it must be.
since() {
	local what=$1
	shift
	count since "$@" >"$job/step.log" 2>&1 || {
		cat "$job/step.log" >&2
		fail "$what"
	}
	say "$what: $(sed '2,$s/^/            /' "$job/step.log")"
}

# --- Jobs ---

ping_of() {	# ADDRESS SIZE OPTIONS...
	local size=$2 to=$1
	shift 2
	busybox ping "$@" -A -q -c 20 -s "$size" "$to" >"$job/step.log" 2>&1 &&
	    grep -q ' 0% packet loss' "$job/step.log" || {
		cat "$job/step.log" >&2
		fail "ping of $size bytes to $to"
	}
}

pings() {
	local size

	for size in 0 56 500 1472 1473 8000 20000 65000; do
		ping_of $b4 $size
	done
	for size in 56 1452 1453 20000; do
		ping_of $b6 $size -6
	done
	since 'pings of all sizes, IPv4 and IPv6, none lost' any
	busybox ping -A -q -c 500 -s 22 $b4 >"$job/step.log" 2>&1 ||
	    fail 'ping-pong'
	since '500 pings, each as soon as the last was answered' pong
	[ -n "$vlan" ] || return
	ping_of $vb4 1472
	since 'pings on VLAN 5, none lost' any
}

# Where the card has to do with tags, and where the stack above puts them into
# the frames.
tags() {
	local i text

	for i in 0 1; do
		text=$(timeout 60 run/netvlan.py hn$i wire$i "$farpid" 2>&1) ||
		    fail "VLAN: $text"
		say "VLAN, tags by $([ $i = 0 ] && echo hn0 || echo \
		    'the stack above hn1'): $text"
		tagged=$((tagged + ${text%% *}))
	done
	count since any >/dev/null
}

# iperf OPTIONS... : its report goes to $job/iperf.json.
iperf() {
	far iperf3 --server --one-off --daemon >/dev/null 2>&1
	sleep 0.3
	timeout $((period * 4 + 20)) iperf3 --client "$@" --json \
	    >"$job/iperf.json" 2>"$job/step.log" || {
		tail -n 5 "$job/iperf.json" "$job/step.log" >&2
		fail "iperf3 $*"
	}
}

tcp() {		# WHAT ADDRESS OPTIONS...
	local what=$1
	shift
	iperf "$@" --time "$period"
	since "$what" tcp "$job/iperf.json"
}

# As fast as the sender can.
udp() {		# WHAT SIZE OPTIONS...
	local size=$2 what=$1
	shift 2
	iperf $b4 --udp --bitrate 0 --length "$size" --window $socket \
	    --time "$period" "$@"
	since "$what" udp "$job/iperf.json"
}

# The rate at which less than one in a hundred is lost: lower and lower, from
# above what arrived when the sender was not held back.
paced() {	# WHAT SIZE OPTIONS...
	local lost rate size=$2 what=$1
	shift 2
	rate=$(run/netcount.py got "$job/iperf.json")
	lost=$(run/netcount.py lost "$job/iperf.json")
	if [ "$lost" -lt 10 ]; then
		say "$what: no slower, less than 1% was lost"
		return
	fi
	rate=$((rate * 5 / 4))
	for _ in $(seq 8); do
		iperf $b4 --udp --bitrate $((rate * size * 8)) \
		    --length "$size" --window $socket --time 1 "$@"
		count since udp "$job/iperf.json" >"$job/step.log" 2>&1 || {
			cat "$job/step.log" >&2
			fail "$what"
		}
		lost=$(run/netcount.py lost "$job/iperf.json")
		if [ "$lost" -lt 10 ]; then
			say "$what: $(head -1 "$job/step.log")"
			return
		fi
		rate=$((rate * 4 / 5))
	done
	fail "$what: still $((lost / 10))% of $rate packets/s lost"
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
	since "a file of $mb MiB each way over TCP, SHA-256 ${sum%% *}" tcp
}

# The host's question is answered while disk and network have all they can do.
heartbeats() {
	local fiopid text

	fio --name=load --ioengine=nbd \
	    --uri="nbd+unix:///da0?socket=$PWD/$job/load.nbd" --thread=0 \
	    --rw=randrw --bs=4k --iodepth=32 --size=64m --time_based \
	    --runtime=12 >"$job/fio.log" 2>&1 &
	fiopid=$!
	sleep 1
	iperf $b4 --parallel 4 --bidir --time 10
	wait $fiopid || {
		cat "$job/fio.log" >&2
		fail 'fio beside iperf3'
	}
	text=$("$ctl" --socket "$job/control" heartbeat) ||
	    fail "heartbeat under load: $text"
	count since any >/dev/null
	say "heartbeat under storage and network load: $(
	    echo "$text" | tail -1)"
}

# --- The job ---

mkdir -p "$job"
boot
addresses
count begin
pings
tags
tcp 'TCP, sending' $b4
tcp 'TCP, receiving' $b4 --reverse
tcp 'TCP, 4 streams, sending' $b4 --parallel 4
tcp 'TCP, 4 streams, receiving' $b4 --parallel 4 --reverse
tcp 'TCP over IPv6, sending' $b6
tcp 'TCP over IPv6, receiving' $b6 --reverse
if [ -n "$vlan" ]; then
	tcp 'TCP on VLAN 5, sending' $vb4
	tcp 'TCP on VLAN 5, receiving' $vb4 --reverse
fi
for way in sending 'receiving --reverse'; do
	# shellcheck disable=SC2086
	set -- $way
	udp "UDP of 64 bytes, $1" 64 ${2:-}
	paced "UDP of 64 bytes, $1, paced" 64 ${2:-}
	udp "UDP of 1472 bytes, $1" 1472 ${2:-}
	udp "UDP of 1472 bytes, 4 streams, $1" 1472 --parallel 4 ${2:-}
done
files
heartbeats
shut_down
run/netcount.py total "$job/count.json" >"$job/step.log" 2>&1 || {
	cat "$job/step.log" >&2
	fail 'in all'
}
say "$(cat "$job/step.log"), $tagged tagged frames"
echo 'network job: ok'
