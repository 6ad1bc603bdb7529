#!/bin/sh
# Tries each property of test/fuzz for RKT_FUZZ_SECONDS, a minute by default, with values that are new each time. A
# counterexample is printed with the seed that gives it.
#
# usage: scripts/fuzz.sh [PART-OF-A-FILE-NAME]
set -eu
cd "$(dirname "$0")/.."
export RKT_FUZZ_SECONDS="${RKT_FUZZ_SECONDS:-60}" TAP_TIMEOUT=0
failed=0
for file in dist/test/fuzz/*"${1:-}"*.test.cjs; do
	echo "# $file"
	node "$file" || failed=1
done
exit "$failed"
