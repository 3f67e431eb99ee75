#!/bin/sh
# The server module exports upg_*, pg_finfo_* and what the server asks for.
. "$(dirname "$0")/lib.sh"

module=extension/upg.so
if [ -f "$module" ]; then
    # Names with a leading double underscore come from sanitizers and coverage.
    nm -D --defined-only "$module" | awk '{ print $3 }' |
        grep -vE '^(upg_.*|pg_finfo_upg_.*|_PG_init|Pg_magic_func|__.*|_init|_fini)$' |
        sed "s,^,$module exports ," | complain_each
else
    complain "$module is not built: run make first"
fi
finish
