# SPDX-License-Identifier: BSD-3-Clause
# What holds for every source file.
. "$(dirname "$0")/lint.sh"
cd "$srcdir" || exit 1

files=$(find include src tests examples tools doc m4/rref.m4 .ci configure.ac Makefile.am quickstart -type f \
    ! -path 'tests/data/*' \( -name '*.[ch]' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.f90' -o -name '*.sh' \
    -o -name '*.mk' -o -name '*.map' -o -name '*.m4' -o -name '*.awk' -o -name '*.supp' -o -name '*.[1-9]' \
    -o -name '*.sbatch' -o -name floors -o -name hosts -o -name agent -o -name cluster -o -name perf -o -name run \
    -o -name configure.ac -o -name Makefile.am -o -name quickstart \) | sort)
code=$(printf '%s\n' "$files" | grep -E '\.(c|h|hpp|cpp|f90)$')

# shellcheck disable=SC2086  # lists of names without blanks
{
    spdx='SPDX-License-Identifier: BSD-3-Clause\( \*/\)\?$'
    none "one SPDX line in each file" "$(for f in $files; do [ "$(head -n 5 $f | grep -c "$spdx")" = 1 ] || echo $f; done)"
    none "no debts" "$(grep -nwE 'TO''DO|FIX''ME|XX''X' $files)"
    # The tables of macros in rref.h are what they are.
    none "no line past 130 characters" "$(awk '
        length > 130 && !(FILENAME == "include/rref.h" && /^#define RREF_/) { print FILENAME ":" FNR ": " length }' $files)"
    none "no blanks at line ends" "$(grep -nE '[[:blank:]]+$' $files)"
    none "no tabs in code" "$(grep -nP '\t' $code)"
}

# Else a test could not see what becomes of a request that fails (tests/inner/memory.c).
requests='(^|[^a-z_])(m|c|re|aligned_)alloc\(|reallocarray\(|memalign\(|(^|[^a-z_])strn?dup\(|asprintf\('
none "no memory but by memory.h" "$(for f in src/*.c; do
    [ "$f" = src/memory.c ] || bare "$f" | grep -nE "$requests" | sed "s,^,$f:,"
done)"

none "each source includes its own header first" "$(for f in src/*.c; do
    own=$(basename "$f" .c).h
    [ ! -f "src/$own" ] || [ "$(sed -n 's/^# *include *//p' "$f" | head -n 1)" = "\"$own\"" ] || echo "$f"
done)"
finish
