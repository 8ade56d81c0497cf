#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 300 s
# Ranks to which the rest of the system happens (tests/friends/ranks): what doc/reliability.md says of forks, signals, main
# threads that end, exit() in a method, limits on memory, threads and descriptors, and no room in /dev/shm.
set -u
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
: "${builddir:=$PWD}"
program=$builddir/tests/friends/ranks
run=$srcdir/tests/run.sh
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0 left_out=
export PMIX_MCA_gds=hash

good() { passed=$((passed + 1)); echo "  ok     $1"; }
bad() { failed=$((failed + 1)); echo "  FAILED $1"; sed 's/^/         /' "$out" | tail -n 25; }
verdict() { if [ "$2" -eq 0 ]; then good "$1"; else bad "$1"; fi; }

# expects NAME SCENARIO STATUS: the job ends with that status (-: with one), as expected where it says so, and nobody crashes.
expects() {
    "$run" -n 3 -t 60 "$program" "$2" > "$out" 2>&1
    status=$?
    rc=0
    case $3 in
        -) [ "$status" -ne 0 ] && [ "$status" -ne 124 ] && [ "$status" -ne 137 ] || rc=1 ;;
        0) [ "$status" -eq 0 ] && grep -q '^as expected' "$out" || rc=1 ;;
        *) [ "$status" -eq "$3" ] || rc=1 ;;
    esac
    if grep -q 'not so\|Segmentation\|Signal: \|Sanitizer' "$out"; then rc=1; fi
    verdict "$1" $rc
}

expects "system() and fork() while calls run" system 0
expects "signals all the time" signals 0
expects "MPI_Finalize without rref_finalize" forgotten 0
expects "a main that returns without either ends the job" returns -
expects "exit() in a method ends the job" exits 3
expects "a main thread that ends by pthread_exit" leaves 0
case ${SANITIZER-no} in
    no | '')
        expects "no address space left on one rank" memory 0
        expects "no threads left on one rank" threads 0
        expects "no descriptors at the start" files 0 ;;
    *) left_out=", without limits under a sanitizer" ;;
esac

# A /dev/shm of its own, with room for nothing.
if [ "$(id -u)" -eq 0 ] && unshare -m true 2> /dev/null; then
    RREF_TEST_SHM=/tmp unshare -m sh -c '
        mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4096 /dev/zero > /dev/shm/full 2> /dev/null
        exec "$0" -n 3 -t 60 "$1" start' "$run" "$program" > "$out" 2>&1
    grep -q '^start: RREF_ERR_SYSTEM .*no room' "$out"
    verdict "a full /dev/shm is a start that fails, on all ranks" $?
else
    left_out="$left_out, without a full /dev/shm: not root, or no namespaces"
fi

[ -z "$left_out" ] || echo "${left_out#, }"
echo "friends: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
