#!/bin/sh
# PG_VERSION_NUM is looked at in extension/include/compat.h and nowhere else.
. "$(dirname "$0")/lib.sh"

files '*.c' '*.h' | grep -vx extension/include/compat.h |
    while IFS= read -r file; do grep -n 'PG_VERSION_NUM' "$file" /dev/null; done | complain_each
finish
