# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 3600 s
# Five of the ten seeds.
. "$(dirname "$0")/under.sh"
under_seeds 1 3 5 7 9
