# SPDX-License-Identifier: BSD-3-Clause
# One version everywhere.
. "$(dirname "$0")/lint.sh"
cd "$srcdir" || exit 1
release=$(sed -n 's/^release=//p' VERSION)
header=$(awk '$2 ~ /^RREF_VERSION_(MAJOR|MINOR|PATCH)$/ { v = v "." $3 } END { print substr(v, 2) }' include/rref.h)
must "rref.h says $release" test "$header" = "$release"
must "NEWS speaks of $release" grep -q "^$release" NEWS
must "README.md is README" cmp README README.md
must "the symbol map has ${release%.*}" grep -q "^RREF_${release%.*} {" src/rref.map
finish
