#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A stranger's program against an installed library: `tests/install.sh PREFIX` compiles tests/header/program.c and the
# hello example with nothing but a plain compiler and what pkg-config says about rref, and runs hello, shared and static.
set -eu
prefix=$1
here=$(cd "$(dirname "$0")" && pwd)
hello=$here/../examples/hello/hello.c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pc=$(dirname "$(find "$prefix" -name rref.pc)")
export PKG_CONFIG_PATH="$pc${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
libdir=$(pkg-config --variable=libdir rref)
set -x
pkg-config --print-errors --exists "rref = $(sed -n 's/^release=//p' "$here/../VERSION")"
# shellcheck disable=SC2046
{
    cc -std=c11 -Wall -Wextra -Werror -o "$work/program" "$here/header/program.c" $(pkg-config --cflags --libs rref) -lm
    cc -std=c11 -Wall -Wextra -Werror -o "$work/hello" "$hello" $(pkg-config --cflags --libs rref) -Wl,-rpath,"$libdir"
    "$here/run.sh" -n 2 "$work/hello"
    # The archive, with the libraries under it named: hwloc's own list for static linking wants more -dev packages.
    [ ! -f "$libdir/librref.a" ] || {
        cc -std=c11 -o "$work/static" "$hello" $(pkg-config --cflags rref) \
            $(pkg-config --libs rref hwloc | sed 's/-lrref/-l:librref.a/')
        "$here/run.sh" -n 2 "$work/static"
    }
}
