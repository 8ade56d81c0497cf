# SPDX-License-Identifier: BSD-3-Clause
# Two hosts over TCP, two ranks on each: neighbours ring each other's doorbell, and the others cannot.
. "$(dirname "$0")/on.sh"
on 2 "" tests/mpi/frame-4 tests/mpi/calls-4
finish
