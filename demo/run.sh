#!/bin/sh
# demo/run.sh [PART]...: run the demo, or the parts named (parts/NN_PART.sh).
# demo/run.sh --clean: stop the demo's server and remove all that it made.
#
# The server is a private one in a new directory under /tmp, reached through a Unix
# socket only; nothing is installed.  It stays for you to look around until
# --clean, or until the next run.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
note=$top/build/demo.dir
cd "$top"

clean() {
    [ -f "$note" ] || return 0
    dir=$(cat "$note")
    rm -f "$note"
    case $dir in
    /tmp/upg-demo.*) [ ! -d "$dir" ] || scripts/server.sh destroy "$dir" ;;
    esac
}

if [ "${1:-}" = --clean ]; then
    clean
    exit 0
fi

parts=
if [ $# = 0 ]; then
    parts=$(find "$here/parts" -name '*.sh' | sort)
else
    for name in "$@"; do
        part=$(find "$here/parts" -name "[0-9]*_$name.sh")
        if [ -z "$part" ]; then
            echo "there is no part \"$name\"; there are:" >&2
            find "$here/parts" -name '*.sh' | sort | sed 's,.*/[0-9]*_,  ,; s,\.sh$,,' >&2
            exit 2
        fi
        parts="$parts $part"
    done
fi

begun=$(date +%s)
clean
dir=$(mktemp -d /tmp/upg-demo.XXXXXX)
mkdir -p build
echo "$dir" >"$note"
# What was begun must not outlive an interrupted demo.
trap 'clean; exit 130' INT TERM
echo "Starting a private PostgreSQL in $dir ..."
scripts/server.sh start "$dir" max_wal_size=2GB
mkdir "$dir/files"
eval "$(scripts/server.sh env "$dir")"
PATH=$top/cli:$PATH
export PATH
psql -XAtqd postgres -c 'CREATE DATABASE bank_as_it_was'
echo "Filling pgbench's bank, scale 10 ..."
pgbench -i -q -s 10 bank_as_it_was >"$dir/files/pgbench-init.log" 2>&1 || { cat "$dir/files/pgbench-init.log"; exit 1; }

for part in $parts; do
    name=$(basename "$part" .sh)
    psql -XAtqd postgres -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS bank' \
        -c 'CREATE DATABASE bank TEMPLATE bank_as_it_was'
    mkdir "$dir/files/$name"
    if ! PGDATABASE=bank DEMO_DIR=$dir/files/$name "$part"; then
        touch "$dir/files/$name/customers.stop"
        echo "demo: part $name failed; the server is still there: psql -h $dir -p $PGPORT -U postgres bank" >&2
        exit 1
    fi
done

cat <<END

That took $(($(date +%s) - begun)) seconds. The server is still there:

  export PGHOST=$dir PGPORT=$PGPORT PGUSER=postgres PGDATABASE=bank PATH=$top/cli:\$PATH
  upg up demo/bank          go up again yourself (0013 is still broken in there)
  upg help                  all commands
  psql -c 'SELECT * FROM upg_status()'

Read on in docs/README.md. "make demo-clean" stops the server and removes it.
END
