# SPDX-License-Identifier: BSD-3-Clause
# What librref exports is what rref.h declares, no more and no less.
. "$(dirname "$0")/lint.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

declared > "$work/declared"
must "rref.h declares functions" test "$(wc -l < "$work/declared")" -gt 50

library=$builddir/.libs/librref.so
if [ -f "$library" ]; then
    $NM -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u > "$work/exported"
    none "exported and not declared" "$(comm -13 "$work/declared" "$work/exported")"
    none "declared and not exported" "$(comm -23 "$work/declared" "$work/exported")"
    none "exported without a version" "$($NM -D --defined-only "$library" | awk '$2 != "A" && $3 !~ /@@RREF_[0-9]/ { print $3 }')"
fi
# A static archive cannot hide names: they carry the internal stem.
archive=$builddir/.libs/librref.a
if [ -f "$archive" ]; then
    none "global names of librref.a are rref_ or rri_" \
        "$($NM --defined-only --extern-only "$archive" 2>/dev/null | awk 'NF == 3 && $3 !~ /^(rref|rri)_/ { print $3 }' |
            grep -vE '^(__|_)?(odr_asan|asan|tsan|ubsan|sanitizer)')"
fi
finish
