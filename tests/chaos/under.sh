# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the tests of this folder: runs tests on ranks under chaos.
: "${srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"
cd "$builddir" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Of a test that fails, what is not a passed case.
quiet() { "$@" > "$work/log" 2>&1 || { grep -v '^  ok ' "$work/log" | tail -n 28; return 1; }; }

# under SEED TESTS...: tests as tests/run.sh names them; a case each, whose name is how to run it again.
under() {
    export RREF_CHAOS="seed:$1"
    shift
    for test in "$@"; do
        must "RREF_CHAOS=$RREF_CHAOS tests/run.sh -c $test" quiet "$srcdir/tests/run.sh" -c "$test"
    done
    unset RREF_CHAOS
}

# The tests on as many ranks as it says.
all_on() { make -s --no-print-directory -C "$builddir" "print-$1" | grep -o 'tests/mpi/[^ ]*'; }

# under_seeds SEEDS...: all tests on 2, 3 and 4 ranks under each.
under_seeds() {
    for seed in "$@"; do
        # shellcheck disable=SC2046  # names
        under "$seed" $(all_on 2) $(all_on 3) $(all_on 4)
    done
    finish
}
