# SPDX-License-Identifier: BSD-3-Clause
# The example hello, in each language it is built in: a line from every rank, and nothing else.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The lines that RANKS ranks should print, sorted.
lines() {
    rank=0
    while [ $rank -lt "$1" ]; do
        echo "rank $rank, from rank $(((rank + 1) % $1)): hello rank $rank, you have $((100 * rank + 3))"
        rank=$((rank + 1))
    done
}

for hello in hello hello-cxx hello-fortran; do
    program=$builddir/examples/hello/$hello
    [ -x "$program" ] || { skip "$hello is not built"; continue; }
    for ranks in 1 2 3 4 8; do
        lines $ranks > "$work/expected"
        "$srcdir/tests/run.sh" -n $ranks "$program" > "$work/out" 2> "$work/err"
        status=$?
        sort "$work/out" | cmp -s - "$work/expected" && [ $status -eq 0 ] && [ ! -s "$work/err" ] && status=ok
        none "$hello on $ranks" "$([ $status = ok ] || { echo "exit status $status"; cat "$work/out" "$work/err"; })"
    done
done
finish
