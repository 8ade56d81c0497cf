# SPDX-License-Identifier: BSD-3-Clause
# The example steering: what the driver saw is what heat does, on any number of ranks; and one clear error on one rank.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

run=$srcdir/tests/run.sh
steering=$builddir/examples/steering/steering
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# The first row's residual: that after ten sweeps with a hot corner of 1, computed without the example.
first=$(awk 'BEGIN {
    N = 64
    for (i = 0; i <= N; i++) u[i, N] = u[N, i] = i / N
    for (sweep = 1; sweep <= 10; sweep++) {
        largest = 0
        for (y = 1; y < N; y++) for (x = 1; x < N; x++) {
            new[y, x] = (u[y - 1, x] + u[y + 1, x] + u[y, x - 1] + u[y, x + 1]) / 4
            change = new[y, x] - u[y, x]
            if (change > largest) largest = change
        }
        for (y = 1; y < N; y++) for (x = 1; x < N; x++) u[y, x] = new[y, x]
    }
    printf "%.3e\n", largest
}')

# After a corner was set the residual jumps, then it falls, as it was waited for; the plate only gets warmer.
wrong() {
    awk -v first="$first" '
        NF != 5 || $4 !~ /^(set|below)$/ { next }
        { rows++ }
        rows == 1 && ($4 != "set" || $2 != first) { print "residual of the first row, expected " first ": " $0 }
        $1 <= sweep { print "no later sweep: " $0 }
        $4 == "set" { corner = $5 }
        $3 < middle || $3 > corner / 4 { print "a wrong temperature: " $0 }
        $4 == "set" && rows > 1 && $2 < 100 * residual { print "no jump: " $0 }
        $4 == "below" && ($2 > $5 || $2 > residual) { print "no fall: " $0 }
        { sweep = $1; residual = $2; middle = $3 }
        END { if (rows != 9 || residual > 1e-7) print rows " rows, last residual " residual }' out
}

# The end: the steady state 2 x y at x, y = 0, 1/4, ... 1.
awk 'BEGIN { for (y = 0; y < 5; y++) for (x = 0; x < 5; x++) printf "%7.3f%s", x * y / 8, x == 4 ? "\n" : "" }' > expected

for ranks in 2 3 4 8; do
    "$run" -n $ranks "$steering" > out 2> err
    status=$?
    wrong > complaints
    [ $status -eq 0 ] && [ ! -s err ] && [ ! -s complaints ] && awk 'NF == 5 && $4 + 0 == $4' out | cmp -s - expected &&
        status=ok
    none "on $ranks ranks" "$([ $status = ok ] || { echo "exit status $status"; cat complaints out err; })"
done

# Without mpirun and with it.
for ranks in 0 1; do
    "$run" -n $ranks -t 20 "$steering" > out 2> err
    status=$?
    [ $status -eq 1 ] && [ ! -s out ] && [ "$(grep -c '^steering: ' err)" -eq 1 ] &&
        grep -q 'needs 2 to 64 ranks' err && status=ok
    none "refused on $ranks" "$([ $status = ok ] || { echo "exit status $status"; head -n 10 out err; })"
done
finish
