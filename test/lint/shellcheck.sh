#!/bin/sh
# needs: shellcheck
# Shell scripts pass shellcheck.
. "$(dirname "$0")/lib.sh"

files '*.sh' '.ci/run' | xargs -r shellcheck -x -P SCRIPTDIR -e SC1091,SC2317 2>&1 | complain_each
finish
