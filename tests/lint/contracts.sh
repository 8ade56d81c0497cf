# SPDX-License-Identifier: BSD-3-Clause
# Each function of rref.h has a comment, its own or its group's (up to a blank line), with all clauses of the contract:
# "Thread: any.", or "Thread, Blocks: as rref_x.".
. "$(dirname "$0")/lint.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

awk '
    /^ *\/\*/ { comment = ""; open = 1 }
    open { comment = comment $0 "\n"; if (/\*\//) open = 0; next }
    /^$/ { comment = ""; next }
    /^[a-z].*rref_[a-z0-9_]+\(/ && !/^(static|typedef|inline|template|namespace)/ {
        match($0, /rref_[a-z0-9_]+\(/)
        name = substr($0, RSTART, RLENGTH - 1)
        print name > found
        n = split("Thread Blocks Progress Owns Since", clause, " ")
        for (i = 1; i <= n; i++)
            if (comment !~ ("(^|[ *,(])" clause[i] "(, [A-Z][a-z]+)*:")) print name ": no " clause[i] ":"
    }' found="$work/seen" "$srcdir/include/rref.h" > "$work/missing"
sort -u "$work/seen" > "$work/sorted"
declared > "$work/declared"
none "each function declared was looked at" "$(comm -3 "$work/sorted" "$work/declared")"
none "each contract is complete" "$(cat "$work/missing")"
finish
