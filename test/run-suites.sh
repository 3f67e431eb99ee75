#!/bin/sh
# test/run-suites.sh SUITE...: run test suites and count their cases.
#
# Suites: lint, unit, regress, isolation, pgtap, rounds, e2e, fresh.  One private server
# serves regress, isolation and pgtap; rounds and the scripts of e2e start their own.  What a suite
# prints goes to build/test/SUITE.log and is shown when it fails.  The last line is
# "N passed, N failed"; the exit status is 1 if a case failed or a suite ran none.
#
# REGRESS, ISOLATION, PGTAP_TESTS, ROUNDS (options and files of roundtrip/cases.py) and
# PROVE_TESTS narrow a suite down; TEST_JOBS is how many scripts of e2e run at once
# (default 2).
set -u

cd "$(dirname "$0")/.." || exit 1
top=$(pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG
logs=$top/build/test
mkdir -p "$logs"
: >"$logs/summary"

server=
stop_server() { [ -z "$server" ] || scripts/server.sh destroy "$server"; }
trap stop_server EXIT
trap 'exit 130' INT TERM

# Start the shared server at the first suite that needs it.
need_server() {
    [ -z "$server" ] || return 0
    server=$(mktemp -d /tmp/upg.XXXXXX)
    scripts/server.sh start "$server" fsync=off max_worker_processes=32 \
        max_prepared_transactions=10 || return 1
    eval "$(scripts/server.sh env "$server")"
}

# pg_regress prints "test x ... ok" up to PostgreSQL 15 and TAP from 16 on.
count_regress() {
    passed=$(grep -cE '^(test)? +[^ ]+ +\.\.\. ok|^ok [0-9]' "$1")
    failed=$(grep -cE '^(test)? +[^ ]+ +\.\.\. (FAILED|failed)|^not ok [0-9]' "$1")
}

# prove sums up at its end; each script with failures has a line of its own.  A
# script that dies without a failed case counts as one.
count_prove() {
    total=$(sed -n 's/^Files=[0-9]*, Tests=\([0-9]*\),.*/\1/p' "$1" | tail -n 1)
    failed=$(awk '/\(Wstat: .* Tests: [0-9]+ Failed: [0-9]+\)/ {
            n = $0; sub(/.*Failed: /, "", n); sub(/\).*/, "", n); sum += (n == 0 ? 1 : n)
        } END { print sum + 0 }' "$1")
    skipped=$(grep -ciE '^ok [0-9]+.*# skip' "$1")
    passed=$((${total:-0} - failed - skipped))
    [ "$passed" -ge 0 ] || passed=0
}

# cmocka prints TAP when told so; a program that crashes prints no result.
count_tap() {
    passed=$(grep -cE '^ok [0-9]' "$1")
    failed=$(grep -cE '^not ok [0-9]' "$1")
}

# cases.py sums up in its last line: "cases N: exact M ...", exact being as expected.
count_rounds() {
    passed=$(sed -n 's/^cases [0-9]*: exact \([0-9]*\).*/\1/p' "$1" | tail -n 1)
    failed=$(sed -n 's/^cases \([0-9]*\): .*/\1/p' "$1" | tail -n 1)
    passed=${passed:-0}
    failed=$((${failed:-0} - passed))
}

run_lint() { test/lint/run.sh --no-tools; }
run_unit() { CMOCKA_MESSAGE_OUTPUT=TAP make -s -k -C cli check-unit; }
run_regress() { make -s -f test/regress.mk installcheck ISOLATION= ${REGRESS:+REGRESS="$REGRESS"}; }
run_isolation() { make -s -f test/regress.mk installcheck REGRESS= ${ISOLATION:+ISOLATION="$ISOLATION"}; }
# shellcheck disable=SC2086
run_pgtap() {
    set -- ${PGTAP_TESTS:-$(find test/pgtap -name '*.sql' | sort)}
    [ $# -gt 0 ] || return 0
    prove --directives --exec "$top/test/pgtap/run-one.sh" "$@"
}
# All cases of round trips, on a server with settings of its own.
# shellcheck disable=SC2086
run_rounds() {
    dir=$(mktemp -d /tmp/upg.XXXXXX)
    (
        trap 'scripts/server.sh destroy "$dir"' EXIT
        scripts/server.sh start "$dir" fsync=off autovacuum=off wal_level=logical \
            allow_in_place_tablespaces=on || exit 1
        eval "$(scripts/server.sh env "$dir")"
        python3 test/roundtrip/cases.py ${ROUNDS:-test/roundtrip/cases/*.sql}
    )
}
# shellcheck disable=SC2086
run_e2e() {
    depth=1
    [ "${UPG_FULL:-}" != 1 ] || depth=2
    set -- ${PROVE_TESTS:-$(find test/t -maxdepth $depth -name '*.pl' 2>/dev/null | sort)}
    [ $# -gt 0 ] || return 0
    UPG=$top/cli/upg prove --directives -j "${TEST_JOBS:-2}" -Itest/t -Itest/t/lib "$@"
}

all_passed=0 all_failed=0 bad=0
for suite in "$@"; do
    log=$logs/$suite.log
    begun=$(date +%s)
    passed=0 failed=0 skipped=0
    case $suite in
    regress | isolation | pgtap) need_server || exit 1 ;;
    esac
    case $suite in
    lint) run_lint >"$log" 2>&1; rc=$?; count_tap "$log" ;;
    unit) run_unit >"$log" 2>&1; rc=$?; count_tap "$log" ;;
    regress) run_regress >"$log" 2>&1; rc=$?; count_regress "$log" ;;
    isolation) run_isolation >"$log" 2>&1; rc=$?; count_regress "$log" ;;
    pgtap) run_pgtap >"$log" 2>&1; rc=$?; count_prove "$log" ;;
    rounds) run_rounds >"$log" 2>&1; rc=$?; count_rounds "$log" ;;
    e2e) run_e2e >"$log" 2>&1; rc=$?; count_prove "$log" ;;
    fresh)
        scripts/fresh.sh --if-possible >"$log" 2>&1
        rc=$?
        count_tap "$log"
        skipped=$(grep -cE '^ok [0-9]+ .*# skip' "$log")
        ;;
    *) echo "run-suites.sh: unrecognized suite \"$suite\"" >&2; exit 2 ;;
    esac
    [ "$rc" = 0 ] || [ "$failed" -gt 0 ] || failed=1
    note=
    [ "$skipped" = 0 ] || note=", $skipped skipped"
    if [ $((passed + failed)) = 0 ]; then
        note=", which is a failure: a suite must run something"
        failed=1
    fi
    if [ "$failed" -gt 0 ]; then
        bad=1
        cat "$log"
        case $suite in
        regress | isolation) cat regression.diffs output_iso/regression.diffs 2>/dev/null ;;
        esac
    fi
    printf '%-10s %4d passed, %d failed%s  (%d s)\n' "$suite" "$passed" "$failed" "$note" \
        $(($(date +%s) - begun)) | tee -a "$logs/summary"
    all_passed=$((all_passed + passed))
    all_failed=$((all_failed + failed))
done
echo "$all_passed passed, $all_failed failed" | tee -a "$logs/summary"
exit $bad
