#!/bin/sh
# needs: codespell
# No common misspellings in code, tests and pages.
. "$(dirname "$0")/lib.sh"

files '*' | grep -vE '^(expected/|test/lint/codespell\.txt)' |
    xargs -r codespell --ignore-words=test/lint/codespell.txt --quiet-level=3 | complain_each
finish
