# SPDX-License-Identifier: BSD-3-Clause
# The example parameters: all ranks end with the same line, the right one.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

for ranks in 1 2 3 4 8; do
    rank=0
    while [ $rank -lt $ranks ]; do
        echo "rank $rank: y = 2.0000 x + 1.0000"
        rank=$((rank + 1))
    done > "$work/expected"
    "$srcdir/tests/run.sh" -n $ranks "$builddir/examples/parameters/parameters" > "$work/out" 2> "$work/err"
    status=$?
    grep '^rank' "$work/out" | sort | cmp -s - "$work/expected" && [ $status -eq 0 ] && [ ! -s "$work/err" ] && status=ok
    none "on $ranks ranks" "$([ $status = ok ] || { echo "exit status $status"; cat "$work/out" "$work/err"; })"
done
finish
