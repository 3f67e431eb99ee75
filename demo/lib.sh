# shellcheck shell=sh
# demo/lib.sh: narration and the bank's customers, for the parts of the demo.
#
# A part finds the server's connection in PGHOST, PGPORT and PGUSER, a database
# "bank" of its own in PGDATABASE (pgbench's tables at scale 10), upg in PATH, a
# directory for its files in DEMO_DIR, and this file's functions.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Show a command and run it.
show() {
    printf '%s$ %s%s\n' "$bold" "$*" "$plain"
    "$@"
}

# Show a command, run it, and say how long it took as a whole.
show_timed() {
    show_timed_begun=$(date +%s%N)
    show "$@"
    awk -v ns=$(($(date +%s%N) - show_timed_begun)) 'BEGIN { printf "(that took %.2f s)\n", ns / 1e9 }'
}

# Show a command that must fail; its status is printed.
show_failing() {
    printf '%s$ %s%s\n' "$bold" "$*" "$plain"
    status=0
    "$@" || status=$?
    echo "(exit status $status)"
    [ "$status" != 0 ] || { echo "demo: that was expected to fail" >&2; exit 1; }
}

# Keep pgbench's own workload running, in short runs whose counts add up.
customers_start() {
    : >"$DEMO_DIR/customers.log"
    rm -f "$DEMO_DIR/customers.stop"
    (
        while [ -d "$DEMO_DIR" ] && [ ! -e "$DEMO_DIR/customers.stop" ]; do
            pgbench -n -c 4 -R 200 -T 4 >>"$DEMO_DIR/customers.log" 2>&1 || {
                echo "a pgbench run ended with status $?" >>"$DEMO_DIR/customers.log"
                break
            }
        done
    ) &
    customers=$!
}

# Let the workload end; print its counts; fail if a transaction failed.
customers_stop() {
    touch "$DEMO_DIR/customers.stop"
    wait "$customers"
    awk '/number of transactions actually processed/ { done += $6 }
        /number of failed transactions/ { failed += $5 }
        /ended with status|ERROR|aborted/ { bad++ }
        END {
            printf "pgbench: %d transactions done meanwhile, %d failed\n", done, failed + bad
            exit !(done > 0 && failed + bad == 0)
        }' "$DEMO_DIR/customers.log"
}

# The schema as pg_dump shows it, without its remarks and settings of psql.
schema_of() { pg_dump --schema-only "$1" | grep -v -e '^--' -e '^$' -e '^[\]'; }
