/* SPDX-License-Identifier: BSD-3-Clause */
#include "bare.h"

#include <pthread.h>
#include <stdlib.h>

#include "bell.h"
#include "work.h"

enum { TAG = 1, LINE = 64 };
static const uint64_t LAST = UINT64_MAX;        /* in place of units: the thread ends */

struct bare {
    bench *bench;
    MPI_Comm comm;              /* its own: the mains talk meanwhile */
    MPI_Win window;
    bell *bell;
    pthread_t thread;           /* on rank 1 */
};

static void *serve(void *arg)
{
    bare *one = arg;
    uint64_t units = 0;
    for (uint32_t heard = 0; units != LAST;) {
        heard = bell_await(one->bell, heard);
        MPI_Recv(&units, 1, MPI_UINT64_T, 0, TAG, one->comm, MPI_STATUS_IGNORE);
        if (units != LAST) work_do(units);
        MPI_Send(&units, 1, MPI_UINT64_T, 0, TAG, one->comm);
    }
    return NULL;
}

/* Rank 0 has the memory; a line of its own in it, since bases are not aligned to lines. */
static void share_bell(bare *one)
{
    MPI_Aint size;
    int unit;
    char *base;
    MPI_Win_allocate_shared(one->bench->rank == 0 ? 2 * LINE : 0, 1, MPI_INFO_NULL, one->comm, &base, &one->window);
    MPI_Win_shared_query(one->window, 0, &size, &unit, &base);
    one->bell = (bell *)(void *)(base + (LINE - (uintptr_t)base % LINE));
    if (one->bench->rank == 0) atomic_store(one->bell, 0);
    MPI_Barrier(one->comm);
}

bare *bare_open(bench *b)
{
    bare *one = bench_memory(b, sizeof *one);
    one->bench = b;
    MPI_Comm_dup(b->comm, &one->comm);
    share_bell(one);
    if (b->rank == 1)
        bench_expect(b, pthread_create(&one->thread, NULL, serve, one) == 0, "no thread to compare with");
    return one;
}

void bare_call(bare *one, uint64_t units)
{
    uint64_t back = ~units;
    MPI_Send(&units, 1, MPI_UINT64_T, 1, TAG, one->comm);
    bell_ring(one->bell);
    MPI_Recv(&back, 1, MPI_UINT64_T, 1, TAG, one->comm, MPI_STATUS_IGNORE);
    bench_expect(one->bench, back == units, "the answer of a bare thread");
}

void bare_close(bare *one)
{
    if (one->bench->rank == 0) bare_call(one, LAST);
    else pthread_join(one->thread, NULL);
    MPI_Win_free(&one->window);
    MPI_Comm_free(&one->comm);
    free(one);
}
