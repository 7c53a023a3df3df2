#!/bin/sh
# build.sh VARIANT [TARGET...] : configures build/VARIANT if need be and builds
# it.  Variants: release (what `make run` and `make bench` use), asan (address
# and undefined behaviour), tsan (threads), fuzz (asan with libFuzzer).
# FREEBSD_HEADERS=folder: headers other than those of make setup.
set -eu
cd "$(dirname "$0")/.."
variant=$1; shift
dir=build/$variant

headers=${FREEBSD_HEADERS:-$(echo "$PWD"/.venv/lib/python3*/site-packages/ziglang/lib/libc/include)}
case $variant in
release) opts='-Dbuildtype=release -Ddebug=true -Dinvariants=false' ;;
asan)	opts='-Db_sanitize=address,undefined' ;;
tsan)	opts='-Db_sanitize=thread' ;;
fuzz)	opts='-Db_sanitize=address,undefined -Dfuzz=true' ;;
*)	echo "build.sh: no variant $variant" >&2; exit 1 ;;
esac

# A folder that was configured for other headers or from elsewhere is stale.
stamp="$PWD $headers $opts"
if [ ! -e "$dir/build.ninja" ] ||
    [ "$(cat "$dir/variant.stamp" 2>/dev/null)" != "$stamp" ]; then
	rm -rf "$dir"
	mkdir -p build
	if ! CC=clang meson setup "$dir" -Dfreebsd_headers="$headers" $opts \
	    >"build/$variant.setup.log" 2>&1; then
		cat "build/$variant.setup.log"
		exit 1
	fi
	printf '%s\n' "$stamp" >"$dir/variant.stamp"
fi
if ! ninja -C "$dir" "$@" >"build/$variant.build.log" 2>&1; then
	grep -vE '^(\[[0-9]+/[0-9]+\] |ninja: Entering)' \
	    "build/$variant.build.log" | head -200
	echo "build/$variant failed; whole log: build/$variant.build.log" >&2
	exit 1
fi
