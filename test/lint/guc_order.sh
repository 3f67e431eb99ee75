#!/bin/sh
# Settings are defined in alphabetical order, and docs/settings.md describes each.
. "$(dirname "$0")/lib.sh"

names=$(awk '/DefineCustom[A-Za-z]+Variable\(/ { want = 1 }
    want && match($0, /"upg\.[a-z0-9_]+"/) { print substr($0, RSTART + 1, RLENGTH - 2); want = 0 }' \
    extension/src/guc.c)
defined=$(grep -c 'DefineCustom[A-Za-z]*Variable(' extension/src/guc.c)
[ "$(printf '%s\n' "$names" | grep -c .)" = "$defined" ] ||
    complain "extension/src/guc.c: a setting's name is not a literal that begins with upg."
printf '%s\n' "$names" | sort -c 2>&1 | sed 's/^/extension\/src\/guc.c: /' | complain_each
for name in $names; do
    grep -q "^### \`$name\`" docs/settings.md || complain "docs/settings.md: $name has no section"
done
# shellcheck disable=SC2016 # the back ticks are Markdown's
sed -n 's/^### `\(upg\.[a-z0-9_.]*\)`.*/\1/p' docs/settings.md | while IFS= read -r name; do
    printf '%s\n' "$names" | grep -qx "$name" || echo "docs/settings.md: there is no setting $name"
done | complain_each
grep -lE 'DefineCustom[A-Za-z]+Variable\(' extension/src/*.c extension/src/*/*.c 2>/dev/null |
    grep -v '^extension/src/guc.c$' | sed 's/$/: defines a setting; that is the job of guc.c/' | complain_each
finish
