#!/bin/sh
# fuzz.sh SECONDS : runs each fuzzer of build/fuzz for so long.  What they learn
# is kept in build/corpus; a crash is kept there as well and named.
set -eu
cd "$(dirname "$0")/.."
seconds=$1

failed=
found=
for f in build/fuzz/tests/fuzz/fuzz_*; do
	[ -f "$f" ] && [ -x "$f" ] || continue
	found=1
	name=${f##*/}
	corpus=build/corpus/$name
	mkdir -p "$corpus"
	printf '%s: %s seconds\n' "$name" "$seconds"
	# Where each input boots drivers, long ones are no slower.
	case $name in
	fuzz_hostile_*)	lengths=-len_control=0 ;;
	*)		lengths=-len_control=100 ;;
	esac
	if ! "$f" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
	    $lengths -print_final_stats=1 -artifact_prefix="$corpus/../$name-" \
	    "$corpus" >"build/$name.log" 2>&1; then
		tail -40 "build/$name.log"
		failed="$failed $name"
	fi
	grep -E 'number_of_executed_units|new_units_added' "build/$name.log" ||
	    true
done
if [ -z "$found" ]; then
	echo 'fuzz: there is no fuzzer in build/fuzz/tests/fuzz' >&2
	exit 1
fi
if [ -n "$failed" ]; then
	echo "fuzz: FAILED:$failed" >&2
	exit 1
fi
echo 'fuzz: ok'
