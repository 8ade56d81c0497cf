# SPDX-License-Identifier: BSD-3-Clause
# The example two: different programs in one job, the class on one side only; types through the window and by message.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
two=$builddir/examples/two/two

for window in auto off; do
    for clients in 1 2 7; do
        rank=1
        while [ $rank -le $clients ]; do
            echo "rank $rank: 1 2 1 1"
            rank=$((rank + 1))
        done > "$work/expected"
        cat >> "$work/expected" << EOF
histogram: f64, f64, u32
  add: f64[]
  counts: -> u64[]
EOF
        sort -o "$work/expected" "$work/expected"
        # run.sh's own program is the first of two; the second follows behind a colon.
        RREF_WINDOW=$window "$srcdir/tests/run.sh" -n 1 "$two-server" : -n $clients "$two-client" \
            > "$work/out" 2> "$work/err"
        status=$?
        sort "$work/out" | cmp -s - "$work/expected" && [ $status -eq 0 ] && [ ! -s "$work/err" ] && status=ok
        none "$clients clients, RREF_WINDOW=$window" \
            "$([ $status = ok ] || { echo "exit status $status"; cat "$work/out" "$work/err"; })"
    done
done
"$srcdir/tests/run.sh" -n 0 "$two-client" > "$work/out" 2> "$work/err"
status=$?
none "no server" "$([ $status -eq 1 ] && [ ! -s "$work/out" ] && grep -q '^client: .*server' "$work/err" ||
    { echo "exit status $status"; cat "$work/out" "$work/err"; })"
finish
