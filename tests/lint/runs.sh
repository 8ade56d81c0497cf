# SPDX-License-Identifier: BSD-3-Clause
# How tests are started: what is asked wrongly, or names no test, is an error and no success.
: "${srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

# refused ARGUMENTS...: by run.sh, with a line that says so.
refused() {
    text=$("$srcdir/tests/run.sh" "$@" 2>&1)
    status=$?
    none "refused: run.sh $*" "$([ $status -eq 2 ] && [ "$(echo "$text" | grep -c '^tests/run.sh: ')" = 1 ] ||
        echo "exit status $status: $text")"
}
refused -n abc true
refused -n -1 true
refused -t 5x -n 0 true
refused -n 0

# listed LIST...: what `tests` of quickstart would run, of a makefile that knows the lists `some` and `empty`.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
printf 'print-some:\n\t@echo a b\nprint-empty:\n\t@echo\n' > "$work/Makefile"
{
    echo 'mode=check; limit() { echo "$@"; }'
    sed -n '/^tests() {/,/^}/p' "$srcdir/quickstart"
    echo 'tests "$@"'
} > "$work/script"
listed() { env -u MAKEFLAGS bash "$work/script" "$work" "$@" > "$work/out" 2>&1; }
must "a list of tests" listed some
must "its tests are run" grep -q 'check TESTS=  *a b$' "$work/out"
none "a list that is empty" "$(listed some empty && cat "$work/out")"
none "a list that is not there" "$(listed some other && cat "$work/out")"
finish
