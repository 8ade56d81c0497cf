# SPDX-License-Identifier: BSD-3-Clause
# One seed, a few programs.
. "$(dirname "$0")/under.sh"
under 1 tests/mpi/calls-3 tests/mpi/remote-2
finish
