# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 2400 s
# All tests on 2, 3 and 4 ranks under the seeds that RREF_TEST_SEEDS lists, or ten.
. "$(dirname "$0")/under.sh"
for seed in ${RREF_TEST_SEEDS-1 2 3 4 5 6 7 8 9 10}; do
    # shellcheck disable=SC2046  # names
    under "$seed" $(all_on 2) $(all_on 3) $(all_on 4)
done
finish
