#!/bin/sh
# scripts/dist.sh: the source archive build/upg-VERSION.tar.gz, from the last commit.
set -eu

cd "$(dirname "$0")/.."
test/lint/versions.sh
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" extension/upg.control)
mkdir -p build
git archive --format=tar --prefix="upg-$version/" HEAD | gzip -9n >"build/upg-$version.tar.gz"
echo "build/upg-$version.tar.gz"
