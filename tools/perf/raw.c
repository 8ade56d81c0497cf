/* SPDX-License-Identifier: BSD-3-Clause */
#include "raw.h"

#include <pthread.h>
#include <stdlib.h>

#include "bell.h"
#include "clock.h"

enum { TAG = 1, RING = 16, BLOCK = 64 };

static size_t warm(size_t n) { return n / 10 + 1; }

/* ---- a helper thread that passes the word back: what a worker costs at least ------------------------------------- */

typedef struct helper {
    pthread_t thread;
    bell asked, answered;
    uint32_t heard;
    atomic_bool over;
} helper;

static void *help(void *arg)
{
    helper *h = arg;
    for (uint32_t heard = 0; heard = bell_await(&h->asked, heard), !atomic_load(&h->over);) bell_ring(&h->answered);
    return NULL;
}

static void helper_start(const bench *b, helper *h)
{
    *h = (helper){ .heard = 0 };
    bench_expect(b, pthread_create(&h->thread, NULL, help, h) == 0, "no thread to hand over to");
}

static void helper_ask(helper *h)
{
    bell_ring(&h->asked);
    h->heard = bell_await(&h->answered, h->heard);
}

static void helper_stop(helper *h)
{
    atomic_store(&h->over, true);
    bell_ring(&h->asked);
    pthread_join(h->thread, NULL);
}

/* ---- exchange ---------------------------------------------------------------------------------------------------- */

static void ask(const bench *b, const raw_bytes *bytes)
{
    if (bytes->strided) MPI_Send(bytes->data, 1, bytes->type, 1, TAG, b->comm);
    else MPI_Send(bytes->data, (int)bytes->there, MPI_BYTE, 1, TAG, b->comm);
    MPI_Recv(bytes->result, (int)bytes->back, MPI_BYTE, 1, TAG, b->comm, MPI_STATUS_IGNORE);
}

static double ask_all(const bench *b, const raw_bytes *bytes, size_t n, sample *times)
{
    const double start = clock_now();
    for (size_t i = 0; i < n; i++) {
        const double each = times ? clock_now() : 0;
        ask(b, bytes);
        if (times) sample_add(times, 1e6 * (clock_now() - each));
    }
    return (clock_now() - start) / (double)n;
}

static void answer_all(const bench *b, const raw_bytes *bytes, size_t n, helper *h)
{
    for (size_t i = 0; i < n; i++) {
        MPI_Recv(bytes->result, (int)bytes->there, MPI_BYTE, 0, TAG, b->comm, MPI_STATUS_IGNORE);
        if (h) helper_ask(h);
        MPI_Send(bytes->there >= bytes->back ? bytes->result : bytes->data, (int)bytes->back, MPI_BYTE, 0, TAG, b->comm);
    }
}

double raw_exchange(bench *b, const raw_bytes *bytes, size_t n, sample *times)
{
    helper h, *other = bytes->handed_over ? &h : NULL;
    if (b->rank == 0) {
        ask_all(b, bytes, warm(n), NULL);
        return ask_all(b, bytes, n, times);
    }
    if (other) helper_start(b, other);
    answer_all(b, bytes, warm(n) + n, other);
    if (other) helper_stop(other);
    return 0;
}

/* ---- ring -------------------------------------------------------------------------------------------------------- */

typedef struct ring {
    MPI_Comm comm;
    int peer;
    size_t size;
    uint64_t *word;
    MPI_Request *request;
} ring;

static void ring_post(ring *r, size_t i)
{
    MPI_Irecv(&r->word[i % r->size], 1, MPI_UINT64_T, r->peer, TAG, r->comm, &r->request[i % r->size]);
}

static void ring_open(const bench *b, ring *r, size_t size)
{
    *r = (ring){ .comm = b->comm, .peer = 1 - b->rank, .size = size };
    r->word = bench_memory(b, size * sizeof *r->word);
    r->request = bench_memory(b, size * sizeof *r->request);
    for (size_t i = 0; i < size; i++) ring_post(r, i);
}

static void ring_close(ring *r)
{
    for (size_t i = 0; i < r->size; i++) MPI_Cancel(&r->request[i]);
    MPI_Waitall((int)r->size, r->request, MPI_STATUSES_IGNORE);
    free(r->request);
    free(r->word);
}

/* The last `out` calls find nothing to send behind them. */
static double ring_call(ring *r, size_t out, size_t n)
{
    const double start = clock_now();
    for (size_t i = 0; i < n + out; i++) {
        uint64_t word = i;
        if (i >= out) {
            MPI_Wait(&r->request[(i - out) % r->size], MPI_STATUS_IGNORE);
            ring_post(r, i - out);
        }
        if (i < n) MPI_Send(&word, 1, MPI_UINT64_T, r->peer, TAG, r->comm);
    }
    return (double)n / (clock_now() - start);
}

static void ring_answer(ring *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        MPI_Wait(&r->request[i % r->size], MPI_STATUS_IGNORE);
        const uint64_t word = r->word[i % r->size];
        ring_post(r, i);
        MPI_Send(&word, 1, MPI_UINT64_T, r->peer, TAG, r->comm);
    }
}

double raw_ring(bench *b, size_t out, size_t n)
{
    ring r;
    double rate = 0;
    /* Whole turns of the ring, so that the warm part ends where it began. */
    const size_t before = (warm(n) / out + 1) * out;
    ring_open(b, &r, b->rank == 0 ? out : RING);
    if (b->rank == 0) {
        ring_call(&r, out, before);
        rate = ring_call(&r, out, n);
    } else {
        ring_answer(&r, before + n);
    }
    ring_close(&r);
    return rate;
}

/* ---- stream ------------------------------------------------------------------------------------------------------ */

static void stream_block(const bench *b)
{
    static uint64_t word[BLOCK];
    MPI_Request request[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        if (b->rank == 0) MPI_Isend(&word[i], 1, MPI_UINT64_T, 1, TAG, b->comm, &request[i]);
        else MPI_Irecv(&word[i], 1, MPI_UINT64_T, 0, TAG, b->comm, &request[i]);
    MPI_Waitall(BLOCK, request, MPI_STATUSES_IGNORE);
}

/* Counted when the last one was received: rank 1 says so. */
static double stream_blocks(const bench *b, size_t blocks)
{
    const double start = clock_now();
    for (size_t i = 0; i < blocks; i++) stream_block(b);
    if (b->rank == 0) MPI_Recv(NULL, 0, MPI_BYTE, 1, TAG, b->comm, MPI_STATUS_IGNORE);
    else MPI_Send(NULL, 0, MPI_BYTE, 0, TAG, b->comm);
    return (double)(blocks * BLOCK) / (clock_now() - start);
}

double raw_stream(bench *b, size_t n)
{
    stream_blocks(b, warm(n / BLOCK));
    return stream_blocks(b, n / BLOCK + 1);
}
