# SPDX-License-Identifier: BSD-3-Clause
# The tool rref-perf: every row is there, in JSON and as text; what is asked wrongly is refused. No figure is judged.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

run=$srcdir/tests/run.sh
perf=$builddir/tools/rref-perf
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for name in $(env | sed -n 's/^\(RREF_[A-Z_]*\)=.*/\1/p' | grep -v '^RREF_TEST_' | grep -v '^RREF_MPIRUN_FLAGS$'); do
    unset "$name"
done

# call RANKS ARGUMENTS...: run it; output in out and err, exit status in $status. 0 ranks: without mpirun.
call() {
    ranks=$1
    shift
    "$run" -n "$ranks" "$perf" "$@" > "$work/out" 2> "$work/err"
    status=$?
}

# refused WHAT PATTERN: the call before was refused, and said why, once and in these words.
refused() {
    none "refused: $1" "$([ $status -eq 2 ] && [ "$(grep -c -e "$2" "$work/err")" = 1 ] && [ ! -s "$work/out" ] ||
        { echo "exit status $status"; cat "$work/out" "$work/err"; })"
}

# rows TEST BYTES CASE...: one line each, as the interface has it.
rows() {
    for row in $(echo "$3" | tr ' ' '\n'); do echo "$1 $row $2"; done
}
cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)        # that ranks may use, which run.sh does not bind
expected() {
    for bytes in 8 64 1024 4096 65536 1048576; do
        rows latency $bytes "inline-bound inline default worker application"
    done
    rows latency 8 "inline-owner-waits default-owner-waits inline-owner-finalize default-owner-finalize default-mutual"
    rows rate 8 "out-1 out-4 out-16 out-64 out-256 out-1024"
    rows oneway 8 "bound name"
    for bytes in 65536 1048576 67108864; do rows bandwidth $bytes "echo-sync echo-async in out"; done
    rows bandwidth 32768 strided
    rows busy 8 "shared-core shared-core-p99 shared-core-mean shared-core-lost stuck-handler"
    if [ "$cores" -ge 3 ]; then rows busy 8 "free-core free-core-p99 free-core-mean free-core-lost"
    else rows busy 8 free-core; fi
    rows idle 0 "sleep future finalize"
    rows idle 8 first-call
    rows resolve 4096 resolve
    for name in create share startup; do rows $name 0 $name; done
    rows memory 0 "object reference peer"
    rows interference 8 "pingpong-idle pingpong-serving compute-serving"
    rows interference 0 compute-idle
    rows threads 8 "1 2 4"
}

# A line is one object with these fields in this order, then perhaps the reason why it was skipped; gives TEST CASE BYTES.
parsed() {
    awk '
        function number(name, text) { return "\"" name "\":" text }
        BEGIN {
            figure = "(null|-?[0-9][-+.e0-9]*)"
            line = "^{\"test\":\"[a-z]+\",\"case\":\"[-a-z0-9]+\"," number("bytes", "[0-9]+,") number("n", "[0-9]+,") \
                "\"unit\":\"[a-zA-Z0-9/]+\""
            n = split("rref raw ratio p50 p99 load", name, " ")
            for (i = 1; i <= n; i++) line = line "," number(name[i], figure)
            short = line ",\"skipped\":\"[^\"]+\"}$"
            line = line "}$"
        }
        $0 !~ line && $0 !~ short { print "not a row: " $0; next }
        $0 ~ line && /"rref":null/ { print "no figure: " $0; next }
        $0 ~ line && /"(n|p50|p99)":(0|null),/ { print "nothing measured: " $0; next }
        { split($0, part, /[":,]+/); print part[3], part[5], part[7] }' "$work/out"
}

call 2 --json --quick --runs 1
none "all tests run" "$([ $status -eq 0 ] || { echo "exit status $status"; tail -n 5 "$work/out"; cat "$work/err"; })"
none "nothing on stderr" "$(cat "$work/err")"
expected | sort > "$work/expected"
parsed | sort > "$work/found"
none "every row of the interface, and no other" "$(diff "$work/expected" "$work/found")"
cp "$work/out" "$work/json"

cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
taskset -c "$cpu" "$run" -n 2 "$perf" --quick --runs 1 busy > "$work/out" 2> "$work/err"
none "no free core where the ranks have one" "$(grep -q '^busy  *free-core .*skipped: rank 1 may use 1 of 1 cores' "$work/out" ||
    cat "$work/out" "$work/err")"
call 3 --quick --runs 2 threads memory
none "a third rank sleeps; as text" "$([ $status -eq 0 ] && [ "$(grep -c '^threads  *[124]  *8  calls/s ' "$work/out")" = 3 ] &&
    grep -q '^memory  *peer ' "$work/out" || { echo "exit status $status"; cat "$work/out" "$work/err"; })"
call 2 --single --quick --runs 1
none "MPI_THREAD_SINGLE" "$([ $status -eq 0 ] && [ "$(grep -c '^interference  *[a-z]*-single ' "$work/out")" = 2 ] ||
    { echo "exit status $status"; cat "$work/out" "$work/err"; })"

call 2 latency bogus
refused "an unknown test" 'unknown test: bogus'
call 0 --bogus
refused "an unknown option" 'unknown option: --bogus'
call 0 --runs 0
refused "no rounds" '--runs wants a number from 1 to 1000: 0'
call 0 --runs
refused "rounds without a number" '--runs wants a number from 1 to 1000$'
call 0 --single latency
refused "a test that needs threads" '--single is for interference only, not for: latency'
RREF_PROGRESS=application
export RREF_PROGRESS
call 2 startup latency
refused "calls that nobody would answer" 'RREF_PROGRESS=application: .*, as in: latency$'
call 2 --quick --runs 1 startup resolve
none "what runs without a library thread" "$([ $status -eq 0 ] && [ ! -s "$work/err" ] ||
    { echo "exit status $status"; cat "$work/err"; })"
unset RREF_PROGRESS
call 0 latency
refused "one rank" 'two ranks are needed'
call 0 --help
none "--help" "$([ $status -eq 0 ] && grep -q '^  interference ' "$work/out" || cat "$work/out" "$work/err")"
call 0 --json latency --help
none "--help among others" "$([ $status -eq 0 ] && grep -q '^  interference ' "$work/out" || cat "$work/out" "$work/err")"
call 0 --version
none "--version" "$([ $status -eq 0 ] && grep -q '^rref-perf [0-9]' "$work/out" || cat "$work/out" "$work/err")"

if command -v gnuplot > /dev/null; then
    for kind in latency rate bandwidth ratio; do
        must "a plot of $kind" "$srcdir/tools/perf/plot" $kind "$work/json" "$work/$kind.svg"
        must "a plot of $kind is a drawing" grep -q '<svg' "$work/$kind.svg"
    done
else
    skip "plots: no gnuplot"
fi
row() { printf '{"test":"%s","case":"%s","bytes":%s,"n":1,"unit":"us","rref":%s,"raw":%s,"ratio":%s}\n' "$@"; }
{ row rate out-64 8 5 2 2.5; row latency worker 8 2.2 1 2.2; row startup startup 0 3 0.5 6; } > "$work/one"
{ row rate out-64 8 3 2 1.5; row latency worker 8 1.6 1 1.6; row startup startup 0 2 0.5 4; } > "$work/two"
row latency worker 8 2.4 1 2.4 > "$work/three"
"$srcdir/tools/perf/goals" "$work/one" "$work/two" "$work/three" > "$work/goals"
none "goals: of every row that some file has" "$(grep -c '^| [a-z].*| \(yes\|no\) |$' "$work/goals" | grep -vx 3)"
must "goals: reached by the median" grep -qxF '| rate out-64 | at least 2 | 2.5, 1.5 | yes |' "$work/goals"
must "goals: missed by the median" grep -qxF '| latency worker | at most 2 | 2.2, 1.6, 2.4 | no |' "$work/goals"
must "goals: beyond raw" grep -qxF '| startup | at most 2 us beyond raw | 2.5, 1.5 | yes |' "$work/goals"
must "goals: what no file has" grep -qxF '| resolve | at most 10 |  | not measured |' "$work/goals"
must "goals of what was measured" "$srcdir/tools/perf/goals" "$work/json"
"$srcdir/tools/perf/goals" "$work/nothing" > /dev/null 2> "$work/err"
none "refused: goals of no file" "$([ $? -ne 0 ] && grep -q 'cannot be read' "$work/err" || cat "$work/err")"
"$srcdir/tools/perf/plot" latency /dev/null "$work/nothing.svg" 2> "$work/err"
none "refused: a plot of nothing" "$([ $? -ne 0 ] && [ -s "$work/err" ] && [ ! -f "$work/nothing.svg" ] || cat "$work/err")"
finish
