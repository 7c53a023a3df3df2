#!/bin/bash
# lint.sh [CHECK...] : static checks, all or those named.  Each prints what it
# found and then `ok NAME`, `FAIL NAME` or `skip NAME: why`.  Exits 1 if any
# failed.  clang-tidy takes its flags from build/asan (tools/build.sh asan).
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0

sources() {
	git ls-files -co --exclude-standard -- "$@" | while read -r f; do
		[ -f "$f" ] && printf '%s\n' "$f"
	done
}

check_text() { tools/checkstyle.py text; }
check_style9() { tools/checkstyle.py c; }
check_size() { tools/checkstyle.py size; }
check_wire() { tools/checkstyle.py wire; }
check_layers() { tools/checkstyle.py layers; }
check_modules() { tools/checkstyle.py modules; }
check_leftovers() { tools/checkstyle.py leftovers; }

check_format() {
	sources '*.c' '*.h' | xargs -r tools/checkformat.py
}

check_clang-tidy() { tools/tidy.py build/asan; }

check_cppcheck() {
	local fbsd macros
	# Macros of FreeBSD's headers, as far as they matter to the analysis.
	macros=(-D__FreeBSD__=15 -D_KERNEL -D__x86_64__
	    -D'KASSERT(e,msg)=((e)?(void)0:abort())'
	    -D'__BUS_ACCESSOR(a,b,c,d,e)=' -D'__alignof(x)=64'
	    -D'GENERATIONCMP(a,op,b)=(a op b)'
	    -D'timevalcmp(a,b,op)=((a)->tv_sec op (b)->tv_sec)'
	    -D'bintime_cmp(a,b,op)=((a)->sec op (b)->sec)'
	    -D'CK_STAILQ_FOREACH(v,h,f)=STAILQ_FOREACH(v,h,f)'
	    -D'CK_LIST_HEAD(n,t)=LIST_HEAD(n,t)'
	    -D'CK_LIST_FOREACH(v,h,f)=LIST_FOREACH(v,h,f)')
	fbsd=$(echo .venv/lib/python3*/site-packages/ziglang/lib/libc/include)
	fbsd=${FREEBSD_HEADERS:-$fbsd}/generic-freebsd
	mkdir -p build/cppcheck
	cppcheck --quiet -j2 --cppcheck-build-dir=build/cppcheck \
	    --enable=warning,portability,performance --std=c11 --inline-suppr \
	    --library=posix --suppressions-list=tools/cppcheck.supp \
	    --include="$fbsd/sys/queue.h" --include="$fbsd/sys/tree.h" \
	    "${macros[@]}" \
	    -Ihost -Ihost/include -Ikpi -Isys -Irun -Itools/userland \
	    --error-exitcode=1 host kpi run sys usr.sbin tests bench 2>&1
}

check_manual() {
	local pages
	pages=$(sources 'share/man/*.[0-9]' 'usr.sbin/*.8')
	if [ -z "$pages" ]; then
		echo 'skip manual: there is no manual page'
		return 2
	fi
	# Cross references to FreeBSD's own pages cannot be found here.  What
	# mandoc says of its database comes elsewhere, amid a line of these.
	printf '%s\n' "$pages" |
	    xargs mandoc -Tlint -W style -I os=FreeBSD 2>/dev/null |
	    grep -v 'referenced manual not found' |
	    grep . && return 1
	return 0
}

check_scripts() {
	local f bad=0
	for f in $(sources '*.sh' .ci/run 'libexec/rc/rc.d/*' \
	    'usr.sbin/hyperv/*/scripts/*'); do
		case $(head -1 "$f") in
		*bash) bash -n "$f" || bad=1 ;;
		*) sh -n "$f" || bad=1 ;;
		esac
	done
	for f in $(sources '*.py'); do
		python3 - "$f" <<-'EOP' || bad=1
		import ast, sys
		ast.parse(open(sys.argv[1]).read(), sys.argv[1])
		EOP
	done
	return $bad
}

all='text style9 format size wire layers modules leftovers scripts manual cppcheck
    clang-tidy'
for c in ${*:-$all}; do
	"check_$c"
	case $? in
	0)	echo "ok $c" ;;
	2)	;;
	*)	echo "FAIL $c"; failed=1 ;;
	esac
done
exit $failed
