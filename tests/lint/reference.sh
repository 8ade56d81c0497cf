# SPDX-License-Identifier: BSD-3-Clause
# Doxygen makes the reference of rref.h without a warning, and with every function.
. "$(dirname "$0")/lint.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
command -v doxygen > /dev/null || { skip "no doxygen"; exit 77; }

must "make doxygen" make -C "$builddir" -s doxygen
declared > "$work/declared"
grep -o '>rref_[a-z0-9_]*()<' "$builddir/doc/reference/rref_8h.html" 2> /dev/null | tr -d '<>()' | sort -u > "$work/described"
none "declared and not described" "$(comm -23 "$work/declared" "$work/described")"
finish
