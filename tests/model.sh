# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 900 s
# The model of counting (doc/model/counting.pml): spin goes through all of its states; its simulations are repeated step by step
# in the library's own code (tests/replay.c); and an error planted in either is found. With RREF_TEST_FULL more of each.
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

command -v spin > /dev/null || { skip "no spin"; exit 77; }
model=$srcdir/doc/model/counting.pml
replay=$builddir/tests/replay
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
optimize=-O0                                    # the compiler takes longer than the search
[ -z "${RREF_TEST_FULL-}" ] || optimize=-O2
histories=${RREF_TEST_FULL:+500}
histories=${histories:-10}

# search DEFINITIONS...: spin's verdict in the file found, and the way to an error in told.
search() {
    rm -f ./*.trail
    # TELL: the way to an error is told by the same steps.
    spin -a -DTELL "$@" "$model" > found 2>&1 &&
        cc $optimize -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c >> found 2>&1 &&
        ./pan -m10000 -w22 >> found 2>&1
    [ ! -f counting.pml.trail ] || spin -DTELL "$@" -T -t "$model" > told 2>&1
}

holds() {
    search "$@"
    if grep -q 'errors: 0' found && ! grep -q 'not completed' found; then
        ok "all states: $* ($(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' found))"
    else
        bad "all states: $*"
        grep -E 'pan:|rror' found | head -n 5
        grep -E '@|rror' told | tail -n 40
    fi
}

breaks() {
    search "$@"
    if grep -q 'errors: 1' found; then ok "found in the model: $*"; else bad "not found in the model: $*"; fi
}

# simulate COUNT DEFINITIONS...: so many simulations, into the file histories.
simulate() {
    : > histories
    count=$1 i=0
    shift
    while [ $i -lt "$count" ]; do
        i=$((i + 1))
        spin -T -n"$i" -DTELL -DSHARES=8 -DUSES=3 "$@" "$model" | sed -n 's/^ *@/@/p' >> histories
    done
}

agree() {
    simulate "$histories" "$@"
    if said=$("$replay" < histories 2>&1); then
        ok "the code does the same: $*: $said"
    else
        bad "the code does something else: $*"
        printf '%s\n' "$said"
    fi
}

# differs WHAT PLANTED: the histories do not agree with the code that has this error, 0: none.
differs() {
    if "$replay" "$2" < histories > /dev/null 2> said; then bad "not found by replay: $1"
    elif grep -q '^at: ' said; then ok "found by replay: $1"
    else bad "replay said nothing of $1"; fi
}

holds -DSHARES=2
holds -DSHARES=1 -DLOSS
breaks -DSHARES=2 -DPLANTED=1
for weight in 32 1 2; do agree -DWEIGHT=$weight -DCREATOR=$((1 + weight % 2)); done
for planted in 1 2 3; do differs "error $planted in the code" $planted; done
for planted in 1 2 4; do
    simulate 5 -DPLANTED=$planted -DBLIND
    differs "error $planted in the model" 0
done
if [ -n "${RREF_TEST_FULL-}" ]; then
    holds -DSHARES=3
    for weight in 1 8 32; do holds -DSHARES=2 -DWEIGHT=$weight; done
    for creator in 0 1 2; do holds -DSHARES=2 -DLOSS -DCREATOR=$creator; done
    for planted in 2 3 4 5; do breaks -DSHARES=2 -DPLANTED=$planted; done
    breaks -DSHARES=2 -DLOSS -DPLANTED=6
fi
finish
