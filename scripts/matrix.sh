#!/bin/sh
# scripts/matrix.sh: the server tests on several PostgreSQL versions.
#
#   scripts/matrix.sh test [MAJOR]...    build and test on each (default 15 17 18)
#   scripts/matrix.sh build [MAJOR]...   build only, warnings are errors
#   scripts/matrix.sh root MAJOR         make the root of that version, print its path
#   scripts/matrix.sh clean              remove the roots
#
# The version of PG_CONFIG runs on the machine itself.  Every other one gets a
# root directory of its own, made by mmdebstrap from the Debian suite that carries
# it and kept below UPG_MATRIX_DIR (default /var/tmp/upg-matrix); that needs root
# rights and an apt source that reaches the suite.  16 is in no Debian suite.
#
# SUITES chooses what is run (default "unit regress isolation pgtap rounds", see
# test/run-suites.sh).
#
# Each version is built with gcc, and with clang where there is one, with -Werror.
# The last line is "N passed, N failed".
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
roots=${UPG_MATRIX_DIR:-/var/tmp/upg-matrix}
PG_CONFIG=${PG_CONFIG:-pg_config}
local_bindir=$("$PG_CONFIG" --bindir)
local_major=$("$local_bindir/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')

die() { echo "matrix.sh: $*" >&2; exit 1; }

suite_of() {
    case $1 in
    15) echo bookworm ;;
    17) echo trixie ;;
    18) echo forky ;;
    *) die "PostgreSQL $1 is in no Debian suite that this script knows" ;;
    esac
}

# Make the root of one version unless it is there; print its path.
make_root() {
    root=$roots/pg$1
    if [ ! -x "$root/usr/lib/postgresql/$1/bin/postgres" ]; then
        [ "$(id -u)" = 0 ] || die "making the root of PostgreSQL $1 needs root rights"
        command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: make deps SETS=matrix"
        mkdir -p "$roots"
        rm -rf "$root" "$root.new"
        include=gcc,make,perl,pkg-config,libc6-dev,libipc-run-perl,libcjson-dev,libcmocka-dev
        include=$include,libxxhash-dev,libssl-dev,libpq-dev,procps,postgresql-$1
        include=$include,postgresql-server-dev-$1,postgresql-$1-pgtap,python3
        # Suites under way may be past their date; documents and LLVM's tools are ballast.
        mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
            --dpkgopt='path-exclude=/usr/lib/llvm-*/include/*' \
            --dpkgopt='path-exclude=/usr/lib/llvm-*/lib/*.a' \
            --dpkgopt='path-exclude=/usr/lib/llvm-*/bin/*' \
            --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-exclude=/usr/share/man/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            --include="$include" "$(suite_of "$1")" "$root.new" >&2 ||
            die "could not make the root of PostgreSQL $1"
        mv "$root.new" "$root"
    fi
    echo "$root"
}

# Copy the tree, without what was built, to an empty directory.
copy_tree() {
    (cd "$top" && { git ls-files --cached --others --exclude-standard 2>/dev/null ||
        find . -type f -not -path './build/*' -not -name '*.o' -not -name '*.so'; } |
        while IFS= read -r file; do [ ! -f "$file" ] || echo "$file"; done |
        tar -cf - -T -) | tar -xf - -C "$1"
}

# Compile the extension with the machine's clang against the headers of a root.
clang_syntax() {
    root=$1 major=$2
    for file in "$top"/extension/src/*.c "$top"/extension/src/*/*.c; do
        [ -f "$file" ] || continue
        clang ${root:+--sysroot="$root"} -fsyntax-only -std=gnu99 -Wall -Wextra -Werror \
            -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-unused-parameter -Wno-sign-compare \
            -Wno-missing-field-initializers -DUPG_VERSION='"0"' -I"$top/extension/include" \
            -Wno-ignored-attributes -isystem "$root/usr/include/postgresql/$major/server" \
            -D_GNU_SOURCE "$file" || return 1
    done
}

passed=0 failed=0
result() {
    printf '%-4s %-34s %s\n' "$1" "$2" "$3"
}
one_case() {
    name=$2 major=$1
    shift 2
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        result "$major" "$name" ok
    else
        failed=$((failed + 1))
        tail -n 60 "$work/log"
        result "$major" "$name" FAILED
        return 1
    fi
}

# Build and test one version; the counts of its suites are added to ours.
run_major() {
    major=$1
    if [ "$major" = "$local_major" ]; then
        root='' config=$PG_CONFIG tree=$work/src
    else
        root=$(make_root "$major")
        config=/usr/lib/postgresql/$major/bin/pg_config
        tree=$(mktemp -d "$root/tmp/upg.XXXXXX")
    fi
    rm -rf "$tree"
    mkdir -p "$tree"
    copy_tree "$tree"
    inside=${tree#"$root"}
    # In a root every path loses its prefix; on the machine itself there is none.
    run() { if [ -n "$root" ]; then chroot "$root" "$@"; else "$@"; fi; }
    ok=1
    one_case "$major" "gcc -Werror: extension" \
        run make -s -C "$inside/extension" PG_CONFIG="$config" PROFILE=-Werror || ok=
    if [ -f "$top/cli/Makefile" ]; then
        one_case "$major" "gcc -Werror: command line" \
            run make -s -C "$inside/cli" PG_CONFIG="$config" PROFILE=-Werror || ok=
    fi
    if command -v clang >/dev/null; then
        one_case "$major" "clang -Werror: extension" clang_syntax "$root" "$major" || ok=
    fi
    if [ -n "$ok" ] && [ "$action" = test ]; then
        suites=${SUITES:-unit regress isolation pgtap rounds}
        # shellcheck disable=SC2086
        if run env PG_CONFIG="$config" "$inside/test/run-suites.sh" $suites >"$work/log" 2>&1; then
            grep -E '^[a-z]+ +[0-9]+ passed' "$work/log" | sed "s/^/$major   /"
        else
            cat "$work/log"
        fi
        counts=$(tail -n 1 "$work/log")
        case $counts in
        *" passed, "*" failed")
            passed=$((passed + ${counts%% *}))
            n=${counts#* passed, }
            failed=$((failed + ${n%% *}))
            ;;
        *) failed=$((failed + 1)) ;;
        esac
    fi
    rm -rf "$tree"
}

action=${1:-test}
[ $# = 0 ] || shift
case $action in
root) make_root "${1:?which version}" ;;
clean) rm -rf "$roots"/pg[0-9]* ;;
build | test)
    work=$(mktemp -d /tmp/upg-matrix.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    [ $# -gt 0 ] || set -- 15 17 18
    for major in "$@"; do run_major "$major"; done
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    ;;
*) die "unrecognized action \"$action\"" ;;
esac
