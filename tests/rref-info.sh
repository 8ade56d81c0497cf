# SPDX-License-Identifier: BSD-3-Clause
# The tool rref-info: what it prints on 1, 2, 4 and 8 ranks, alone, and its exit status when something is wrong.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

run=$srcdir/tests/run.sh
info=$builddir/tools/rref-info
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for name in $(env | sed -n 's/^\(RREF_[A-Z_]*\)=.*/\1/p' | grep -v '^RREF_TEST_' | grep -v '^RREF_MPIRUN_FLAGS$'); do
    unset "$name"
done

# call RANKS ARGUMENTS...: run it; output in out and err, exit status in $status. 0 ranks: without mpirun.
call() {
    ranks=$1
    shift
    "$run" -n "$ranks" "$info" "$@" > "$work/out" 2> "$work/err"
    status=$?
}

# expect WHAT STATUS FILE PATTERN...: a case: the exit status, and each pattern on some line of the file.
expect() {
    what=$1 wanted=$2 file=$work/$3 lost=
    shift 3
    for pattern; do grep -q -e "$pattern" "$file" || lost="$lost '$pattern'"; done
    if [ "$status" -eq "$wanted" ] && [ -z "$lost" ]; then
        ok "$what"
    else
        bad "$what: exit status $status${lost:+; not found:$lost}"
        head -n 40 "$work/out" "$work/err" | sed 's/^/         /'
    fi
}

# Each rank has one line; its name, node, host and place are there.
ranks_listed() {
    [ "$(grep -c '^ *[0-9][0-9]*  rank[0-9]*  *0  .* of [0-9]* (.*PU' "$work/out")" -eq "$1" ]
}

for n in 1 2 4 8; do
    call $n
    expect "on $n ranks" 0 out '^RRef for MPI [0-9]' '^  MPI  *.*(MPI [34]\.[0-9])$' '^  hwloc  *[0-9]' \
        '^  thread level  MPI_THREAD_MULTIPLE$' "^  ranks  *$n on 1 node\$" '^  RREF_RING  *16  *16  *4 to 1024 ' \
        '^  types  *by '
    must "on $n ranks: each is listed once" ranks_listed $n
    none "on $n ranks: nothing on stderr" "$(cat "$work/err")"
done

call 0
expect "without mpirun" 0 out '^  ranks  *1 on 1 node$'
call 0 --options
expect "--options" 0 out '^RRef for MPI [0-9]' '^  RREF_RING  *16 ' '^  RREF_LOG  *warn '
call 0 --version
expect "--version" 0 out '^rref-info [0-9]'
call 0 --help
expect "--help" 0 out '^Usage: rref-info'

RREF_RING=32
export RREF_RING
call 2
expect "an option that is set" 0 out '^  RREF_RING \*  *32  *16 ' '^  \* not the default'
RREF_RING=abc
call 2
expect "a bad value" 1 err 'RREF_RING=abc: a whole number from 4 to 1024 is wanted'
none "a bad value: said once" "$(grep -c RREF_RING=abc "$work/err" | grep -v '^1$')"
call 0 --options
expect "--options with a bad value" 1 out 'RREF_RING=abc: a whole number from 4 to 1024 is wanted; the defaults are'
unset RREF_RING
for bad in RREF_LOG=bogus RREF_LOG=info:/no/such/folder/log RREF_CORES=zz RREF_CHAOS=foo; do
    export "${bad?}"
    call 0 --options
    expect "--options with $bad" 1 out "^  ${bad%%[:=]*}.*; the defaults are:\$" '^  RREF_RING  *16 '
    unset "${bad%%=*}"
done

RREF_CORES=any
export RREF_CORES
call 2
expect "where threads run: anywhere" 0 out '^ *rank  .*  library threads$' '^ *1  rank1 .*)  as the rank (RREF_CORES=any)$'
RREF_CORES=1023
call 2
expect "where threads run: nowhere" 1 err 'RREF_CORES=1023: this process may not run on CPU 1023'
unset RREF_CORES

RREF_WINDOW=off
export RREF_WINDOW
call 2
expect "types without a window" 0 out '^  types  *by message: RREF_WINDOW=off$' '^  RREF_WINDOW \*  *off  *auto '
unset RREF_WINDOW
OMPI_MCA_orte_enable_recovery=1
export OMPI_MCA_orte_enable_recovery
call 2
expect "types of a job that may outlive a rank" 0 out '^  types  *by message: the job may outlive a rank'
unset OMPI_MCA_orte_enable_recovery

call 2 --bogus
expect "a bad argument" 2 err 'unexpected argument --bogus'
none "a bad argument: said once" "$(grep -c -e --bogus "$work/err" | grep -v '^1$')"
call 0 --options more
expect "an argument too many" 2 err 'unexpected argument more'
call 0 --options --help
expect "--help among others" 0 out '^Usage: rref-info'
call 0 more --version
expect "--version among others" 0 out '^rref-info [0-9]'
"$run" -n 0 "$info" --version > /dev/full 2> "$work/err"
status=$?
expect "a full disk" 1 err 'standard output'

finish
