# SPDX-License-Identifier: BSD-3-Clause
# Fuzz with libFuzzer: each target for SECONDS, one after the other, on a copy of its corpus. Needs clang.
# `make fuzz SECONDS=600` runs it.
#
#   tests/fuzz/run.sh SECONDS [TARGET...]      configured build folder: $builddir; what is found stays in $builddir/fuzz
#
# The last line of each says executions and coverage. A finding ends the run; its input belongs into tests/fuzz/corpus.
set -eu
seconds=$1
shift
: "${srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${builddir:=$srcdir/build}"
[ $# -gt 0 ] || set -- wire payload signature options descriptor catalog
command -v clang > /dev/null || { echo "tests/fuzz/run.sh: no clang" >&2; exit 1; }
work=$builddir/fuzz
mkdir -p "$work/objects"

export OMPI_CC=clang
flags="-std=c11 -D_GNU_SOURCE -O1 -g -pthread -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
    -include $srcdir/src/visible.h -I$srcdir/include -I$builddir/include -I$srcdir/src -I$srcdir/tests
    $(pkg-config --cflags hwloc)"
# The fake link takes the place of the real one, as in the tests.
sources=$(find "$srcdir/src" -name '*.c' ! -name link.c)
# shellcheck disable=SC2086  # lists of words
(cd "$work/objects" && mpicc $flags -c $sources "$srcdir/tests/fake_link.c" "$srcdir/tests/fake_rank.c")

export ASAN_OPTIONS="allocator_may_return_null=1:max_allocation_size_mb=64:${ASAN_OPTIONS-}"
export LSAN_OPTIONS="suppressions=$srcdir/tests/sanitizers/leak.supp:print_suppressions=0:${LSAN_OPTIONS-}"
for target in "$@"; do
    # shellcheck disable=SC2046,SC2086
    mpicc $flags -fsanitize=fuzzer "$srcdir/tests/fuzz/$target.c" "$work"/objects/*.o -o "$work/$target" \
        $(pkg-config --libs hwloc) -lm
    rm -rf "$work/$target.corpus"
    cp -R "$srcdir/tests/fuzz/corpus/$target" "$work/$target.corpus"
    echo "== $target"
    "$work/$target" -max_total_time="$seconds" -max_len=4096 -timeout=120 -malloc_limit_mb=100000 -rss_limit_mb=2048 \
        -artifact_prefix="$work/$target-" -print_final_stats=1 "$work/$target.corpus" > "$work/$target.log" 2>&1 || {
        tail -n 60 "$work/$target.log"
        exit 1
    }
    grep -E 'cov: ' "$work/$target.log" | tail -n 1
    grep -E 'number_of_executed_units|average_exec_per_sec' "$work/$target.log"
done
