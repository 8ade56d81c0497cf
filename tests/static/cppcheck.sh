# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 300 s
# cppcheck has nothing to say of the library, but for what is left out here with its reason, and finds a planted mistake.
. "$(dirname "$0")/../lint/lint.sh"
command -v cppcheck > /dev/null || { skip "no cppcheck"; exit 77; }
cd "$srcdir" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Left out: system headers, which it needs not have; files (three) in which it cannot read a compound literal behind `?`, as its
# version 2.10 cannot.
check() {
    cppcheck -q --std=c11 --error-exitcode=1 --enable=warning,portability,performance \
        --suppress=missingIncludeSystem --suppress=internalAstError \
        -D_GNU_SOURCE -DOMPI_MAJOR_VERSION=4 -DMPICH_VERSION=1 -U__has_feature -Iinclude -I"$builddir/include" -Isrc "$@"
}

printf 'int f(int n) { int a[4] = { 0 }; if (n > 3) n = 4; return n == 4 ? a[n] : 0; }\n' > "$work/planted.c"
if check "$work/planted.c" > "$work/log" 2>&1; then bad "finds what is planted"; else ok "finds what is planted"; fi
must "the library is clean" check src
finish
