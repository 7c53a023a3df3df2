#!/bin/sh
# setup.sh : sees to it that the tools and headers this project needs are on
# the machine.  It looks for the very files, so a machine that has them all
# passes without asking any package manager.  What is missing is installed with
# apt-get; FreeBSD's headers come as a Python wheel into .venv, inside the
# project.  Nothing else on the machine is touched.
set -eu
cd "$(dirname "$0")/.."

ZIGLANG=0.17.1

# package, then what proves its presence: a command, or a file (a pattern).
NEEDS='
clang			clang
lld			ld.lld
llvm			llvm-objcopy
libclang-rt-dev		/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.tsan-*
clang-format		clang-format
clang-19		clang-19
clang-tidy		clang-tidy
cppcheck		cppcheck
mandoc			mandoc
meson			meson
ninja-build		ninja
pkg-config		pkg-config
libc6-dev		/usr/include/stdlib.h
libck-dev		/usr/include/ck_queue.h
libatf-dev		/usr/include/atf-c.h
acpica-tools		iasl
kyua			kyua
liburing-dev		/usr/include/liburing.h
libnbd-dev		/usr/include/libnbd.h
libjansson-dev		/usr/include/jansson.h
libbsd-dev		/usr/include/bsd/libutil.h
libseccomp-dev		/usr/include/seccomp.h
libslirp-dev		/usr/include/slirp/libslirp.h
libnbd-bin		nbdcopy
fuse3			fusermount3
fio			fio
e2fsprogs		mke2fs
ethtool			ethtool
iperf3			iperf3
iproute2		ip
makefs			makefs
valgrind		valgrind
qemu-system-x86		qemu-system-x86_64
busybox-static		/usr/share/doc/busybox-static
git			git
python3			python3
'

have() {
	case $1 in
	/*)	for f in $1; do
			[ -e "$f" ] && return 0
		done
		return 1 ;;
	*)	command -v "$1" >/dev/null 2>&1 ;;
	esac
}

have_wheel() {
	set -- .venv/lib/python3*/site-packages
	[ -e "$1/ziglang-$ZIGLANG.dist-info/RECORD" ] &&
	    [ -e "$1/ziglang/lib/libc/include/generic-freebsd/sys/bus.h" ]
}

# mke2fs lives in /usr/sbin, which is not on everybody's path.
PATH=$PATH:/usr/sbin:/sbin

missing=
IFS='
'
for line in $NEEDS; do
	pkg=${line%%	*}
	have "${line##*	}" || missing="$missing $pkg"
done
unset IFS
if ! have_wheel && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
	missing="$missing python3-venv"
fi

if [ -n "$missing" ]; then
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "setup: missing, and there is no apt-get to install it" \
		    "(names as in Debian 12):$missing" >&2
		exit 1
	fi
	if [ "$(id -u)" -eq 0 ]; then
		root=env
	elif sudo -n true 2>/dev/null; then
		root='sudo -n'
	else
		echo "setup: missing packages:$missing" >&2
		echo "setup: not root; run: sudo apt-get install" \
		    "--no-install-recommends$missing" >&2
		exit 1
	fi
	mkdir -p build
	echo "setup: installing Debian packages:$missing"
	echo "setup: (log: build/setup.log)"
	apt() {
		$root DEBIAN_FRONTEND=noninteractive apt-get -q "$@" \
		    >>build/setup.log 2>&1 </dev/null
	}
	: >build/setup.log
	# The lists may be absent or too old to find the packages' files.
	if ! { apt update && apt install -y --no-install-recommends $missing
	    }; then
		tail -20 build/setup.log >&2
		echo "setup: apt-get failed; missing packages:$missing" >&2
		exit 1
	fi
fi

if ! have_wheel; then
	echo "setup: installing the Python wheel ziglang $ZIGLANG" \
	    "(FreeBSD's headers) into .venv"
	mkdir -p build
	rm -rf .venv
	if ! { python3 -m venv .venv &&
	    .venv/bin/python -m pip install --disable-pip-version-check \
	    --no-deps "ziglang==$ZIGLANG"; } >>build/setup.log 2>&1; then
		tail -20 build/setup.log >&2
		echo "setup: the wheel could not be installed" >&2
		exit 1
	fi
	have_wheel || {
		echo "setup: the wheel lacks FreeBSD's headers" >&2
		exit 1
	}
fi
