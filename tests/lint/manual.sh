# SPDX-License-Identifier: BSD-3-Clause
# rref(7) says what the sources say: statuses, options with defaults and ranges, types, and README's program.
. "$(dirname "$0")/lint.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
page=$srcdir/doc/rref.7

# part NAME: the lines of the page from the comment NAME to the comment `end`.
part() { sed -n "/^\.\\\\\" $1\$/,/^\.\\\\\" end\$/p" "$page" | sed '1d;$d' > "$work/page"; }
# entries: a paragraph of each line `name TAB what it is`, `name TAB (default) TAB what`.
entries() {
    sed 's/\\/\\e/g; s/-/\\-/g' | awk -F '\t' '
        { print ".TP"; print NF == 3 ? ".BR " $1 " \" " $2 "\"" : ".B " $1; print $NF }'
}
# agrees WHAT FILE: the file has something, and is the part of the page in $work/page.
agrees() {
    if [ -s "$2" ] && cmp -s "$work/page" "$2"; then ok "$1"; return; fi
    bad "$1; < has the page, > should it have"
    diff "$work/page" "$2"
}

sed -n 's/^    { "\(RREF_[A-Z_]*\)", "\(.*\)" },$/\1\t\2/p' "$srcdir/src/error.c" | entries > "$work/errors"
part errors
agrees "statuses" "$work/errors"

sed -n 's/^    \[RREF_[A-Z0-9]*\] = { "\([a-z0-9]*\)".*/\1/p' "$srcdir/src/signature.c" |
    grep -vxE 'none|str|bytes|struct' | paste -sd ' ' > "$work/bases"
sed -n '/^\.\\" bases$/{n;p;}' "$page" > "$work/page"
agrees "types" "$work/bases"

if [ -x "$builddir/tools/rref-info" ]; then
    "$builddir/tools/rref-info" --options 2>&1 |
        awk -F '   *' '$2 ~ /^RREF_/ { sub(/ \*$/, "", $2); print $2 "\t(" $4 ")\t" $6 "; " $5 }' | entries > "$work/options"
    part options
    agrees "options" "$work/options"
else
    skip "rref-info is not built"
fi

awk '/^```$/ { inside = 0 } inside { print } /^```c$/ { inside = 1 }' "$srcdir/README" > "$work/program"
sed -n '/^\.SS A program$/,/^\.EE$/p' "$page" | sed '1,2d;$d; s/\\-/-/g; s/\\e/\\/g' > "$work/page"
agrees "the program" "$work/program"

if command -v man > /dev/null; then
    for each in "$srcdir"/doc/*.[1-9]; do
        none "$(basename "$each"): no complaints" "$(MANWIDTH=100 man --warnings -E UTF-8 -l "$each" 2>&1 > /dev/null)"
    done
else
    skip "no man"
fi
finish
