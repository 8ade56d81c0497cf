/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that arrive damaged at a live rank. This program stands between the library and MPI (the profiling interface is
 * made for that) and damages messages on their way: such that carry nothing but credits, since what is lost with others is
 * missed by somebody. And hellos, by which ranks see at the start that they do not fit together.
 */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

enum { HEADER = 16, LONGEST = 64 };

static rref_context *ctx;
static int rank, size;
static atomic_int served, to_damage;

static const struct damage {
    const char *what;
    int bytes;
    unsigned char content[LONGEST];
} damages[] = {
    { "another version", HEADER, { 0x72, 0x52, 2, 0, HEADER } },
    { "another magic", HEADER, { 0x73, 0x52, 1, 0, HEADER } },
    { "cut short", 7, { 0x72, 0x52, 1, 0, HEADER } },
    { "nothing at all", 0, { 0 } },
    { "longer than it says", 32, { 0x72, 0x52, 1, 0, HEADER } },
    { "shorter than it says", HEADER, { 0x72, 0x52, 1, 0, 32 } },
    { "a record without a length", 48, { 0x72, 0x52, 1, 0, 48 } },
    { "a record longer than its message", 48, { 0x72, 0x52, 1, 0, 48, [HEADER] = 48, [HEADER + 4] = 2 } },
    { "noise", 40, { 0x5d, 0x9c, 0x11, 0xe8, 0x07, 0xff, 0x80, 0x3a, 0x5d, 0x9c, 0x11, 0xe8, 0x07, 0xff, 0x80, 0x3a, 0x61 } },
};
enum { DAMAGES = sizeof damages / sizeof *damages };

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request)
{
    int left = count == HEADER ? atomic_load(&to_damage) : 0;
    if (left > 0 && atomic_compare_exchange_strong(&to_damage, &left, left - 1)) {
        const struct damage *d = &damages[DAMAGES - left];
        return PMPI_Isend(d->content, d->bytes, MPI_BYTE, to, tag, comm, request);
    }
    return PMPI_Isend(data, count, type, to, tag, comm, request);
}

/* The hello begins with a magic number and a version, of four bytes each. */
enum { HELLO = 0x5272, NONE = -1 };
static int strange = NONE;              /* which of them is another one here */

int MPI_Allgather(const void *mine, int count, MPI_Datatype type, void *all, int counts, MPI_Datatype types, MPI_Comm comm)
{
    uint32_t head[2] = { 0 };
    if (count >= (int)sizeof head) memcpy(head, mine, sizeof head);
    if (strange == NONE || head[0] != HELLO) return PMPI_Allgather(mine, count, type, all, counts, types, comm);
    char *other = malloc((size_t)count);
    if (!other) abort();
    head[strange]++;
    memcpy(other, mine, (size_t)count);
    memcpy(other, head, sizeof head);
    int rc = PMPI_Allgather(other, count, type, all, counts, types, comm);
    free(other);
    return rc;
}

static int serve(rref_call *call, void *self)
{
    (void)call, (void)self;
    atomic_fetch_add(&served, 1);
    return RREF_OK;
}

static int add(rref_call *call, void *self)
{
    (void)self;
    return rref_return_i64(call, rref_arg_i64(call, 0) + rref_arg_i64(call, 1));
}

static const rref_method functions[] = {
    RREF_METHOD("serve", "", serve, RREF_INLINE), RREF_METHOD("add", "i64, i64 -> i64", add, 0), RREF_METHODS_END
};

static uint64_t refused(void)
{
    rref_statistics s;
    CHECK_OK(rref_stats(ctx, &s));
    return s.refused;
}

static bool has_refused(void *arg) { return refused() >= *(uint64_t *)arg; }

static void works_with(int other)
{
    int64_t sum = 0;
    CHECK_OK(rref_sync(rref_root(ctx, other), "add", 40, 2, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 42);
}

/* Each one-way call has its credit come back alone, and damaged. */
static void provoke(int other)
{
    for (uint64_t i = 1; i <= DAMAGES; i++) {
        CHECK_OK(rref_post(rref_root(ctx, other), "serve"));
        CU_ASSERT(check_until(has_refused, &i, 20));
        works_with(other);
    }
}

static void rank_goes_on(void)
{
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (check_chaos("what gets lost are credits, of which there are few")) return;
    CHECK_OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .functions = functions }, &ctx));
    for (int turn = 0; turn < size && size > 1; turn++) {
        int other = (turn + 1) % size;
        if (rank == other) atomic_store(&to_damage, DAMAGES);
        MPI_Barrier(MPI_COMM_WORLD);
        if (rank == turn) provoke(other);
        MPI_Barrier(MPI_COMM_WORLD);
        CU_ASSERT_EQUAL(atomic_load(&to_damage), 0);
    }
    CU_ASSERT_EQUAL(refused(), size > 1 ? DAMAGES : 0);
    for (int other = 0; other < size; other++) works_with(other);
    CU_ASSERT_EQUAL(atomic_load(&served), size > 1 ? DAMAGES : 0);
    CHECK_OK(rref_finalize(&ctx));
}

/* All ranks refuse the start alike, and name one that does not fit; the next start works. */
static void strangers_are_refused(void)
{
    rref_error e;
    const rref_options options = { .functions = functions };
    for (int turn = 0; turn < 2 * size && size > 1; turn++) {
        int odd = turn / 2;
        strange = rank == odd ? turn % 2 : NONE;
        CHECK_GIVES(rref_init(MPI_COMM_WORLD, &options, &ctx), RREF_ERR_PROTOCOL);
        strange = NONE;
        CU_ASSERT_PTR_NULL(ctx);
        CHECK_OK(rref_last_error(NULL, &e));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "another version of the library"));
        CU_ASSERT(rank == odd || atoi(e.text + strlen("rank ")) == odd);
    }
    CHECK_OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    works_with((rank + 1) % size);
    CHECK_OK(rref_finalize(&ctx));
}

static const check_case cases[] = { { "a rank goes on when messages come damaged", rank_goes_on },
                                    { "ranks that do not fit together", strangers_are_refused }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "bytes", cases); }
