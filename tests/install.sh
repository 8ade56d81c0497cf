#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Strangers' programs against an installed library: `tests/install.sh PREFIX [STAGE]` builds the hello example in C, C++ and
# Fortran as projects of their own (tests/outside: plain make, CMake, autotools), and runs them. STAGE has the same, installed
# with DESTDIR=STAGE.
#
# Environment: FC, MPI's Fortran wrapper (default mpifort, empty: no Fortran), MPIRUN.
srcdir=$(cd "$(dirname "$0")/.." && pwd)
. "$srcdir/tests/lint/lint.sh"
prefix=${1:?tests/install.sh PREFIX [STAGE]}
stage=${2-}
FC=${FC-mpifort}
tests=$srcdir/tests
unset CC CXX                                                    # plain compilers, not the library's wrappers
export FC
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

pc=$(dirname "$(find "$prefix" -name rref.pc)")
export PKG_CONFIG_PATH="$pc${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
libdir=$(pkg-config --variable=libdir rref)
release=$(sed -n 's/^release=//p' "$srcdir/VERSION")

# project KIND: a copy of tests/outside/KIND with the sources, in $work/KIND, and there.
project() {
    cp -R "$tests/outside/$1" "$work/$1" && cp "$srcdir"/examples/hello/hello.* "$work/$1" && cd "$work/$1"
}
by_make() { project make && make FC="$FC"; }
by_cmake() {
    project cmake &&
        cmake -Werror=dev -DCMAKE_PREFIX_PATH="$prefix" -DWANTED="$release" \
            ${FC:+-DMPI_Fortran_COMPILER="$(command -v "$FC")"} . &&
        cmake --build .
}
by_autotools() {
    project autotools && autoreconf -i && ./configure -q FC="$FC" LDFLAGS="-Wl,-rpath,$libdir" && make
}

# says_hello PROGRAM: each of two ranks is greeted.
says_hello() {
    [ -x "$1" ] || { echo "$1 is not there"; return 1; }
    "$tests/run.sh" -n 2 "$1" > "$work/out" 2>&1
    status=$?
    cat "$work/out"
    [ $status -eq 0 ] && [ "$(grep -c ': hello rank' "$work/out")" -eq 2 ]
}

files() { (cd "$1" && find . -type f -o -type l) | sort; }
pages() { for page in rref.7 rref-info.1 rref-perf.1; do man -l "$prefix/share/man/man${page#*.}/$page" || return; done; }
must "rref-info runs" sh -c '"$1/bin/rref-info" --version | grep -qx "rref-info $2"' sh "$prefix" "$release"
if command -v man > /dev/null; then must "manual pages" pages; else skip "no man"; fi
same() { files "$prefix" > "$work/here" && files "$stage$prefix" > "$work/there" && cmp "$work/here" "$work/there"; }
if [ -n "$stage" ]; then
    must "DESTDIR gets the same files" same
    none "which do not know of it" "$(grep -rl "$stage" "$stage")"
fi

must "pkg-config knows $release" pkg-config --print-errors --exists "rref = $release"
[ -n "$FC" ] || skip "no Fortran: FC is empty"
for kind in make cmake autotools; do
    case $kind in make) tool=make ;; cmake) tool=cmake ;; *) tool=autoreconf ;; esac
    command -v $tool > /dev/null || { skip "no $tool"; continue; }
    must "a project of its own, by $kind" by_$kind
    for language in c cxx ${FC:+fortran}; do
        must "by $kind: $language runs" says_hello "$work/$kind/$language"
    done
done

# Programs say which release of the interface they were built for, and the loader refuses a library that has not got it.
asks() { ${NM:-nm} -D "$1" | grep -q "U rref_init@RREF_${release%.*}\$"; }
if [ -x "$work/make/c" ] && [ -f "$libdir/librref.so" ]; then must "symbols have versions" asks "$work/make/c"; fi

newer() { project cmake && cmake -DCMAKE_PREFIX_PATH="$prefix" -DWANTED=99.0 .; }
if command -v cmake > /dev/null; then
    rm -rf "$work/cmake"
    if newer > "$work/out" 2>&1; then bad "CMake: no release 99.0"
    elif grep -q 'requested version "99.0"' "$work/out"; then ok "CMake: no release 99.0"
    else bad "CMake: no release 99.0"; cat "$work/out"; fi
fi

# shellcheck disable=SC2046
program() {
    cc -std=c11 -Wall -Wextra -Werror -o "$work/program" "$tests/header/program.c" $(pkg-config --cflags --libs rref) -lm
}
must "all of rref.h, linked" program

# The archive, with the libraries under it named: hwloc's own list for static linking wants more -dev packages.
# shellcheck disable=SC2046
static() {
    cc -std=c11 -o "$work/static" "$srcdir/examples/hello/hello.c" $(pkg-config --cflags rref) \
        $(pkg-config --libs rref hwloc | sed 's/-lrref/-l:librref.a/') && says_hello "$work/static"
}
[ ! -f "$libdir/librref.a" ] || must "the archive" static
finish
