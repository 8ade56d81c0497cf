# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 3600 s
# The other five.
. "$(dirname "$0")/under.sh"
under_seeds 2 4 6 8 10
