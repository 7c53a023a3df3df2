#!/bin/bash
# servicejob.sh : boots the hosted guest with all integration services, its
# daemons beside it, and has the host use each: heartbeat, time, key-value pairs,
# a snapshot, a file, shutdown.  The daemons are those of FreeBSD, built for this
# machine; file systems to be frozen are stand-ins.  Ends with `service job: ok',
# or says what was wrong, and exits 1.
#
#	MB=256		of the file that is copied
#	KEYS=1000	key-value pairs
#	BUILD=folder	another build than build/release
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

build=${BUILD:-build/release}
job=build/run/services
mb=${MB:-256}
keys=${KEYS:-1000}
daemons=$PWD/$build/usr.sbin/hyperv
ctl=$PWD/$build/host/control/hvctl
export HVHOST_CONTROL=$PWD/$job/control
pids= vmpid=
start=$SECONDS

say() {
	printf '[%3d s] %s\n' $((SECONDS - start)) "$*"
}

fail() {
	printf 'service job: FAILED: %s\n' "$*" >&2
	exit 1
}

cleanup() {
	for p in $pids $vmpid; do
		kill -TERM "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
}
trap cleanup EXIT
trap 'exit 1' INT TERM

rm -rf "$job"
mkdir -p "$job/fs" "$job/pool" "$job/in" || exit 1
dd if=/dev/urandom of="$job/file" bs=1M count="$mb" status=none || exit 1

"$build/run/hostedvm" --quiet --net user --control "$job/control" \
    --dev hv_kvp_dev="$job/kvp" --dev hv_fsvss_dev="$job/vss" \
    --dev hv_fcopy_dev="$job/fcopy" >"$job/log" 2>&1 &
vmpid=$!
for i in $(seq 600); do
	[ -S "$job/control" ] && break
	kill -0 $vmpid 2>/dev/null || fail "hostedvm: $(tail -1 "$job/log")"
	sleep 0.1
done

# /, /var and a pool, /usr read-only, and memory.
cat >"$job/fs/mounts" <<'END'
1 ufs rw local / 0 0
2 ufs rw local /var 0 0
3 ufs ro local /usr 0 0
4 zfs rw local /pool 0 0
5 tmpfs rw local /tmp 0 0
END
: >"$job/fs/suspend"
"$daemons/hv_kvp_daemon/hv_kvp_daemon" -dR -D "$job/kvp" -P "$job/kvp.pid" \
    -p "$job/pool" 2>"$job/kvp.log" &
pids="$pids $!"
HV_COMPAT_FS=$job/fs "$daemons/hv_vss_daemon/hv_vss_daemon" -d \
    -D "$job/vss" -p "$job/vss.pid" 2>"$job/vss.log" &
pids="$pids $!"
"$daemons/hv_fcopy_daemon/hv_fcopy_daemon" -d -D "$job/fcopy" \
    -p "$job/fcopy.pid" -r "$job/in" 2>"$job/fcopy.log" &
pids="$pids $!"
for i in $(seq 100); do
	"$ctl" kvp list >/dev/null 2>&1 && "$ctl" vss check >/dev/null 2>&1 &&
	    break
	sleep 0.1
done
"$ctl" services || fail 'the services'

say "heartbeat: $("$ctl" heartbeat)" || fail heartbeat
"$ctl" time step 5s >"$job/time" || fail 'the clock does not follow'
say "time: $(tail -1 "$job/time")"

"$ctl" kvp list >"$job/facts" || fail 'key-value pairs'
grep -q OSName "$job/facts" || fail 'facts about the guest'
took=$(run/kvpmany.py "$job/control" "$keys") || fail 'setting keys'
"$ctl" kvp list --pool external >"$job/pairs" || fail 'the pool'
[ "$(grep -c '^key ' "$job/pairs")" = "$keys" ] ||
    fail "the pool has other pairs: $(head -2 "$job/pairs")"
[ "$("$ctl" kvp get "key $keys")" = "value $keys ä" ] || fail 'reading a key'
"$ctl" kvp delete 'key 1' >/dev/null || fail 'deleting a key'
"$ctl" kvp get 'key 1' >/dev/null 2>&1 && fail 'a deleted key'
say "key-value pairs: $(wc -l <"$job/facts") facts; $keys pairs set in $took ms," \
    "read back"
[ "$took" -lt $((1000 + keys)) ] || fail 'that is too long'

began=$(date +%s%N)
"$ctl" vss snapshot --hold 0s >"$job/snapshot" || fail 'a snapshot'
say "snapshot: check, freeze, thaw in" \
    "$((($(date +%s%N) - began) / 1000000)) ms"

began=$(date +%s%N)
"$ctl" copy "$job/file" /some/folder/file --create-path >"$job/copy" ||
    fail 'copying a file'
cmp "$job/file" "$job/in/some/folder/file" || fail 'the file is another one'
[ "$(sha256sum <"$job/file")" = \
    "$(sha256sum <"$job/in/some/folder/file")" ] || fail 'SHA-256'
say "file copy: $mb MiB, SHA-256 equal, in" \
    "$((($(date +%s%N) - began) / 1000000)) ms"
"$ctl" copy "$job/file" /../escaped >/dev/null 2>&1 &&
    fail 'a file outside of the directory'

"$ctl" shutdown >"$job/shutdown" || fail 'shutdown is refused'
for i in $(seq 100); do
	kill -0 $vmpid 2>/dev/null || break
	sleep 0.1
done
kill -0 $vmpid 2>/dev/null && fail 'the guest does not end'
wait $vmpid || fail "hostedvm: $(tail -1 "$job/log")"
vmpid=
say "shutdown: $(grep 'init(8)' "$job/log")"
for p in $pids; do
	wait "$p" || fail "a daemon: $(cat "$job"/*.log | tail -1)"
done
pids=
echo 'service job: ok'
