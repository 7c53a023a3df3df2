#!/bin/sh
# headers.sh RELEASE : prints the folder of FreeBSD's headers of that release,
# 15 or 14, as a folder that holds generic-freebsd and x86_64-freebsd-none.
# Those of 15 are in the wheel that setup.sh installs.  Those of 14 come from an
# older one, of which only the headers are kept, in .venv/freebsd14.
set -eu
cd "$(dirname "$0")/.."

ZIGLANG14=0.15.2

case $1 in
15)	echo "$PWD"/.venv/lib/python3*/site-packages/ziglang/lib/libc/include
	exit 0 ;;
14)	;;
*)	echo "headers.sh: no headers of FreeBSD $1" >&2
	exit 1 ;;
esac

dir=$PWD/.venv/freebsd14
if [ "$(cat "$dir/version" 2>/dev/null)" != "$ZIGLANG14" ]; then
	echo "setup: fetching the Python wheel ziglang $ZIGLANG14 for" \
	    "FreeBSD 14's headers, into .venv/freebsd14" >&2
	mkdir -p build
	rm -rf "$dir"
	mkdir -p "$dir/wheel"
	if ! .venv/bin/python -m pip download --disable-pip-version-check \
	    --no-deps -d "$dir/wheel" "ziglang==$ZIGLANG14" \
	    >build/headers.log 2>&1; then
		tail -20 build/headers.log >&2
		echo "setup: the wheel could not be downloaded" >&2
		exit 1
	fi
	.venv/bin/python - "$dir" <<-'PY'
	import glob, os, sys, zipfile
	top = sys.argv[1]
	prefix = "ziglang/lib/libc/include/"
	with zipfile.ZipFile(glob.glob(top + "/wheel/*.whl")[0]) as wheel:
	    for name in wheel.namelist():
	        rest = name[len(prefix):]
	        if name.startswith(prefix) and not name.endswith("/") and \
	            rest.split("/")[0] in ("generic-freebsd",
	                                   "x86_64-freebsd-none"):
	            path = os.path.join(top, rest)
	            os.makedirs(os.path.dirname(path), exist_ok=True)
	            with open(path, "wb") as out:
	                out.write(wheel.read(name))
	PY
	rm -rf "$dir/wheel"
	echo "$ZIGLANG14" >"$dir/version"
fi
echo "$dir"
