# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the scripts that are tests: counts cases and prints the result line of tests/run.sh.
# From make: srcdir, builddir, CC, CXX, NM; by hand they have defaults.

: "${srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${builddir:=$srcdir/build}"
: "${CC:=mpicc}" "${CXX:=mpicxx}" "${NM:=nm}"
: "${RREF_TEST_NAME:=$(printf '%s\n' "$0" | sed 's,.*tests/,,; s,\.sh$,,')}"
passed=0 failed=0

ok() { passed=$((passed + 1)); echo "  ok     $1"; }
bad() { failed=$((failed + 1)); echo "  FAILED $1"; }

# none WHAT OFFENDERS: a case that passes if there are no offenders; else they are shown.
none() {
    if [ -z "$2" ]; then ok "$1"; else bad "$1"; printf '%s\n' "$2" | sed 's/^/         /'; fi
}

# must WHAT COMMAND...: a case that passes if the command succeeds; else its output is shown.
must() {
    what=$1; shift
    if text=$("$@" 2>&1); then ok "$what"; else bad "$what"; printf '%s\n' "$text" | head -n 30 | sed 's/^/         /'; fi
}

# A part of the test that cannot be done here; quickstart collects these lines.
skip() { echo "$RREF_TEST_NAME: skipped: $1"; }

finish() {
    echo "$RREF_TEST_NAME: $passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

# C source with comments removed and string and character literals emptied, line by line.
bare() {
    awk '{
        out = ""; text = $0
        while (text != "") {
            if (inside) {
                if (!(i = index(text, "*/"))) break
                text = substr(text, i + 2); inside = 0; out = out " "
            } else if (match(text, /\/\*|\/\/|"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047/)) {
                token = substr(text, RSTART, RLENGTH)
                out = out substr(text, 1, RSTART - 1)
                text = substr(text, RSTART + RLENGTH)
                if (token == "//") break
                if (token == "/*") inside = 1
                else out = out substr(token, 1, 1) substr(token, 1, 1)
            } else { out = out text; break }
        }
        print out
    }' "$1"
}

# Functions that rref.h declares for C and does not define, sorted: the preprocessed text that comes from it, outside of
# braces, up to each semicolon.
declared() {
    # shellcheck disable=SC2086  # CC may have words
    printf '#include <rref.h>\n' | $CC -E -x c -I"$srcdir/include" -I"$builddir/include" - | awk '
        /^# [0-9]+ "/ { ours = ($3 ~ /\/rref\.h"$/); next }
        !ours { next }
        {
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                if (c == "{") { depth++; body = 1 }
                else if (c == "}") { if (--depth == 0 && statement ~ /static inline/) statement = "" }
                else if (depth == 0 && c == ";") {
                    if (statement !~ /typedef/ && match(statement, /rref_[a-z0-9_]+ *\(/))
                        print substr(statement, RSTART, RLENGTH - 1)
                    statement = ""
                }
                else if (depth == 0) statement = statement c
            }
            statement = statement " "
        }' | tr -d ' ' | sort -u
}
