#!/bin/sh
# scripts/variant.sh asan|assert|valgrind|coverage: tests on a specially built copy.
#
# The tree is copied to a new directory that the server's user can read and write,
# built there with the variant's flags and tested there; the tree itself stays as
# it is.  SUITES narrows the suites down, REGRESS and PROVE_TESTS work as ever.
#   asan       command line and unit tests with ASan and UBSan, server module with UBSan
#   assert     a server with assertions (scripts/assert-build.sh, in UPG_ASSERT_DIR,
#              default /var/tmp/upg-assert), DISCARD=1 sets debug_discard_caches
#   valgrind   the same server under valgrind, which knows its memory contexts: reads
#              and writes beyond a palloc'd chunk, of freed ones, use of values never
#              set; it sees no leak within a context and no memory of shared buffers
#   coverage   gcov; the report goes to coverage/; fails if extension or command line
#              is below COVERAGE_MIN (default 90) % of the lines
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
variant=${1:?usage: variant.sh asan|assert|valgrind|coverage}
PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG
copy=$(mktemp -d /tmp/upg-variant.XXXXXX)
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM

need() { command -v "$1" >/dev/null || { echo "variant.sh: $1 is missing: make deps SETS=dev" >&2; exit 1; }; }

(cd "$top" && git ls-files --cached --others --exclude-standard |
    while IFS= read -r file; do [ ! -f "$file" ] || echo "$file"; done | tar -cf - -T -) |
    tar -xf - -C "$copy"
cd "$copy"
mkdir -m 1777 variant

# A program that stands in for postgres; its lines come from standard input.
wrapper() {
    { echo '#!/bin/sh'; cat; } >variant/postgres
    chmod 755 variant/postgres
    UPG_POSTGRES=$copy/variant/postgres
    PGCTLTIMEOUT=300
    export UPG_POSTGRES PGCTLTIMEOUT
}

# shellcheck disable=SC2086
case $variant in
asan)
    flags='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined'
    make -s -C cli CFLAGS="$flags" LDFLAGS="-fsanitize=address,undefined" all
    # Address errors of the module are valgrind's to find: a server that is not
    # itself built with ASan cannot load it without a preloaded run-time library.
    make -s -C extension COPT='-O1 -g -fsanitize=undefined -fno-sanitize-recover=undefined' \
        SHLIB_LINK=-fsanitize=undefined all
    chmod -R a+rX .
    UBSAN_OPTIONS=print_stacktrace=1
    export UBSAN_OPTIONS
    # What a program that ends anyway does not free is no finding.
    ASAN_OPTIONS=detect_leaks=0 CFLAGS="$flags" LDFLAGS="-fsanitize=address,undefined" \
        test/run-suites.sh ${SUITES:-unit regress e2e}
    ;;
assert)
    PG_CONFIG=$("$top/scripts/assert-build.sh" "${UPG_ASSERT_DIR:-/var/tmp/upg-assert}")
    make -s -C extension COPT='-O1 -g' all
    make -s -C cli all
    chmod -R a+rX .
    if [ -n "${DISCARD:-}" ]; then
        wrapper <<END
exec "$("$PG_CONFIG" --bindir)/postgres" -c debug_discard_caches=$DISCARD "\$@"
END
    fi
    status=0
    test/run-suites.sh ${SUITES:-regress isolation pgtap} || status=1
    exit $status
    ;;
valgrind)
    need valgrind
    PG_CONFIG=$("$top/scripts/assert-build.sh" "${UPG_ASSERT_DIR:-/var/tmp/upg-assert}" valgrind)
    make -s -C extension COPT='-O1 -g' all
    chmod -R a+rX .
    wrapper <<END
exec valgrind --quiet --trace-children=yes --leak-check=no --error-limit=no \\
    --num-callers=30 --suppressions="${PG_CONFIG%/bin/*}/valgrind.supp" \\
    --error-markers=VALGRIND-BEGIN,VALGRIND-END \\
    --log-file="$copy/variant/valgrind.%p" "$("$PG_CONFIG" --bindir)/postgres" "\$@"
END
    status=0
    test/run-suites.sh ${SUITES:-regress} || status=1
    # An error counts whoever's function it is in: palloc'd memory that upg handed to
    # the server is as often found there.
    findings=$(cat variant/valgrind.* 2>/dev/null | sed -n 's/^==[0-9]*== \?//p')
    processes=$(find variant -name 'valgrind.*' | wc -l)
    if [ "$processes" = 0 ]; then
        echo "valgrind: no process ran under it"
        status=1
    elif [ -n "$findings" ]; then
        printf '%s\n' "$findings"
        echo "valgrind: $(printf '%s\n' "$findings" | grep -c VALGRIND-BEGIN) errors in $processes processes"
        status=1
    else
        echo "valgrind: no error in $processes processes"
    fi
    exit $status
    ;;
coverage)
    need lcov
    make -s -C cli CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage all
    make -s -C extension COPT='-O0 --coverage' SHLIB_LINK=--coverage all
    chmod -R a+rwX .
    status=0
    CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage \
        test/run-suites.sh ${SUITES:-unit regress isolation pgtap e2e} || status=1
    rm -rf "$top/coverage"
    mkdir "$top/coverage"
    lcov --quiet --capture --directory extension --directory cli --output-file coverage.info 2>lcov.err ||
        { cat lcov.err >&2; exit 1; }
    lcov --quiet --extract coverage.info "$copy/extension/*" "$copy/cli/src/*" \
        --output-file "$top/coverage/coverage.info"
    genhtml --quiet --output-directory "$top/coverage/html" "$top/coverage/coverage.info"
    minimum=${COVERAGE_MIN:-90}
    for part in extension cli; do
        lcov --quiet --extract "$top/coverage/coverage.info" "$copy/$part/*" --output-file part.info
        lcov --list part.info | sed -n "s,^ *\([a-z0-9_/]*\.[ch]\) *|,$part/src/\1 ,p"
    done
    for part in extension cli; do
        lcov --quiet --extract "$top/coverage/coverage.info" "$copy/$part/*" --output-file part.info
        percent=$(lcov --summary part.info 2>&1 | sed -n 's/.*lines\.*: \([0-9.]*\)%.*/\1/p')
        echo "line coverage: $part $percent % (coverage/html/index.html)"
        if ! awk "BEGIN { exit !(${percent:-0} >= $minimum) }"; then
            echo "coverage: $part is below $minimum %"
            status=1
        fi
    done
    exit $status
    ;;
*)
    echo "variant.sh: unrecognized variant \"$variant\" (asan, assert, valgrind, coverage)" >&2
    exit 2
    ;;
esac
