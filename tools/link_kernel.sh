#!/bin/sh
# link_kernel.sh OUT LIB... : joins static libraries of FreeBSD-side objects to
# one object whose global symbols, but for kpi_* and ktest_*, are local, so
# that the kernel's malloc(9) or printf(9) never meets libc's.  What it still
# wants from outside must be on the list below.
#
# Each library is a linker file (kpi/kern/kern_linker.c): marks before and
# behind its objects delimit its part of the linker sets.  libfbsd_kern,
# libfbsd_cam, libfbsd_net and libfbsd_ktest* are the kernel; the others can be
# loaded, and have their variables in a section of their own, which the kernel
# sets back to what it was each time they are.
set -eu
out=$1; shift
dir="$out.d"
mkdir -p "$dir"
sets="sysinit_set sysuninit_set modmetadata_set sysctl_set"

mark()		# NAME begin|end
{
	for s in $sets; do
		printf '.section set_%s,"aw",@progbits\n.balign 8\n' "$s"
		printf '.globl kpifile_%s_%s_%s\nkpifile_%s_%s_%s:\n' \
		    "$1" "$s" "$2" "$1" "$s" "$2"
	done
}

entry()		# NAME LOADABLE
{
	printf '.section .data.rel,"aw",@progbits\n.balign 8\nfile_%s:\n' "$1"
	printf '.quad name_%s, %d\n' "$1" "$2"
	for s in $sets; do
		printf '.quad kpifile_%s_%s_begin, kpifile_%s_%s_end\n' \
		    "$1" "$s" "$1" "$s"
	done
	if [ "$2" = 1 ]; then
		printf '.weak __start_kpidata_%s, __stop_kpidata_%s\n' \
		    "$1" "$1"
		printf '.quad __start_kpidata_%s, __stop_kpidata_%s\n' \
		    "$1" "$1"
	else
		printf '.quad 0, 0\n'
	fi
	printf '.section .rodata\nname_%s: .asciz "%s"\n' "$1" "$1"
	printf '.section set_kpi_file_set,"aw",@progbits\n.balign 8\n'
	printf '.quad file_%s\n' "$1"
}

own_data()	# NAME LIBRARY: one object, variables in kpidata_NAME
{
	ld.lld -r -o "$dir/$1.o" --whole-archive "$2"
	args=
	for s in $(llvm-readelf -S --wide "$dir/$1.o" |
	    sed -n 's/^ *\[ *[0-9]*\] \(\.\(data\|bss\)[^ ]*\) .* WA .*/\1/p' |
	    sort -u); do
		args="$args --rename-section $s=kpidata_$1,alloc,load,data,contents"
	done
	# shellcheck disable=SC2086
	llvm-objcopy $args "$dir/$1.o"
}

objs=
for lib; do
	name=${lib##*/lib}
	name=${name#fbsd_}
	name=${name%.a}
	loadable=1
	case $name in
	kern|cam|net|ktest*|bench*) loadable=0 ;;
	esac
	mark "$name" begin > "$dir/$name.begin.s"
	{ mark "$name" end; entry "$name" "$loadable"; } > "$dir/$name.end.s"
	for m in begin end; do
		clang -c --target=x86_64-linux-gnu -o "$dir/$name.$m.o" \
		    "$dir/$name.$m.s"
	done
	if [ "$loadable" = 1 ]; then
		own_data "$name" "$lib"
		lib="$dir/$name.o"
	else
		lib="--whole-archive $lib --no-whole-archive"
	fi
	objs="$objs $dir/$name.begin.o $lib $dir/$name.end.o"
done
# shellcheck disable=SC2086
ld.lld -r -o "$out.tmp" $objs
llvm-objcopy --wildcard --keep-global-symbol='kpi_*' \
    --keep-global-symbol='ktest_*' "$out.tmp" "$out"
rm -f "$out.tmp"
bad=$(llvm-nm -u "$out" | awk '$1 != "w" {print $NF}' | grep -vE \
    '^(hosted_.*|__(start|stop)_.*|_*(asan|ubsan|tsan|sancov|sanitizer|msan)_.*|mem(cpy|set|move|cmp|chr)|bcmp|str(len|cmp|ncmp|lcpy|chr|rchr|stp)|_GLOBAL_OFFSET_TABLE_|__odr_asan.*|__llvm_.*)$' || true)
if [ -n "$bad" ]; then
	echo "$out: symbols that the hosted kernel lacks:" >&2
	printf '%s\n' "$bad" | sed 's/^/  /' >&2
	rm -f "$out"
	exit 1
fi
