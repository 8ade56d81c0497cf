# SPDX-License-Identifier: BSD-3-Clause
# The example fractal: the same picture on any number of ranks, each row computed once, and one clear error on all ranks
# for what cannot be done.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

run=$srcdir/tests/run.sh
fractal=$builddir/examples/fractal/fractal
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# sums < table: rows and iterations of all ranks.
sums() { awk '$5 == "s" { rows += $2; iterations += $3 } END { print rows + 0, iterations + 0 }'; }

# same RANKS OPTIONS...: a case; the picture and the sums of one rank are in expected.ppm and expected.
same() {
    ranks=$1
    shift
    "$run" -n "$ranks" "$fractal" "$@" out.ppm > out 2> err
    status=$?
    sums < out > got
    lines=$(awk '$5 == "s"' out | wc -l)
    [ $status -eq 0 ] && [ ! -s err ] && [ "$lines" -eq "$ranks" ] && cmp -s got expected && cmp -s out.ppm expected.ppm &&
        status=ok
    none "on $ranks ranks: $*" "$([ $status = ok ] || { echo "exit status $status"; cat out err; diff got expected; })"
    rm -f out.ppm
}

# The iterations of a small picture, counted without the example. A compiler may fuse a product and a sum: some tolerance.
"$run" -n 1 "$fractal" --size=24 --iterations=300 small.ppm > out 2>&1
status=
none "iterations as computed by awk" "$(sums < out | awk '
    { rows = $1; got = $2 }
    END {
        for (row = 0; row < 24; row++) for (column = 0; column < 24; column++) {
            x = -0.7515 + row * 0.012 / 24; y = 0.1025 + column * 0.012 / 24; re = im = 0
            for (n = 0; n < 300 && re * re + im * im < 256; n++) { t = re * re - im * im + x; im = 2 * re * im + y; re = t }
            sum += n
        }
        if (rows != 24 || got < 0.99 * sum || got > 1.01 * sum) print rows " rows, " got " iterations, expected " sum
    }')"
printf 'P6\n24 24\n255\n' > magic
head -c 13 small.ppm | cmp -s - magic && [ "$(wc -c < small.ppm)" -eq $((13 + 3 * 24 * 24)) ] && status=ok
none "a PPM of 24 x 24" "$([ "$status" = ok ] || head -n 3 small.ppm | od -c | head)"

small='--size=120 --iterations=400'
# shellcheck disable=SC2086  # options are words
{
    "$run" -n 1 "$fractal" $small --block=120 expected.ppm 2>&1 | sums > expected
    must "one rank computes all rows" grep -q '^120 ' expected
    for ranks in 1 2 3 4 8; do same $ranks $small; done
    same 3 $small --block=1
    same 3 $small --block=50
    same 8 $small --static
}
must "more ranks than rows" "$run" -n 8 "$fractal" --size=5 few.ppm
must "more ranks than rows, equal shares" "$run" -n 8 "$fractal" --size=5 --static few-static.ppm
must "the same few rows" cmp few.ppm few-static.ppm

# Rows too long for a message travel beside it.
"$run" -n 1 "$fractal" --size=1500 --iterations=20 expected.ppm 2>&1 | sums > expected
same 3 --size=1500 --iterations=20
same 2 --size=1500 --iterations=20 --static

"$run" -n 0 "$fractal" --size=5 full.ppm > /dev/full 2> err
status=$?
none "a full disk" "$([ $status -eq 1 ] && grep -q '^fractal: standard output: ' err || { echo "exit status $status"; cat err; })"

# refused RANKS TEXT ARGUMENTS...: one line of the example's own, with the text in it, and no table.
# On 0 ranks it runs without mpirun, which may take its time to end a job that failed.
refused() {
    ranks=$1 text=$2
    shift 2
    "$run" -n "$ranks" -t 20 "$fractal" "$@" > out 2> err
    got=$?
    if [ $got -eq 1 ] && [ ! -s out ] && [ "$(grep -c '^fractal: ' err)" -eq 1 ] && grep -qF -e "$text" err; then
        ok "refused on $ranks: $*"
    else
        bad "refused on $ranks: $* (exit status $got)"
        head -n 10 out err
    fi
}
for ranks in 0 3; do
    refused $ranks "'--size=0' is none of" --size=0
    refused $ranks 'no/such/folder/x.ppm: No such file' no/such/folder/x.ppm
done
for option in --size=10001 --size=5x --size --iterations=0 --iterations=9999999999 --block=-1 --block= --static=1 --other; do
    refused 0 "'$option' is none of" $option
done
finish
