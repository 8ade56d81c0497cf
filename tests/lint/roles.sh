# SPDX-License-Identifier: BSD-3-Clause
# The roles of threads (src/role.h): clang takes the sources that use them well and refuses planted mistakes. That all sources do
# is what builds by clang with --enable-werror show, those of the sanitizers among them.
. "$(dirname "$0")/lint.sh"
command -v clang > /dev/null || { skip "no clang"; exit 77; }
export OMPI_CC=clang MPICH_CC=clang

# compile SOURCE FLAGS...
compile() {
    source=$1
    shift
    # shellcheck disable=SC2086  # CC may have words
    $CC -std=c11 -D_GNU_SOURCE -Wthread-safety -Werror=thread-safety -fsyntax-only -I"$srcdir/include" -I"$builddir/include" \
        -I"$srcdir/src" -include "$srcdir/src/visible.h" "$@" "$source"
}

for name in flow lane credit driver watcher wait progress crew; do must "$name.c is taken" compile "$srcdir/src/$name.c"; done
must "a good program is taken" compile "$srcdir/tests/lint/roles.c" -DPLANTED=0
for mistake in 1 2 3 4 5 6 7; do
    if text=$(compile "$srcdir/tests/lint/roles.c" -DPLANTED=$mistake 2>&1); then bad "mistake $mistake is refused"
    elif printf '%s\n' "$text" | grep -q 'error: .*Wthread-safety'; then ok "mistake $mistake is refused"
    else bad "mistake $mistake is refused for what it is"; printf '%s\n' "$text" | head -n 10; fi
done

# A lock that is forgotten in the library itself.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
sed '0,/ rri_take(&flow->lock, &rri_lists);/s// /' "$srcdir/src/flow.c" > "$work/flow.c"
if text=$(compile "$work/flow.c" 2>&1); then bad "flow.c without one of its locks is refused"
else must "flow.c without one of its locks is refused" grep -q Wthread-safety <<END
$text
END
fi
finish
