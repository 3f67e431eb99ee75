#!/bin/sh
# docs/errors.md has a section for every SQLSTATE of errors.h, and for no other.
. "$(dirname "$0")/lib.sh"

codes=$(sed -n "s/.*MAKE_SQLSTATE('\(.\)', '\(.\)', '\(.\)', '\(.\)', '\(.\)').*/\1\2\3\4\5/p" \
    extension/include/errors.h)
[ "$(printf '%s\n' "$codes" | grep -c .)" = "$(grep -c 'MAKE_SQLSTATE' extension/include/errors.h)" ] ||
    complain "extension/include/errors.h: a definition does not fit on one line"
printf '%s\n' "$codes" | sort | uniq -d | sed 's/$/: defined twice/' | complain_each
for code in $codes; do
    grep -q "^### $code" docs/errors.md || complain "docs/errors.md: $code has no section"
done
sed -n 's/^### \([A-Z0-9]\{5\}\)\b.*/\1/p' docs/errors.md | grep '^UP' | while IFS= read -r code; do
    printf '%s\n' "$codes" | grep -qx "$code" || echo "docs/errors.md: $code is not in errors.h"
done | complain_each
# Codes are written down in errors.h and used by name.
files 'extension/src/*.c' 'extension/src/*/*.c' | while IFS= read -r file; do
    grep -n 'MAKE_SQLSTATE' "$file" /dev/null
done | complain_each
finish
