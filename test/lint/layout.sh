#!/bin/sh
# Files are where the builds look for them, and none has outgrown its concern.
. "$(dirname "$0")/lib.sh"

# ./sql/x.sql would win over test/sql/x.sql in pg_regress.
files 'sql/*' | grep -vE '^sql/(manifest\.mk|install/|updates/|releases/)' |
    sed 's/$/: nothing but manifest.mk may stand directly in sql/' | complain_each
for file in $(files 'sql/install/*.sql'); do
    name=$(basename "$file")
    times=$(grep -cE "(^|[[:space:]])$name([[:space:]]|\$)" sql/manifest.mk)
    [ "$times" = 1 ] || complain "$file: $times times in sql/manifest.mk, not once"
done
files '*.c' '*.h' '*.sh' '*.pl' '*.pm' | while IFS= read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 1500 ] || echo "$file: $lines lines; split it by concern (at most 1500)"
done | complain_each
files '*.c' '*.h' | while IFS= read -r file; do
    grep -q 'SPDX-License-Identifier' "$file" || echo "$file: no SPDX-License-Identifier in the banner"
    grep -qF "$file" "$file" || echo "$file: the banner's IDENTIFICATION does not name it"
done | complain_each
files '*.sh' '.ci/run' | while IFS= read -r file; do
    case $file in */lib.sh) continue ;; esac
    [ -x "$file" ] || echo "$file: not executable"
done | complain_each
finish
