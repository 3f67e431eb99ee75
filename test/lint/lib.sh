# shellcheck shell=sh
# test/lint/lib.sh: what the lints share; each sources it first.
#
# A lint runs in the root of the tree, calls complain for each finding, and ends
# with "finish", which fails if there was one.  README.md beside it says how to
# mend what each of them finds.

cd "$(dirname "$0")/../.." || exit 1
LC_ALL=C
export LC_ALL

# A file, for complain_each runs at the end of a pipe, in a shell of its own.
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

complain() {
    echo "$*" >>"$findings"
}

# Print the lines of standard input as findings.
complain_each() {
    cat >>"$findings"
}

# The files of the project that match the patterns, tracked or about to be.
files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null | sort -u |
            while IFS= read -r file; do [ ! -f "$file" ] || echo "$file"; done
    else
        for pattern in "$@"; do
            find . -type f -path "./$pattern" -not -path './build/*'
        done | sed 's,^\./,,' | sort -u
    fi
}

finish() {
    [ -s "$findings" ] || exit 0
    cat "$findings"
    echo "How to mend it: test/lint/README.md, section $(basename "$0" .sh)."
    exit 1
}
