#!/bin/sh
# scripts/server.sh: a private PostgreSQL for tests, benchmarks and the demo.
#
#   scripts/server.sh start DIR [NAME=VALUE]...   initdb (once), stage the extension, start
#   scripts/server.sh stop DIR [fast|immediate]   stop; the data stays
#   scripts/server.sh restart DIR                 stop fast, stage anew, start
#   scripts/server.sh env DIR                     print exports for psql and friends
#   scripts/server.sh destroy DIR                 stop and remove DIR
#
# The server listens on a Unix socket in DIR only.  PostgreSQL refuses to run as
# root, so root hands over to the user in UPG_SERVER_USER (default postgres);
# everything the server must read is copied below DIR, hence the checkout itself
# may be unreadable for that user.  NAME=VALUE pairs go into postgresql.conf.
# PG_CONFIG chooses the server.  Environment: UPG_NO_STAGE=1 uses the installed
# extension instead of a staged one; UPG_POSTGRES names a program to start instead
# of postgres itself (a wrapper for valgrind or a sanitizer).
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
user=${UPG_SERVER_USER:-postgres}

die() { echo "server.sh: $*" >&2; exit 1; }

# Run a command as the server's owner.
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec runuser -u "$user" -- "$@")
    else
        "$@"
    fi
}

# The server package may live beside another version's pg_config (libpq-dev's is in /usr/bin).
bindir=$("$PG_CONFIG" --bindir)
[ -x "$bindir/postgres" ] || die "no postgres in $bindir (PG_CONFIG=$PG_CONFIG)"
major=$("$bindir/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')

[ $# -ge 2 ] || die "usage: server.sh start|stop|restart|env|destroy DIR ..."
action=$1 dir=$2
shift 2
case $dir in /*) ;; *) dir=$(pwd)/$dir ;; esac
port=${UPG_SERVER_PORT:-5999}

stage() {
    [ "${UPG_NO_STAGE:-}" = 1 ] && return 0
    rm -rf "$dir/stage"
    mkdir -p "$dir/stage"
    make -s -C "$top/extension" PG_CONFIG="$PG_CONFIG" install DESTDIR="$dir/stage" >/dev/null
    chmod -R a+rX "$dir/stage"
    if [ "$major" -ge 18 ]; then
        printf "extension_control_path = '%s:\$system'\ndynamic_library_path = '%s:\$libdir'\n" \
            "$dir/stage$("$PG_CONFIG" --sharedir)" "$dir/stage$("$PG_CONFIG" --pkglibdir)"
    else
        printf "extension_destdir = '%s'\n" "$dir/stage"
    fi > "$dir/stage.conf"
    chmod a+r "$dir/stage.conf"
}

start() {
    mkdir -p "$dir"
    chmod 755 "$dir"
    if [ ! -s "$dir/data/PG_VERSION" ]; then
        [ "$(id -u)" != 0 ] || chown "$user" "$dir"
        # shellcheck disable=SC2086 # several options
        as_owner "$bindir/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
            ${UPG_INITDB_OPTS:-} -N >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
        {
            echo "listen_addresses = ''"
            echo "unix_socket_directories = '$dir'"
            echo "port = $port"
            echo "include_if_exists '$dir/stage.conf'"
            echo "include_if_exists '$dir/extra.conf'"
        } | as_owner tee -a "$dir/data/postgresql.conf" >/dev/null
    fi
    stage
    for setting in "$@"; do
        printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}"
    done > "$dir/extra.conf"
    chmod a+r "$dir/extra.conf"
    as_owner "$bindir/pg_ctl" ${UPG_POSTGRES:+-p "$UPG_POSTGRES"} -D "$dir/data" -w \
        -t "${PGCTLTIMEOUT:-60}" -l "$dir/server.log" start >"$dir/ctl.log" 2>&1 ||
        { cat "$dir/ctl.log" "$dir/server.log" >&2; die "the server did not start"; }
}

stop() {
    [ -s "$dir/data/postmaster.pid" ] || return 0
    as_owner "$bindir/pg_ctl" -D "$dir/data" -w -m "${1:-fast}" stop >/dev/null
}

case $action in
start) start "$@" ;;
stop) stop "$@" ;;
restart) stop fast; start "$@" ;;
env)
    echo "export PGHOST='$dir' PGPORT=$port PGUSER=postgres PATH='$bindir':\"\$PATH\""
    ;;
destroy) stop immediate; rm -rf "$dir" ;;
*) die "unrecognized action \"$action\"" ;;
esac
