#!/bin/sh
# needs: clang-format
# The C sources are laid out as .clang-format says (--fix does it).
. "$(dirname "$0")/lib.sh"

# Layout differs between versions of the program, so one is pinned.
pinned=14
found=$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/')
if [ "$found" != "$pinned" ]; then
    complain "clang-format $pinned is wanted, this is $found"
elif [ "${1:-}" = --fix ]; then
    files '*.c' '*.h' | xargs -r clang-format -i
else
    files '*.c' '*.h' | xargs -r clang-format --dry-run --Werror 2>&1 |
        grep -E 'error:' | cut -d: -f1,2 | sort -u | complain_each
fi
finish
