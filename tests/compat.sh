#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 900 s
# The same programs under other ways to run Open MPI: over TCP, without the kernel's copies between processes, under UCX, as
# somebody who is not root, in a user namespace as containers have, and on 16 and 64 ranks.
set -u
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
: "${builddir:=$PWD}"
run=$srcdir/tests/run.sh
case $(${MPIRUN:-mpirun} --version 2>&1) in *Open\ MPI* | *OpenRTE*) ;; *) echo "compat: skipped: not Open MPI"; exit 77 ;; esac
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0

verdict() {
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); echo "  ok     $1"; return; fi
    failed=$((failed + 1))
    echo "  FAILED $1"
    tail -n 25 "$out" | sed 's/^/         /'
}

# on NAME FLAGS RANKS TESTS...: each test on that many ranks, with more options of mpirun.
on() {
    name=$1 flags=$2 ranks=$3
    shift 3
    for test in "$@"; do
        RREF_MPIRUN_FLAGS=$flags "$run" -n "$ranks" -t 150 "$builddir/tests/mpi/$test" > "$out" 2>&1
        verdict "$name: $test on $ranks" $?
    done
}

suite="frame calls objects sharing types"
# shellcheck disable=SC2086  # lists of words
{
    on "TCP alone" "--mca btl self,tcp" 3 $suite
    on "without CMA" "--mca btl_vader_single_copy_mechanism none" 3 $suite
    on "UCX" "--mca pml ucx --mca osc ucx --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any" 2 $suite
}
on "many ranks" "" 16 frame sharing
RREF_TEST_OPERATIONS=2000 on "many ranks" "" 64 frame

# hello says which ranks there are.
"$run" -n 64 -t 150 "$builddir/examples/hello/hello" > "$out" 2>&1
verdict "many ranks: hello on 64" $?

# Somebody who owns nothing here, and passes through the folder that run.sh has made for this test; and one who is root in a
# namespace only.
[ -z "${RREF_TEST_NAME-}" ] || chmod o+x "$TMPDIR"
as() {
    name=$1
    shift
    home=$(mktemp -d)
    chmod 777 "$home"
    HOME=$home TMPDIR=$home RREF_TEST_SHM=$home "$@" sh "$run" -n 3 -t 100 "$builddir/tests/mpi/frame" > "$out" 2>&1
    verdict "$name: frame on 3" $?
    rm -rf "$home"
}
reachable() { "$@" test -x "$builddir/tests/mpi/frame"; }
if [ "$(id -u)" -ne 0 ]; then
    echo "  left out: another user, since this is not root"
elif reachable setpriv --reuid=65534 --regid=65534 --clear-groups 2> /dev/null; then
    as "not root" setpriv --reuid=65534 --regid=65534 --clear-groups
else
    echo "  left out: another user, who cannot reach this folder"
fi
if unshare -U -r true 2> /dev/null; then as "a user namespace" unshare -U -r -p -f -m -i --mount-proc
else echo "  left out: a user namespace, which the system does not allow"; fi

echo "compat: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
