#!/bin/sh
# C functions that overflow, run a shell or keep hidden state are not called.
. "$(dirname "$0")/lib.sh"

banned='strcpy|strcat|sprintf|vsprintf|stpcpy|gets|strtok|system|popen|tmpnam|tempnam|mktemp'
banned="$banned|alloca"
files '*.c' '*.h' | while IFS= read -r file; do
    # Comments and string literals may name them.
    perl -0777 -pe 's{/\*.*?\*/}{ my $c = $&; $c =~ s/[^\n]//g; $c }gse; s{"(?:\\.|[^"\\\n])*"}{""}g' \
        "$file" | grep -nE "(^|[^A-Za-z0-9_>.])($banned) *\(" | sed "s,^,$file:,"
done | complain_each
finish
