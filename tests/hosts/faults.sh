# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 600 s
# Ranks, stops, links and hosts that fail in the middle of traffic of 4 ranks on 2 hosts; shows what every rank says of it.
. "$(dirname "$0")/on.sh"

# as_expected COUNT: so many ranks say that all was well, and nothing of the library is left in shared memory.
as_expected() {
    [ "$(grep -c ': as expected$' "$work/out")" -eq "$1" ] && ! grep -q WRONG "$work/out" && ! ls /dev/shm/rref-* 2> /dev/null
}

# shown WHAT COUNT SCENARIO [VICTIM]: a case, with what every rank says.
shown() {
    what=$1 count=$2
    shift 2
    echo "--- $*"
    "$srcdir/tests/hosts/hosts" 2 sh "$srcdir/tests/faults/strike.sh" "$@" > "$work/out" 2>&1
    grep -E '^(rank|rref)' "$work/out"
    must "$what" as_expected "$count"
}

shown "killed: three ranks see it and go on" 3 kill 3
shown "rank 0 killed: three ranks see it and go on" 3 kill 0
shown "stopped: nothing fails, all runs once" 4 stop 1
shown "stopped for long: suspected, then all runs once" 4 suspect 3
shown "declared lost: it is told when it goes on" 4 return 3
shown "a link cut and healed: nothing fails, all runs once" 4 cut
shown "a link cut for long: suspected, then all runs once" 4 cut-long
shown "a host crashed: the others go on when it is declared lost" 2 crash
finish
