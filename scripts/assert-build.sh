#!/bin/sh
# scripts/assert-build.sh DIR [cassert|valgrind]: a PostgreSQL with assertions, in DIR.
#
# Debian's server is built without assertions and without the marks by which
# valgrind sees into memory contexts.  This builds one with them from Debian's own
# sources (its patches included, so that extension_destdir works), as major
# PG_MAJOR (default 15), into DIR/pg:
#   cassert    --enable-cassert: assertions, freed memory overwritten,
#              debug_discard_caches can be set
#   valgrind   the same, and -DUSE_VALGRIND: palloc'd chunks are known to valgrind
#              one by one (the default; without valgrind it runs as the other does)
# A finished build is left alone.  Use: PG_CONFIG=DIR/pg/bin/pg_config make check-regress
#
# It takes about 10 minutes of one processor and 600 MB while it builds; the tree is
# removed afterwards (UPG_KEEP_SOURCE=1 keeps it in DIR/src).  Needs root or the
# packages named below; the sources come through apt from the configured archive.
set -eu

dir=${1:?usage: assert-build.sh DIR [cassert|valgrind]}
kind=${2:-valgrind}
major=${PG_MAJOR:-15}
case $dir in /*) ;; *) dir=$(pwd)/$dir ;; esac
prefix=$dir/pg

die() { echo "assert-build.sh: $*" >&2; exit 1; }

case $kind in
cassert) flags= ;;
valgrind) flags=-DUSE_VALGRIND ;;
*) die "unrecognized kind \"$kind\" (cassert, valgrind)" ;;
esac
if [ -f "$prefix/.kind" ]; then
    have=$(cat "$prefix/.kind")
    [ "$have" != "$major $kind" ] || { echo "$prefix/bin/pg_config"; exit 0; }
    die "$prefix holds \"$have\"; remove it or choose another directory"
fi

missing=
for package in gcc make perl bison flex dpkg-dev libssl-dev zlib1g-dev liblz4-dev \
    libxml2-dev libicu-dev valgrind; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed$' ||
        missing="$missing $package"
done
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || die "missing packages; run as root: apt-get install$missing"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing \
        </dev/null >&2
fi

mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/src"
cd "$dir/src"

# The lists of source packages, apart from the machine's own: its entries with
# "deb" replaced by "deb-src".
{
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$file" ] || perl -00 -ne '
            next unless /^Types:.*\bdeb\b/m;
            my %v = map { /^(\S+):\s*(.*)/ ? ($1, $2) : () } split /\n/;
            my $key = $v{"Signed-By"} ? "[signed-by=$v{q(Signed-By)}] " : "";
            foreach my $uri (split " ", $v{URIs}) {
                foreach my $suite (split " ", $v{Suites}) {
                    print "deb-src $key$uri $suite $v{Components}\n" if $v{Components};
                }
            }' "$file"
    done
} 2>/dev/null | grep -i debian >"$dir/apt/sources.list" || die "no Debian archive is configured"
apt() {
    command=$1
    shift
    "$command" -q -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=/nonexistent \
        -o Dir::State::Lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache" \
        -o APT::Sandbox::User=root "$@"
}
# One of several entries may have no sources; whether the lists suffice shows below.
why=
apt apt-get update >&2 || why="; apt-get update failed, see above"

# The newest version whose files are really there.
tree=
for version in $(apt apt-cache showsrc "postgresql-$major" | sed -n 's/^Version: //p' | sort -Vru); do
    if apt apt-get source "postgresql-$major=$version" >&2; then
        tree=$(find . -maxdepth 1 -type d -name "postgresql-$major-*" | head -n 1)
        break
    fi
done
[ -n "$tree" ] || die "the archive has no sources of postgresql-$major$why"

cd "$tree"
# Debian's patch puts libraries into the packaged server's directory, whatever the prefix.
# shellcheck disable=SC2016
sed -i 's,^override pkglibdir := .*,override pkglibdir := $(libdir)/postgresql,' src/Makefile.global.in
./configure --quiet --prefix="$prefix" --enable-cassert --enable-debug --with-openssl --with-lz4 --with-libxml \
    --with-icu --without-readline CFLAGS='-O1 -g -fno-omit-frame-pointer' CPPFLAGS="$flags" >&2
jobs=$(nproc)
# build ARGUMENT...: make, with what it prints in build.log; its end is shown if it fails.
build() { make -s "$@" >>"$dir/build.log" 2>&1 || { tail -n 40 "$dir/build.log" >&2; die "make $* failed"; }; }
: >"$dir/build.log"
build -j"$jobs"
# Nothing may go outside the prefix: the packaged server would be overwritten.
for variable in bindir datadir libdir pkglibdir includedir includedir_server; do
    target=$(make -s -f - show 2>/dev/null <<END
subdir = src
top_builddir = .
include src/Makefile.global
show: ; @echo \$($variable)
END
    )
    case $target in
    "$prefix"/*) ;;
    *) die "$variable is \"$target\", which is not below $prefix: not installed" ;;
    esac
done
build install
build -j"$jobs" -C contrib install
[ ! -f src/tools/valgrind.supp ] || cp src/tools/valgrind.supp "$prefix/valgrind.supp"

# pgTAP is SQL alone, so the packaged one does.
cp "/usr/share/postgresql/$major/extension/"pgtap* "$("$prefix/bin/pg_config" --sharedir)/extension/" 2>/dev/null ||
    echo "assert-build.sh: pgTAP is not installed; its tests will not run" >&2
chmod -R a+rX "$prefix"
chmod a+x "$dir"
cd "$dir"
rm -rf apt
[ "${UPG_KEEP_SOURCE:-}" = 1 ] || rm -rf src
echo "$major $kind" >"$prefix/.kind"
echo "$prefix/bin/pg_config"
