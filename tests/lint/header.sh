# SPDX-License-Identifier: BSD-3-Clause
# rref.h alone, and programs that use all of its macros, compile without a warning wherever they should.
. "$(dirname "$0")/lint.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-qual -Werror"

# MPI's flags come from the wrapper, the compiler is the plain one.
# shellcheck disable=SC2086
mpi=$($CC -show | tr ' ' '\n' | grep '^-I' | tr '\n' ' ')
rref="-I$srcdir/include -I$builddir/include"
flags="$rref $mpi"

# compile COMPILER STANDARD FILE. The file's suffix is its language; -Wstrict-prototypes and its like are C's only.
compile() {
    strict=
    case $3 in *.c) strict="-Wstrict-prototypes -Wmissing-prototypes" ;; esac
    # shellcheck disable=SC2086
    $1 -std=$2 $warnings $strict $flags -c -o "$work/out.o" "$3"
}

# The program that the README opens with is one that works.
awk '/^```$/ { inside = 0 } inside { print } /^```c$/ { inside = 1 }' "$srcdir/README" > "$work/readme.c"
must "README has a program, and a short one" test "$(wc -l < "$work/readme.c")" -gt 20 -a "$(wc -l < "$work/readme.c")" -lt 50

printf '#include <rref.h>\nextern int not_empty;\n' > "$work/alone.c"
cp "$work/alone.c" "$work/alone.cpp"
for pair in gcc:c11 clang:c11 gcc:c17 clang:c17 g++:c++17 g++:c++20 clang++:c++17 clang++:c++20; do
    compiler=${pair%%:*} standard=${pair#*:}
    command -v "$compiler" > /dev/null || { skip "no $compiler"; continue; }
    case $standard in c++*) suffix=cpp ;; *) suffix=c ;; esac
    must "rref.h alone, $compiler $standard" compile "$compiler" "$standard" "$work/alone.$suffix"
    [ "$suffix" = cpp ] || must "README's program, $compiler $standard" compile "$compiler" "$standard" "$work/readme.c"
    must "program.$suffix, $compiler $standard" compile "$compiler" "$standard" "$srcdir/tests/header/program.$suffix"
    [ "$suffix" = c ] || none "constants of classes, $compiler $standard" "$($NM -u "$work/out.o" | grep limits)"
done

# An MPI that is not the library's must be refused, before its types are met.
case $mpi in *mpich*) other=mpicc.openmpi ;; *) other=mpicc.mpich ;; esac
if command -v $other > /dev/null; then
    flags="$rref $($other -show | tr ' ' '\n' | grep '^-I' | tr '\n' ' ')"
    if compile gcc c11 "$work/alone.c" > "$work/text" 2>&1; then bad "the MPI of $other: compiled"
    elif grep -q '#error "librref was built with' "$work/text"; then ok "the MPI of $other is refused"
    else bad "the MPI of $other: does not say why"; head -n 5 "$work/text"; fi
    flags="$rref $mpi"
else
    skip "no $other, so no other MPI to refuse"
fi

# In C++ a pointer would go as true, unless it is refused: each of these, for that reason.
{
    echo '#include <rref.h>'
    echo 'void f(rref_context *c, rref r, const double (&numbers)[3]);'
    echo 'void f(rref_context *c, rref r, const double (&numbers)[3]) {'
    echo '(void)c; (void)numbers;'
    for value in 'static_cast<double *>(nullptr)' 'static_cast<const void *>(nullptr)' 'static_cast<unsigned char *>(nullptr)' \
            'static_cast<volatile char *>(nullptr)' c f numbers '&rref::bits' '&c'; do
        echo "(void)rref_sync(r, \"m\", $value);"
    done
    echo '}'
} > "$work/pointers.cpp"
pointers=$(grep -c '"m"' "$work/pointers.cpp")
for compiler in g++ clang++; do
    command -v "$compiler" > /dev/null || continue
    compile "$compiler" c++17 "$work/pointers.cpp" > "$work/text" 2>&1
    refused=$(grep -c 'error: .*deleted' "$work/text")
    if [ "$refused" -eq "$pointers" ]; then ok "pointers, $compiler"
    else bad "$refused of $pointers pointers are refused, $compiler"; head -n 20 "$work/text"; fi
done

# One argument too many must be refused, by name, whatever the call.
thirteen="1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13"
for call in 'rref_sync(r, "m", %s)' 'rref_async(r, "m", %s)' 'rref_post(r, "m", %s)' 'rref_remote(r, "m", %s)' \
        'rref_create(c, 0, "k", %s)' 'rref_group_async(g, "m", %s)' 'rref_group_reduce(g, MPI_SUM, "m", %s)' \
        'rref_group_create(c, &g, "k", %s)'; do
    for pair in gcc:c11:c clang:c11:c g++:c++17:cpp clang++:c++17:cpp; do
        compiler=${pair%%:*} rest=${pair#*:}
        command -v "$compiler" > /dev/null || continue
        standard=${rest%:*} file=$work/thirteen.${rest#*:}
        {
            echo '#include <rref.h>'
            echo 'void f(rref_context *c, rref r, rref_group g);'
            # shellcheck disable=SC2059
            printf "void f(rref_context *c, rref r, rref_group g) { (void)c; (void)r; (void)g; (void)$call; }\\n" "$thirteen"
        } > "$file"
        case $standard in c++*) words="calls take at most 12 arguments" ;; *) words=rref_calls_take_at_most_12_arguments ;; esac
        if compile "$compiler" "$standard" "$file" > "$work/text" 2>&1; then bad "13 arguments, $compiler $call: compiled"
        elif grep -q "$words" "$work/text"; then ok "13 arguments, $compiler $call"
        else bad "13 arguments, $compiler $call: does not say why"; head -n 5 "$work/text"; fi
    done
done
finish
