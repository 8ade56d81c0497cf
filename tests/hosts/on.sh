# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the tests of this folder: runs tests on ranks across hosts.
: "${srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"
cd "$builddir" || exit 1

cannot() { skip "$1"; exit 77; }
case $(${MPIRUN:-mpirun} --version 2>&1) in *"Open MPI"*) ;; *) cannot "needs Open MPI's mpirun" ;; esac
reason=$("$srcdir/tests/hosts/hosts" 1 true 2>&1) || cannot "$reason"

# Eight ranks that ask each other by TCP want the cores much of the time.
export RREF_TEST_LIMIT=240

# Of a test that fails, what is not a passed case.
quiet() { "$@" > "$work/log" 2>&1 || { grep -v '^  ok ' "$work/log" | tail -n 28; return 1; }; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The library itself says that its ranks are on different nodes.
nodes() { "$srcdir/tests/hosts/hosts" "$1" "$srcdir/tests/run.sh" -n "$1" tools/rref-info | grep "  $1 on $1 nodes\$"; }

# on HOSTS FLAGS TESTS...: tests as tests/run.sh names them, with flags for mpirun; a case each.
on() {
    hosts=$1
    export RREF_MPIRUN_FLAGS="$2"
    shift 2
    must "$hosts hosts are $hosts nodes" nodes "$hosts"
    for test in "$@"; do
        must "$hosts hosts: $test" quiet "$srcdir/tests/hosts/hosts" "$hosts" "$srcdir/tests/run.sh" -c "$test"
    done
}

# The tests on as many ranks as it says.
all_on() { make -s --no-print-directory -C "$builddir" "print-$1" | grep -o 'tests/mpi/[^ ]*'; }
