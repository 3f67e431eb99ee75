#!/bin/sh
# The version of upg.control is the one that META.json and CHANGELOG.md tell.
. "$(dirname "$0")/lib.sh"

version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" extension/upg.control)
[ -n "$version" ] || complain "extension/upg.control: no default_version"
perl -MJSON::PP -e 'local $/; my $m = decode_json(<STDIN>);
    print "$_\n" for map { $_ // "(none)" } $m->{version}, $m->{provides}{upg}{version}' <META.json |
    grep -vx "$version" | sed "s/\$/ is META.json's version; upg.control has $version/" | complain_each
# A released version has its heading; before the release "Unreleased" stands for it.
grep -qE "^## ($version|Unreleased)" CHANGELOG.md ||
    complain "CHANGELOG.md: no heading for $version and none named Unreleased"
first=$(grep -m 1 '^## ' CHANGELOG.md)
[ "$first" = "## Unreleased" ] || complain "CHANGELOG.md: begins with \"$first\", not \"## Unreleased\""
# Nobody else writes it down as a literal.
quoted=$(printf '%s' "$version" | sed 's/[.]/\\./g')
files '*.c' '*.h' '*.mk' 'Makefile' '*/Makefile' | while IFS= read -r file; do
    grep -nE "\"$quoted\"" "$file" /dev/null
done | complain_each
finish
