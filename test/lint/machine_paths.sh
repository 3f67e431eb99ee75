#!/bin/sh
# No path of somebody's machine and no private host in any file.
. "$(dirname "$0")/lib.sh"

paths='(^|[^A-Za-z0-9_.$}~/-])/(work|farm|root|home|Users|mnt|srv)/[A-Za-z0-9_.-]'
hosts='(artifact[-]?registry|pkg\.dev|\.internal\b|\.corp\b|proxy\.[a-z]+\.[a-z]+:[0-9]+)'
files '*' | grep -v '^test/lint/' | while IFS= read -r file; do
    grep -nIE "$paths|$hosts" "$file" /dev/null
done | complain_each
finish
