# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 900 s
# Memory on 2 ranks by valgrind's memcheck, which sees MPI's own code, too, as the sanitizers do not: nothing is read before it is
# set, nothing outside of its block, nothing after it was freed. Leaks are the address sanitizer's business.
. "$(dirname "$0")/../lint/lint.sh"
command -v valgrind > /dev/null || { skip "no valgrind"; exit 77; }
cd "$builddir" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

check="valgrind -q --error-exitcode=99 --leak-check=no --fair-sched=try --suppressions=$srcdir/tests/static/valgrind.supp"

# watched PROGRAM [CASE]...: the program itself is behind libtool's script.
watched() {
    # shellcheck disable=SC2086  # words
    RREF_TEST_SECONDS=280 ./libtool --mode=execute "$srcdir/tests/run.sh" -n 2 -t 300 $check "$@" > "$work/log" 2>&1 ||
        { grep -v '^  ok ' "$work/log" | tail -n 40; return 1; }
}

printf '#include <stdlib.h>\nint main(void) { char *p = malloc(8); free(p); return p[1]; }\n' > "$work/planted.c"
# shellcheck disable=SC2086  # CC may have words
$CC -O0 -w -o "$work/planted" "$work/planted.c"
if $check "$work/planted" > "$work/log" 2>&1 || ! grep -q "Invalid read" "$work/log"; then bad "finds what is planted"
else ok "finds what is planted"; fi
for name in frame calls futures objects sharing; do must "$name on 2 ranks" watched "tests/mpi/$name"; done
finish
