#!/bin/sh
# scripts/fresh.sh [--if-possible] [STAGE]...: does a clean clone work where there is only git and make?
#
# Makes a root directory of Debian 12 with git and make and nothing else, copies it
# for each stage, clones the last commit into the copy, and there runs
#   refuse    make check as an ordinary user: fails, names what is missing and what
#             to run, changes nothing
#   demo      make demo as root
#   check     make check as root, and then, with the packages there,
#   user      make check and make demo as an ordinary user, from a clone of its own
# By default all of them.  Needs root, mmdebstrap and an apt source that reaches
# bookworm.  The root is kept below UPG_MATRIX_DIR (default /var/tmp/upg-matrix) for
# the next time, the copies are removed.  A stage has namespaces of its own, so
# nothing that it starts and no mount outlives it.  With --if-possible a machine
# where this cannot be done is no failure.  Prints a TAP line for each case; the
# last line is "N passed, N failed".
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
roots=${UPG_MATRIX_DIR:-/var/tmp/upg-matrix}
base=$roots/bookworm-git-make
user=someone user_home=/srv/$user

die() { echo "fresh.sh: $*" >&2; exit 1; }
if_possible=
[ "${1:-}" != --if-possible ] || { if_possible=1; shift; }
impossible() {
    [ -n "$if_possible" ] || die "$*"
    echo "ok 1 - clean clone # skip $*"
    exit 0
}
[ "$(id -u)" = 0 ] || impossible "making a root directory needs root rights"
command -v mmdebstrap >/dev/null || impossible "mmdebstrap is missing: make deps SETS=matrix"
unshare --mount --pid --fork true 2>/dev/null || impossible "namespaces cannot be made here"
git -C "$top" rev-parse --quiet --verify HEAD >/dev/null || die "$top is no clone of git's"
git -C "$top" diff --quiet HEAD 2>/dev/null ||
    echo "fresh.sh: uncommitted changes are not tested" >&2

if [ ! -x "$base/usr/bin/git" ]; then
    mkdir -p "$roots"
    rm -rf "$base" "$base.new"
    mmdebstrap --quiet --variant=minbase --include=git,make bookworm "$base.new" >&2 ||
        die "could not make the root of Debian 12"
    mv "$base.new" "$base"
fi

work=$(mktemp -d "$roots/fresh.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A new copy of the root with a clone in it, as a person's machine has it: without a
# way back to the repository it came from.
new_root() {
    rm -rf "$work/root"
    cp -a "$base" "$work/root"
    chroot "$work/root" useradd --create-home --home-dir "$user_home" "$user"
    git clone --quiet --no-hardlinks "$top" "$work/root$user_home/upg"
    cp -a "$work/root$user_home/upg" "$work/root/srv/upg"
    chroot "$work/root" chown -R "$user:" "$user_home/upg"
}

# inside USER COMMAND: run a shell command in the clone of that user.
inside() {
    as=$1 command=$2 home=/srv
    [ "$as" = root ] || home=$user_home
    # shellcheck disable=SC2016 # the inner shell expands them
    unshare --mount --pid --fork --kill-child sh -c '
        mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/dev/shm" &&
        mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$1/dev/pts" &&
        exec chroot "$1" setpriv --reuid="$2" --regid="$2" --init-groups \
            env -i HOME="$3" USER="$2" LANG=C.UTF-8 TERM=dumb \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            sh -c "cd && cd upg && $4"' sh "$work/root" "$as" "$home" "$command" </dev/null
}

passed=0 failed=0
expect() {
    what=$1
    shift
    begun=$(date +%s)
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1)) verdict='ok'
    else
        failed=$((failed + 1)) verdict="not ok"
        tail -n "${UPG_FRESH_LINES:-100}" "$work/log"
        mkdir -p "$top/build"
        cp "$work/log" "$top/build/fresh.log"
        echo "all of it: build/fresh.log"
    fi
    counts=$(tail -n 1 "$work/log" | grep -E '^[0-9]+ passed, [0-9]+ failed$' || true)
    printf '%s %d - %s (%d s)%s\n' "$verdict" $((passed + failed)) "$what" \
        $(($(date +%s) - begun)) "${counts:+: $counts}"
}

refused() {
    ! inside "$user" 'make check' >"$work/refused" 2>&1 || { cat "$work/refused"; return 1; }
    cat "$work/refused"
    grep -q 'missing packages: ' "$work/refused" &&
        grep -q 'Run as root: apt-get ' "$work/refused" &&
        [ -z "$(inside "$user" 'git status --porcelain --ignored')" ]
}

# With package lists the message names the packages.
refused_by_name() {
    inside root 'apt-get -qq update' || return 1
    refused && grep -q 'missing packages:.* postgresql-15 ' "$work/refused"
}

[ $# -gt 0 ] || set -- refuse demo check user
for stage in "$@"; do
    case $stage in
    refuse)
        new_root
        expect 'make check as a user without the packages is refused, with what to do' refused
        expect '... and, with package lists, names them' refused_by_name
        ;;
    demo)
        new_root
        expect 'make demo as root' inside root 'make demo && make demo-clean'
        ;;
    check)
        new_root
        expect 'make check as root' inside root 'make check'
        ;;
    user)
        if [ ! -d "$work/root/usr/lib/postgresql" ]; then
            new_root
            inside root 'scripts/deps.sh build test' >"$work/log" 2>&1 || { cat "$work/log"; die "deps.sh failed"; }
        fi
        expect 'make check as an ordinary user' inside "$user" 'make check'
        expect 'make demo as an ordinary user' inside "$user" 'make demo && make demo-clean'
        ;;
    *) die "unrecognized stage \"$stage\" (refuse, demo, check, user)" ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
