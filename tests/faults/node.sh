# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 300 s
# A rank of four on one node ends, or stops for a while, in the middle of traffic.
. "$(dirname "$0")/../lint/lint.sh"
cd "$builddir" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

case $(${MPIRUN:-mpirun} --version 2>&1) in *"Open MPI"*) ;; *) skip "needs Open MPI's mpirun"; exit 77 ;; esac

# What others have left in shared memory, or use.
segments() { find /dev/shm -maxdepth 1 -name 'rref-*' | sort; }
segments > "$work/before"

# as_expected COUNT: so many ranks say that all was well, and no segment of the library is left.
as_expected() {
    grep -v '^  ' "$work/out"
    [ "$(grep -c ': as expected$' "$work/out")" -eq "$1" ] && ! grep -q WRONG "$work/out" &&
        ! segments | comm -13 "$work/before" - | grep .
}
# A rank that is killed makes mpirun's own outcome what it is. Open MPI's own barrier in MPI_Finalize may wait for it, hence the
# parameter.
flags="--enable-recovery --mca async_mpi_finalize 1"
ranks() { RREF_MPIRUN_FLAGS=$flags "$srcdir/tests/run.sh" -n 4 tests/faults/ranks "$@" > "$work/out" 2>&1; }

ranks kill 2
must "killed: three ranks see it and go on" as_expected 3
ranks kill 0
must "killed: rank 0 as well" as_expected 3
ranks stop 1
must "stopped: nothing fails, all runs once" as_expected 4

# What it held; in the second run no reference has weight to give, so each that is passed on is vouched for.
estate() { RREF_MPIRUN_FLAGS=$flags "$srcdir/tests/run.sh" -n 4 tests/faults/estate "$@" > "$work/out" 2>&1; }
for how in kill fence busy; do
    estate $how 3
    must "what a lost rank held is written off at the fence: $how" as_expected 3
done
estate declare 3
must "what a lost rank held is written off at the fence: declare" as_expected 4
export RREF_WEIGHT=0
estate kill 0
must "what a lost rank held is written off at the fence: kill, without weight" as_expected 3
unset RREF_WEIGHT

# What it leaves behind beside that.
for what in lookup still again group vouch; do
    RREF_MPIRUN_FLAGS=$flags "$srcdir/tests/run.sh" -n 4 tests/faults/after $what > "$work/out" 2>&1
    must "after a loss: $what" as_expected 3
done

# A message of which the rest never comes: without single copies MPI needs the sender for it.
for what in lane arguments result; do
    RREF_MPIRUN_FLAGS="$flags --mca btl_vader_single_copy_mechanism none" \
        "$srcdir/tests/run.sh" -n 4 tests/faults/cut $what > "$work/out" 2>&1
    must "a message cut off: $what" as_expected 3
done
RREF_MPIRUN_FLAGS="--mca btl_vader_single_copy_mechanism none" \
    "$srcdir/tests/run.sh" -n 4 tests/faults/cut stopped > "$work/out" 2>&1
must "a result that pauses beyond its call's time" as_expected 4

# Nobody is about to speak to it.
for what in fence finalize asked result room announced; do
    RREF_MPIRUN_FLAGS=$flags "$srcdir/tests/run.sh" -n 4 tests/faults/quiet $what > "$work/out" 2>&1
    must "a rank that ends in silence: $what" as_expected 3
done

export RREF_ON_TERM=finalize
ranks term
told() { as_expected 4 && grep -q 'SIGTERM: .* calls not answered' "$work/out"; }
must "told to end: objects are destroyed, what was in flight is told" told
ranks leave
must "told to end, and the application leaves: it waits for that" told
ranks caught
must "told to end in a fence: the application ends the context" as_expected 4
ranks early
must "told to end in rref_finalize: objects are destroyed" as_expected 4
finish
