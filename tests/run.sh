#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Start a program, on ranks or alone, so that it ends whatever it does and leaves nothing behind.
#
#   tests/run.sh [-n RANKS] [-t SECONDS] PROGRAM [ARGUMENTS]     on RANKS ranks, default 2; 0: without mpirun
#   tests/run.sh -c [-t SECONDS] TEST                            as a counted test, for `make check`
#
# A counted TEST named .../mpi/NAME-N is the program .../mpi/NAME on N ranks, and so for .../inner/; other names run as they
# are. Its output ends in one or more lines `TEST: N passed, N failed`; without one, or if the exit status disagrees, a line
# that counts one failure is added. A test that cannot run here prints `TEST: skipped: REASON` (exit status 77). A script
# that needs more than two minutes says so in a line of its head, `# Time limit: 300 s`.
#
# Environment: MPIRUN (default mpirun), of Open MPI or MPICH; RREF_MPIRUN_FLAGS (more of its options).
set -u
ulimit -c 0

here=$(cd "$(dirname "$0")" && pwd)
ranks=2 seconds= counted=
while getopts n:t:c option; do
    case $option in
        n) ranks=$OPTARG ;;
        t) seconds=$OPTARG ;;
        c) counted=yes ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
case $ranks in '' | *[!0-9]*) echo "tests/run.sh: -n wants a number of ranks: $ranks" >&2; exit 2 ;; esac
[ $# -gt 0 ] || { echo "tests/run.sh: no program" >&2; exit 2; }

if [ -n "$counted" ]; then
    ranks=0
    name=$(printf '%s\n' "$1" | sed 's,.*tests/,,; s,\.sh$,,')
    case $1 in
        *.sh)
            limit=$(sed -n '1,10s/^# Time limit: \([0-9]*\) s$/\1/p' "$1")
            : "${seconds:=$limit}" ;;
        */mpi/*-[0-9]* | */inner/*-[0-9]*)
            ranks=${1##*-}
            program=${1%-*}
            shift
            set -- "$program" "$@" ;;
    esac
    export RREF_TEST_NAME="$name"
else
    unset RREF_TEST_NAME
fi
: "${seconds:=${RREF_TEST_LIMIT:-120}}"
case $seconds in *[!0-9]*) echo "tests/run.sh: -t wants seconds: $seconds" >&2; exit 2 ;; esac
export RREF_TEST_SECONDS=$((seconds > 10 ? seconds - 5 : seconds))      # the programs' own watchdog speaks first

# ---- a place of its own, removed at the end: Open MPI's session files, its shared memory, the output -----------------
own=$(mktemp -d "${TMPDIR:-/tmp}/rref.XXXXXX") || exit 2
shared=$(mktemp -d "${RREF_TEST_SHM:-/dev/shm}/rref.XXXXXX" 2>/dev/null) || shared=$own
export TMPDIR="$own" RREF_TEST_SHM="$shared"
export OMPI_MCA_btl_vader_backing_directory="$shared" OMPI_MCA_btl_sm_backing_directory="$shared"

# ---- sanitizers: quiet about MPI's own sins, loud about ours ---------------------------------------------------------
# A leak can only be laid at MPI's door if its whole call chain is known, hence no fast unwinding. Asking for more memory than
# there is gives NULL, as without a sanitizer.
export ASAN_OPTIONS="allocator_may_return_null=1:fast_unwind_on_malloc=0:detect_stack_use_after_return=1:${ASAN_OPTIONS-}"
export LSAN_OPTIONS="suppressions=$here/sanitizers/leak.supp:print_suppressions=0:${LSAN_OPTIONS-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS-}"
export TSAN_OPTIONS="allocator_may_return_null=1:ignore_noninstrumented_modules=1:second_deadlock_stack=1:${TSAN_OPTIONS-}"

# ---- the command -----------------------------------------------------------------------------------------------------
case $1 in *.sh) set -- sh "$@" ;; esac
if [ "$ranks" -gt 0 ]; then
    : "${MPIRUN:=mpirun}"
    flags=
    # There may be more threads than cores, so nobody waits spinning.
    export OMP_WAIT_POLICY=passive
    # MPICH binds nothing and counts no slots.
    case $($MPIRUN --version 2>&1) in
        *HYDRA*) ;;
        *) flags="--oversubscribe --bind-to none --mca mpi_yield_when_idle 1 -x OMP_WAIT_POLICY" ;;
    esac
    # shellcheck disable=SC2086  # flags are words
    set -- $MPIRUN -n "$ranks" $flags ${RREF_MPIRUN_FLAGS-} "$@"
    unset RREF_MPIRUN_FLAGS             # no option of the library, which would say so
    [ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# The command gets a session of its own. Ranks make process groups but stay in the session, so what is left of it at the
# end, and nothing else, is ours to end: politely first, for it may be another run.sh with ranks of its own.
leader=
left() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$leader" '
        { pid = $1; sub(/.*\) /, ""); if ($4 == session && $1 != "Z") print pid }'
}
finish() {
    trap "" TERM INT HUP
    signal=TERM tries=0
    while [ -n "$leader" ] && pids=$(left) && [ -n "$pids" ] && [ $tries -lt 50 ]; do
        # shellcheck disable=SC2086  # numbers
        [ $((tries % 40)) -ne 0 ] || { kill -$signal $pids 2>/dev/null; signal=KILL; }
        tries=$((tries + 1))
        sleep 0.1
    done
    rm -rf "$own" "$shared"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP

if [ -n "$counted" ]; then
    setsid timeout -k 10 "$seconds" "$@" > "$own/out" 2>&1 < /dev/null &
else
    setsid timeout -k 10 "$seconds" "$@" < /dev/null &
fi
leader=$!
wait "$leader"
status=$?

case $status in
    0) reason= ;;
    124 | 137) reason="killed after $seconds s" ;;
    12[5-9] | 1[3-9][0-9]) reason="exit status $status, signal $((status - 128))" ;;
    *) reason="exit status $status" ;;
esac
if [ -z "$counted" ]; then
    [ "$status" -ne 124 ] && [ "$status" -ne 137 ] || echo "tests/run.sh: $reason: $*" >&2
    exit "$status"
fi

# ---- the result ------------------------------------------------------------------------------------------------------
cat "$own/out"
if [ "$status" -eq 77 ] && grep -q "^$name: skipped: " "$own/out"; then exit 77; fi
results=$(awk -v name="$name:" '$1 == name && $3 == "passed," && $5 == "failed" { lines++; failed += $4 }
                                END { print lines + 0, failed + 0 }' "$own/out")
lines=${results% *} failed=${results#* }
if [ "$lines" -eq 0 ] || { [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; }; then
    echo "$name: ${reason:-no result line}"
    echo "$name: 0 passed, 1 failed"
    exit 1
fi
[ "$failed" -eq 0 ]
