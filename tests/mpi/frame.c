/* SPDX-License-Identifier: BSD-3-Clause */
/* The frame itself: that ranks start, see each other, and have their results put together. */
#include <mpi.h>
#include <rref.h>
#include "check.h"

static void ranks_see_each_other(void)
{
    int rank, size, sum = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(sum, size * (size - 1) / 2);
}

static const check_case cases[] = {
    { "ranks_see_each_other", ranks_see_each_other },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "frame", cases); }
