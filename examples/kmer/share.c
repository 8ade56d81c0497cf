/* SPDX-License-Identifier: BSD-3-Clause */
#include "share.h"

#include <stdlib.h>
#include <threads.h>
#include <time.h>

enum { TAG = 1, PIECE = 1 << 30 };      /* MPI counts in int */

/* MPI's own waits keep a core busy, and it may be the one that rank 0 reads or counts on. */
static void wait_asleep(MPI_Request *request)
{
    int done;
    while (MPI_Test(request, &done, MPI_STATUS_IGNORE), !done)
        thrd_sleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

void share_wait(MPI_Comm comm)
{
    MPI_Request request;
    MPI_Ibarrier(comm, &request);
    wait_asleep(&request);
}

static size_t tell_length(MPI_Comm comm, const sequence *whole)
{
    uint64_t length = whole->length;
    MPI_Request request;
    MPI_Ibcast(&length, 1, MPI_UINT64_T, 0, comm, &request);
    wait_asleep(&request);
    return length;
}

/* The first of the bases where k-mers of this rank begin. */
static size_t first_of(size_t length, int rank, int size)
{
    size_t r = (size_t)rank, each = length / (size_t)size, rest = length % (size_t)size;
    return r * each + (r < rest ? r : rest);
}

/* The last k-mer that begins in a part ends k - 1 bases beyond it. */
static size_t end_of(size_t length, int rank, int size, int k)
{
    size_t end = first_of(length, rank + 1, size) + (size_t)k - 1;
    return end < length ? end : length;
}

static int piece(size_t left)
{
    return left < PIECE ? (int)left : PIECE;
}

static void send_bases(MPI_Comm comm, int rank, const uint8_t *code, size_t n)
{
    for (size_t at = 0; at < n; at += PIECE) MPI_Send(code + at, piece(n - at), MPI_UINT8_T, rank, TAG, comm);
}

static void receive_bases(MPI_Comm comm, uint8_t *code, size_t n)
{
    for (size_t at = 0; at < n; at += PIECE)
        MPI_Recv(code + at, piece(n - at), MPI_UINT8_T, 0, TAG, comm, MPI_STATUS_IGNORE);
}

int share_sequence(MPI_Comm comm, const sequence *whole, int k, sequence *part, size_t *total)
{
    int rank, size;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    size_t length = tell_length(comm, whole);
    *part = (sequence){ 0 };
    *total = length;
    if (length == 0) return -1;

    size_t first = first_of(length, rank, size);
    part->length = end_of(length, rank, size, k) - first;
    if (rank == 0) {
        part->code = whole->code;
        for (int r = 1; r < size; r++) {
            size_t start = first_of(length, r, size);
            send_bases(comm, r, whole->code + start, end_of(length, r, size, k) - start);
        }
    } else {
        part->code = malloc(part->length + 1);
        if (!part->code) MPI_Abort(comm, EXIT_FAILURE);
        receive_bases(comm, part->code, part->length);
    }
    return 0;
}
