#!/bin/sh
# link_kernel.sh OUT LIB... : joins static libraries of FreeBSD-side objects to
# one object whose global symbols, but for kpi_* and ktest_*, are local, so
# that the kernel's malloc(9) or printf(9) never meets libc's.  What it still
# wants from outside must be on the list below.
set -eu
out=$1; shift
ld.lld -r -o "$out.tmp" --whole-archive "$@"
llvm-objcopy --wildcard --keep-global-symbol='kpi_*' \
    --keep-global-symbol='ktest_*' "$out.tmp" "$out"
rm -f "$out.tmp"
bad=$(llvm-nm -u "$out" | awk '{print $NF}' | grep -vE \
    '^(hosted_.*|__(start|stop)_.*|_*(asan|ubsan|tsan|sancov|sanitizer|msan)_.*|mem(cpy|set|move|cmp|chr)|bcmp|str(len|cmp|ncmp|lcpy|chr|rchr|stp)|_GLOBAL_OFFSET_TABLE_|__odr_asan.*|__llvm_.*)$' || true)
if [ -n "$bad" ]; then
	echo "$out: symbols that the hosted kernel lacks:" >&2
	printf '%s\n' "$bad" | sed 's/^/  /' >&2
	rm -f "$out"
	exit 1
fi
