#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 4200 s
# The random mix of tests/mpi/soak on ranks for about MINUTES; tests/meter.c writes down memory and calls each second. Judged over
# the second half: memory that rises, or a rate that falls, is a failure.
#
#   tests/soak.sh [MINUTES [RANKS]]      build folder: $builddir. Default: 1 minute, with RREF_TEST_FULL 10; 4 ranks.
#
# Leaves in $builddir/soak: samples.RANK (seconds, KiB resident, calls), soak.log, and soak.svg where there is gnuplot.
# Bounds: the line that fits a rank's memory best rises by at most 2 % or 512 KiB; that of the rate of all ranks, which takes
# whatever else the machine does as well, falls by at most a half.
set -u
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
: "${builddir:=$PWD}"
default=1
[ -z "${RREF_TEST_FULL-}" ] || default=10
minutes=${1:-$default} ranks=${2:-4}
work=$builddir/soak
[ -x "$builddir/tests/mpi/soak" ] || { echo "soak: skipped: tests/mpi/soak is not built"; exit 77; }
rm -rf "$work"
mkdir -p "$work" || exit 2

# run OPERATIONS SECONDS
run() {
    RREF_TEST_OPERATIONS=$1 RREF_TEST_METER="$work/samples" \
        "$srcdir/tests/run.sh" -n "$ranks" -t "$2" "$builddir/tests/mpi/soak" prepare full_weight >> "$work/soak.log" 2>&1
}

# How many operations the time is good for: from a short run.
probe=1000000
began=$(date +%s%N)
run "$probe" 120 || { cat "$work/soak.log"; echo "soak: 0 passed, 1 failed"; exit 1; }
ms=$((($(date +%s%N) - began) / 1000000 + 1))
rm -f "$work"/samples.*
failed=0
run "$((probe * minutes * 60000 / ms))" $((minutes * 180 + 120)) || failed=1
tail -n 3 "$work/soak.log"

# ---- judged
memory=$(awk '
    FNR == 1 { judge(); n = 0; file = FILENAME }
    { n++; t[n] = $1; kib[n] = $2 }
    function judge(  i, from, m, st, sx, stt, stx, slope, rise, mean, verdict) {
        if (n < 8) return
        from = int(n / 2) + 1
        for (i = from; i <= n; i++) { m++; st += t[i]; sx += kib[i]; stt += t[i] * t[i]; stx += t[i] * kib[i] }
        slope = (m * stx - st * sx) / (m * stt - st * st)
        mean = sx / m
        rise = slope * (t[n] - t[from])
        sub(/.*\./, "", file)
        verdict = (rise > 512 && rise > 0.02 * mean) ? " RISES" : ""
        printf "rank %s: %.1f MiB, second half %+.0f KiB (%+.2f %%)%s\n", file, mean / 1024, rise, 100 * rise / mean, verdict
    }
    END { judge() }' "$work"/samples.*)
rate=$(awk '
    FNR > 1 { s = int($1); calls[s] += $3 - last; if (s > top) top = s }
    { last = $3 }
    END {
        from = int(top / 2) + 1
        for (s = from; s < top; s++) { m++; st += s; sx += calls[s]; stt += s * s; stx += s * calls[s] }
        for (s = 1; s < top; s++) all += calls[s]
        if (m < 4) exit
        slope = (m * stx - st * sx) / (m * stt - st * st)
        change = slope * (top - from) / (sx / m)
        verdict = (change < -0.5) ? " FALLS" : ""
        printf "%d s, %.0f calls, %.0f a second, second half %+.1f %%%s\n", top, all, all / top, 100 * change, verdict
    }' "$work"/samples.*)
printf '%s\n%s\n' "$memory" "$rate"
[ -n "$memory" ] && [ -n "$rate" ] || { echo "soak: too few samples"; failed=1; }
case "$memory $rate" in *RISES* | *FALLS*) failed=1 ;; esac

# ---- drawn: of each rank 150 points at most
if command -v gnuplot > /dev/null; then
    for file in "$work"/samples.*; do
        awk 'NR == FNR { n = FNR; next }
             FNR == 1 { step = int(n / 150) + 1; t = $1; calls = $3; next }
             FNR % step == 0 { printf "%.0f %.2f %.0f\n", $1, $2 / 1024, ($3 - calls) / ($1 - t); t = $1; calls = $3 }' \
            "$file" "$file" > "$work/curve.${file##*.}"
    done
    {
        echo "set terminal svg size 900,420 font 'sans,12'; set output '$work/soak.svg'"
        echo "set xlabel 'seconds'; set ylabel 'MiB resident'; set y2label 'calls a second, of a rank'"
        echo "set yrange [0:*]; set y2range [0:*]; set ytics nomirror; set y2tics; set grid"
        echo "set key outside top center horizontal"
        printf 'plot '
        for file in "$work"/curve.*; do
            r=${file##*.}
            printf "'%s' using 1:2 with lines lw 2 title 'memory, rank %s', " "$file" "$r"
            printf "'%s' using 1:3 axes x1y2 with lines dt 2 title 'rate, rank %s', " "$file" "$r"
        done
        echo
    } | sed 's/, *$//' | gnuplot || echo "soak: no plot"
fi
echo "soak: $((1 - failed)) passed, $failed failed"
exit "$failed"
