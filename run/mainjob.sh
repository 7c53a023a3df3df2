#!/bin/bash
# mainjob.sh : boots the hosted guest with a disk behind our drivers and does
# real work on it from outside, through the guest's da0: verified random and
# sequential I/O, a file system, a tree of real files.  Every byte is compared.
# Ends with the counters of each device and `main job: ok', or says what was
# wrong where, and exits 1.
#
#	DISK=file	use this image instead of one made on the spot: it is
#			only read, unless WRITE=1 says that it may be destroyed
#	CPUS=4		virtual processors
#	HOSTEDVM=prog	another build's hostedvm
#	VMFLAGS=...	further options for it (hostedvm --help)
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

job=build/run
vm=${HOSTEDVM:-build/release/run/hostedvm}
cpus=${CPUS:-4}
image=${DISK:-$job/da0.img}
socket=$job/nbd.sock
uri="nbd+unix:///da0?socket=$socket"
tree_mb=100		# of real files
image_mb=256
boot_seconds=60
vmpid= fusepid= teepid=
start=$SECONDS

say() {
	printf '[%3d s] %s\n' $((SECONDS - start)) "$*"
}

fail() {
	printf 'main job: FAILED: %s\n' "$*" >&2
	exit 1
}

# run WHAT COMMAND... : its output goes to a log, shown if it fails.
run() {
	local what=$1
	shift
	if ! "$@" >"$job/step.log" 2>&1; then
		tail -40 "$job/step.log" >&2
		fail "$what"
	fi
}

cleanup() {
	fuse_off
	if [ -n "$vmpid" ]; then
		kill -TERM "$vmpid" 2>/dev/null
		wait "$vmpid" 2>/dev/null
	fi
	exec 3<&-
	rm -f "$job/console.fifo"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# --- The guest ---

make_image() {
	if [ -n "${DISK:-}" ]; then
		[ -e "$DISK" ] || fail "DISK=$DISK: no such file"
		[ -s "$DISK" ] || [ -b "$DISK" ] || fail "DISK=$DISK is empty"
		return
	fi
	rm -f "$image"
	truncate -s ${image_mb}M "$image" || fail "$image cannot be made"
}

# Shows the console until the guest says that its disk is there.
boot() {
	local line ready=

	[ -x "$vm" ] || fail "$vm is not built"
	rm -f "$job/console.fifo" "$job/console.log"
	mkfifo "$job/console.fifo" || fail "$job/console.fifo cannot be made"
	# shellcheck disable=SC2086
	"$vm" --cpus "$cpus" --disk "$image" --nbd "$socket" \
	    --stats "$job/stats.json" $vmopts ${VMFLAGS:-} \
	    >"$job/console.fifo" 2>&1 &
	vmpid=$!
	exec 3<"$job/console.fifo"
	while IFS= read -r -t $boot_seconds line <&3; do
		printf '%s\n' "$line" | tee -a "$job/console.log"
		case $line in
		"ready $uri") ready=1; break ;;
		esac
	done
	[ -n "$ready" ] || fail "the guest did not come up with da0"
	tee -a "$job/console.log" <&3 &
	teepid=$!
}

shut_down() {
	local status

	say 'shutting the guest down'
	kill -TERM "$vmpid" 2>/dev/null
	wait "$vmpid"
	status=$?
	vmpid=
	wait "$teepid"
	[ $status -eq 0 ] || fail "the guest ended with status $status"
}

# --- Ways to the disk ---

fuse_works() {
	[ -w /dev/fuse ] && command -v nbdfuse >/dev/null 2>&1
}

# Each time anew, so that no page cache of the last time answers for the disk.
fuse_on() {
	mkdir -p "$job/mnt"
	rm -f "$job/nbdfuse.pid"
	nbdfuse --pidfile "$job/nbdfuse.pid" "$@" "$job/mnt/da0" "$uri" \
	    >"$job/nbdfuse.log" 2>&1 &
	fusepid=$!
	for _ in $(seq 100); do
		[ -s "$job/nbdfuse.pid" ] && return
		kill -0 $fusepid 2>/dev/null || break
		sleep 0.1
	done
	cat "$job/nbdfuse.log" >&2
	fail 'nbdfuse did not start'
}

fuse_off() {
	[ -n "$fusepid" ] || return 0
	fusermount3 -u "$job/mnt" 2>/dev/null || umount "$job/mnt" 2>/dev/null
	wait "$fusepid"
	fusepid=
}

# Direct, by the same protocol: everything da0 holds, to standard output.
whole_disk() {
	nbdcopy --request-size=1048576 "$uri" -
}

# --- Jobs ---

# fio_job NAME ARGUMENTS... : fio's own NBD engine on the whole disk.
fio_job() {
	local name=$1
	shift
	say "fio: $name"
	if ! fio --name=job --ioengine=nbd --uri="$uri" --thread=0 \
	    --randseed=15 --output-format=normal --eta=never \
	    --verify_state_save=0 "$@" \
	    >"$job/fio.log" 2>&1; then
		cat "$job/fio.log" >&2
		fail "fio: $name"
	fi
	sed -n 's/^ *\(read\|write\): \(IOPS=[^(]*\).*/          \1 \2/p' \
	    "$job/fio.log"
}

fio_verified() {
	local v='--verify=crc32c --verify_fatal=1 --do_verify=1'

	fio_job 'random 4 KiB, depth 1, verified' $v --rw=randwrite --bs=4k \
	    --iodepth=1 --size=128m --io_size=16m
	fio_job 'random 4 KiB, depth 32, verified' $v --rw=randwrite --bs=4k \
	    --iodepth=32 --size=128m --io_size=96m
	fio_job 'sequential 1 MiB, depth 1, verified' $v --rw=write --bs=1m \
	    --iodepth=1 --size=${image_mb}m
	fio_job 'sequential 1 MiB, depth 32, verified' $v --rw=write --bs=1m \
	    --iodepth=32 --size=${image_mb}m
	fio_job 'mixed sizes with flushes, depth 32, verified' $v \
	    --rw=randwrite --bssplit=512/20:4k/40:20k/20:64k/15:1m/5 \
	    --blockalign=512 --norandommap=0 --fsync=16 --iodepth=32 \
	    --size=128m --io_size=96m
	fio_job 'random 4 KiB, reads and writes at once, depth 32' \
	    --rw=randrw --bs=4k --iodepth=32 --size=128m --io_size=96m
}

fio_reads() {
	local size
	size=$(nbdinfo --size "$uri") || fail 'nbdinfo'
	[ "$size" -le $((image_mb << 20)) ] || size=$((image_mb << 20))

	fio_job 'random 4 KiB reads, depth 1' --rw=randread --bs=4k \
	    --iodepth=1 --size="$size" --io_size=16m --readonly
	fio_job 'random 4 KiB reads, depth 32' --rw=randread --bs=4k \
	    --iodepth=32 --size="$size" --io_size=128m --readonly
	fio_job 'sequential 1 MiB reads, depth 32' --rw=read --bs=1m \
	    --iodepth=32 --size="$size" --readonly
}

# Real files, as they are on this machine, into $job/tree.
gather_tree() {
	local from left=$((tree_mb * 1024)) list=$job/tree.list

	rm -rf "$job/tree" "$job/back"
	mkdir -p "$job/tree"
	# Folders in turn, files in order of name, until there is enough.
	for from in /usr/include /usr/share/doc /usr/lib/python3 \
	    /usr/share/perl /usr/lib/x86_64-linux-gnu; do
		[ -d $from ] && find $from -xdev -type f -size -8192k \
		    -readable -printf '%k %P\0' | sort -z -k2 |
		    awk -v RS='\0' -v ORS='\0' -v from=$from -v left=$left '
			{ kb = $1; sub(/^[0-9]+ /, "") }
			(left -= kb + 4) < 0 { exit }
			{ print from "/" $0 }' >"$list"
		tar -c --null --no-recursion --absolute-names -T "$list" |
		    tar -x -C "$job/tree" --transform='s,^/,,' ||
		    fail "files of $from could not be copied"
		left=$((tree_mb * 1024 - $(du -sk "$job/tree" | cut -f1)))
		[ $left -gt 2048 ] || break
	done
	hashes "$job/tree" >"$job/tree.sha256"
	say "a tree of $(wc -l <"$job/tree.sha256") files," \
	    "$(du -sm "$job/tree" | cut -f1) MiB"
}

hashes() {
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}

mkfs() {
	mke2fs -q -F -t ext4 -b 4096 -E nodiscard,lazy_itable_init=0 \
	    -d "$job/tree" "$1"
}

# Takes the files out of the file system in $1.
read_back() {
	mkdir -p "$job/back"
	debugfs -R "rdump / $job/back" "$1"
	rm -rf "$job/back/lost+found"
}

compare_trees() {
	hashes "$job/back" >"$job/back.sha256"
	if ! diff "$job/tree.sha256" "$job/back.sha256" >"$job/step.log"; then
		head -20 "$job/step.log" >&2
		fail 'files read back differ from their sources (< source,' \
		    '> read back)'
	fi
	say "$(wc -l <"$job/back.sha256") files read back," \
	    'SHA-256 of each as in its source'
}

file_system_by_fuse() {
	say 'mkfs and the tree, through da0 (nbdfuse)'
	fuse_on
	run 'mkfs on da0' mkfs "$job/mnt/da0"
	fuse_off
	say 'fsck and reading back'
	fuse_on --readonly
	run 'fsck of da0' e2fsck -fn "$job/mnt/da0"
	run 'reading the files from da0' read_back "$job/mnt/da0"
	fuse_off
}

file_system_by_copy() {
	local there=$job/there.img back=$job/back.img

	say 'mkfs and the tree, copied to da0 (nbdcopy: no /dev/fuse)'
	rm -f "$there" "$back"
	truncate -s "$(nbdinfo --size "$uri")" "$there" "$back"
	run mkfs mkfs "$there"
	run 'copying to da0' nbdcopy --flush "$there" "$uri"
	say 'fsck and reading back'
	run 'copying from da0' nbdcopy "$uri" "$back"
	run 'fsck of what da0 holds' e2fsck -fn "$back"
	run 'reading the files' read_back "$back"
	rm -f "$there" "$back"
}

# The image must hold what the guest said it wrote.
compare_image() {
	local there

	there=$(sha256sum <"$image") || fail "$image cannot be read"
	[ "$there" = "$through" ] ||
	    fail "$image differs from what was read through da0"
	say "the image is what da0 showed: SHA-256 ${through%% *}"
}

# --- The main job ---

mkdir -p "$job"
vmopts=
write=1
if [ -n "${DISK:-}" ] && [ "${WRITE:-0}" != 1 ]; then
	write=0
	vmopts=--readonly
	echo "DISK=$DISK is only read; WRITE=1 destroys its contents"
fi
make_image
boot

if [ $write -eq 1 ]; then
	size=$(nbdinfo --size "$uri") || fail 'nbdinfo'
	[ "$size" -ge $((image_mb << 20)) ] ||
	    fail "the job needs a disk of $image_mb MiB at least"
	fio_verified
	gather_tree
	if fuse_works; then
		file_system_by_fuse
	else
		file_system_by_copy
	fi
	compare_trees
else
	fio_reads
fi
say 'reading the whole disk'
through=$(set -o pipefail; whole_disk | sha256sum) || fail 'reading da0'
shut_down
compare_image
say 'done'
echo 'main job: ok'
