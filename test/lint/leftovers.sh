#!/bin/sh
# No left-over markers, no merge marks, no tests that cannot fail.
. "$(dirname "$0")/lib.sh"

markers='\b(T[O]DO|F[I]XME|X[X]X|H[A]CK|not implement[e]d|unimplement[e]d)\b'
merge='^(<<<<<<<|=======|>>>>>>>)( |$)'
idle='(ok\(1[,)]|assert_true\(1\)|SELECT p[a]ss\()'
files '*' | grep -vE '^(expected/|test/lint/)' | while IFS= read -r file; do
    grep -nIE "$markers|$merge" "$file" /dev/null
    case $file in test/*) grep -nIE "$idle" "$file" /dev/null ;; esac
done | complain_each
finish
