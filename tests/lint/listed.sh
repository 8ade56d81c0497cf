# SPDX-License-Identifier: BSD-3-Clause
# Nothing lies about that no local.mk names: each source is built, each test is run, each file is in the release.
. "$(dirname "$0")/lint.sh"
cd "$srcdir" || exit 1
words=$(cat Makefile.am ./*/local.mk | tr -s ' \t\\=' '\n' | sort -u)

unlisted() {
    find "$@" -type f ! -name local.mk ! -path 'tests/data/*' ! -path 'tests/fuzz/corpus/*' \
        ! -name '*.md' ! -name '*~' ! -name '.*' | sort |
    while read -r file; do
        # A test program is named without its suffix.
        printf '%s\n' "$words" | grep -qxF -e "$file" -e "${file%.c}" || echo "$file"
    done
}
for folder in src include tests examples tools doc; do
    none "every file of $folder/ is listed" "$(unlisted "$folder")"
done
finish
