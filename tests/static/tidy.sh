# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 900 s
# clang-tidy and the static analyser of clang have nothing to say of the library; what is left out stands in .clang-tidy.
. "$(dirname "$0")/../lint/lint.sh"
command -v clang-tidy > /dev/null || { skip "no clang-tidy"; exit 77; }
cd "$srcdir" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# What the wrapper of MPI adds, as far as a compiler needs it.
case $($CC -show 2>/dev/null) in *-I*) mpi=$($CC -show | tr ' ' '\n' | grep '^-[ID]' | tr '\n' ' ') ;; *) mpi= ;; esac

tidy() {
    # shellcheck disable=SC2086  # words
    clang-tidy --quiet "$@" -- -std=c11 -D_GNU_SOURCE -include src/visible.h -Iinclude -I"$builddir/include" -Isrc \
        -I"$builddir" $mpi 2> "$work/noise" || { cat "$work/noise"; return 1; }
}

mkdir "$work/src"
printf '#include <stdlib.h>\nint f(void) { char *p = malloc(8); free(p); return p ? *p : 0; }\n' > "$work/src/planted.c"
cp .clang-tidy "$work"
if tidy "$work/src/planted.c" > "$work/log" 2>&1; then bad "finds what is planted"; else ok "finds what is planted"; fi
for file in src/*.c; do must "$file is clean" tidy "$file"; done
finish
