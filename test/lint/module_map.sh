#!/bin/sh
# docs/design.md says what each file of the server module and each domain file of the
# command line owns, and names none that is not there.
. "$(dirname "$0")/lib.sh"

map=docs/design.md
# cmd_*.c are one layer, described as such.
for file in $(files 'extension/src/*.c' 'cli/src/*.c' | grep -v '/cmd_[a-z_]*\.c$'); do
    # shellcheck disable=SC2016 # the back ticks are Markdown's
    grep -qF '`'"$(basename "$file")"'`' "$map" || complain "$map: $file is not in the map of the modules"
done
# shellcheck disable=SC2016
sed -n 's/^\(| `[^|]*|\).*/\1/p' "$map" | grep -oE '`[a-z_0-9]+\.c`' | tr -d '`' | sort -u |
    while IFS= read -r name; do
        [ -f "extension/src/$name" ] || [ -f "cli/src/$name" ] || echo "$map: there is no $name"
    done | complain_each
finish
