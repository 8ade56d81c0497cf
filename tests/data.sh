#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Fetch test data, once: out of Debian packages, into tests/data/ (or $RREF_TEST_DATA).
#
#   tests/data.sh genome      prints the path of NC_008253.fna.gz (E. coli 536), of bowtie-examples
#   tests/data.sh reads       prints the path of longreads.fq.gz, of bowtie2-examples
#
# The packages are taken apart, not installed: minimal systems drop documentation folders, where the data lie.
set -u

here=$(cd "$(dirname "$0")" && pwd)
data=${RREF_TEST_DATA:-$here/data}
case ${1-} in
    genome) package=bowtie-examples file=NC_008253.fna.gz ;;
    reads) package=bowtie2-examples file=longreads.fq.gz ;;
    *) echo "usage: tests/data.sh genome|reads" >&2; exit 2 ;;
esac
[ ! -s "$data/$file" ] || { echo "$data/$file"; exit 0; }

fail() { echo "tests/data.sh: $*" >&2; exit 1; }
mkdir -p "$data" || exit 1
work=$(mktemp -d "$data/.fetch.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT HUP

# As root apt would hand the download to its own user, who may not write here.
sandbox=
[ "$(id -u)" -ne 0 ] || sandbox="-o APT::Sandbox::User=root"
# shellcheck disable=SC2086
(cd "$work" && timeout -k 5 180 apt-get -q $sandbox -o Acquire::Retries=3 download "$package") > "$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "cannot download Debian's $package (as root: apt-get update)"
}
dpkg-deb -x "$work/$package"_*.deb "$work/x" || fail "cannot unpack $package"
found=$(find "$work/x" -name "$file" | head -n 1)
[ -n "$found" ] || fail "no $file in $package"
mv "$found" "$data/$file" || exit 1
echo "$data/$file"
