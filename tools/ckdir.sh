#!/bin/sh
# Makes DIR/ck, a folder of links to Concurrency Kit's headers alone.
set -eu
d="$1/ck"
mkdir -p "$d"
for f in /usr/include/ck_*.h /usr/include/gcc /usr/include/spinlock; do
	if [ -e "$f" ]; then
		ln -sfn "$f" "$d/${f##*/}"
	fi
done
printf '%s\n' "$d"
