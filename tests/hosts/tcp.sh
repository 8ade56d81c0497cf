# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 900 s
# Everything over TCP: hosts of one rank, hosts of two.
. "$(dirname "$0")/on.sh"
# shellcheck disable=SC2046  # names
{
    on 2 "" $(all_on 2) $(all_on 4)
    on 4 "" $(all_on 4) $(all_on 8)
}
finish
