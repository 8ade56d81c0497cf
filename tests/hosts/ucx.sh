# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 900 s
# Everything over UCX, here by its TCP: MPI then works on a message only while the rank is inside MPI.
. "$(dirname "$0")/on.sh"
ucx="--mca pml ucx --mca osc ucx --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any"
# shellcheck disable=SC2046  # names
on 2 "$ucx" $(all_on 2) $(all_on 4)
finish
