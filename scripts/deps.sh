#!/bin/sh
# scripts/deps.sh: the packages that building, testing and measuring need (Debian, Ubuntu).
#
#   scripts/deps.sh [SET]...            install what is missing (needs root)
#   scripts/deps.sh --check [SET]...    print what is missing; exit 1 if anything is
#   scripts/deps.sh --ensure [SET]...   install what is missing, quietly when nothing is;
#                                       without root: say what to run, and fail
#
# Sets: build, test (both by default), bench (rivals), dev (lints, format,
# coverage, sanitizers), matrix (other PostgreSQL versions).  PG_MAJOR chooses the
# server; default is that of PG_CONFIG, else the newest supported one on offer.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
mode=install
case ${1:-} in --check | --ensure) mode=${1#--}; shift ;; esac
[ $# -gt 0 ] || set -- build test

have() { dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed$'; }

# Refresh the package lists once, and only when something must be looked up.
fresh=
refresh() {
    [ -z "$fresh" ] && [ "$(id -u)" = 0 ] || return 0
    fresh=1
    apt-get -q update >/dev/null || echo "deps.sh: apt-get update failed; going on with old lists" >&2
}

pg_major() {
    [ -z "${PG_MAJOR:-}" ] || { echo "$PG_MAJOR"; return; }
    bindir=$("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null) || bindir=
    if [ -n "$bindir" ] && [ -x "$bindir/postgres" ]; then
        "$bindir/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
        return
    fi
    for major in 18 17 16 15; do
        if apt-cache policy "postgresql-$major" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
            echo "$major"
            return
        fi
    done
    if [ "$(id -u)" = 0 ]; then
        echo "deps.sh: no postgresql-15 to 18 on offer; add a source that has one" >&2
    else
        # A new machine has no package lists at all, so the names are not known yet.
        echo "deps.sh: missing packages: PostgreSQL 15 to 18 is not installed, nor in the package lists" >&2
        echo "Run as root: apt-get update && make deps" >&2
    fi
    return 1
}

command -v dpkg-query >/dev/null || {
    # Elsewhere the tools must be there already; the builds name what they miss.
    [ "$mode" = ensure ] && exit 0
    echo "deps.sh: this is not a Debian system; CONTRIBUTING.md lists what is needed" >&2
    exit 1
}
bindir=$("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null) || bindir=
[ -x "$bindir/postgres" ] || [ "$mode" = check ] || refresh
major=$(pg_major)

packages() {
    case $1 in
    build) echo "gcc make libc6-dev pkg-config perl postgresql-server-dev-$major libpq-dev" \
        "libcjson-dev libssl-dev libxxhash-dev" ;;
    test) echo "postgresql-$major postgresql-$major-pgtap libcmocka-dev libipc-run-perl python3" \
        "pgbouncer procps strace time" ;;
    bench) echo "sqitch libdbd-pg-perl npm time postgresql-comparator" ;;
    dev) echo "clang clang-format shellcheck codespell lcov valgrind" ;;
    matrix) echo "mmdebstrap" ;;
    *)
        echo "deps.sh: unrecognized set \"$1\" (build, test, bench, dev, matrix)" >&2
        return 1
        ;;
    esac
}

# npm comes with the interpreter when it is not Debian's own.
satisfied() { have "$1" || { [ "$1" = npm ] && command -v npm >/dev/null; }; }

missing=
tools=
for set in "$@"; do
    list=$(packages "$set")
    for package in $list; do
        satisfied "$package" || missing="$missing $package"
    done
    # dbmate is in no Debian archive; npm carries its binary.
    if [ "$set" = bench ] && ! command -v dbmate >/dev/null &&
        [ ! -x "$top/build/tools/node_modules/.bin/dbmate" ]; then
        tools=dbmate
    fi
done

[ -n "$missing$tools" ] || { [ "$mode" = ensure ] || echo "nothing is missing for: $*"; exit 0; }
case $mode in
check)
    for name in $missing; do echo "$name"; done
    [ -z "$tools" ] || echo "$tools (npm)"
    exit 1
    ;;
ensure | install)
    if [ -n "$missing" ]; then
        if [ "$(id -u)" != 0 ]; then
            echo "deps.sh: missing packages:$missing" >&2
            echo "Run as root: apt-get install --no-install-recommends$missing" >&2
            exit 1
        fi
        echo "installing:$missing"
        refresh
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing \
            </dev/null
    fi
    if [ -n "$tools" ]; then
        mkdir -p "$top/build/tools"
        npm install --silent --no-audit --no-fund --prefix "$top/build/tools" $tools
    fi
    ;;
esac
