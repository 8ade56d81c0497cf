/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * K-mers for another rank gather in a batch of 64 and leave with MPI_Isend; own ones go to the table at once. Arriving
 * batches land in a ring of receives that is looked at each time a batch leaves.
 *
 * A batch of fewer than 64 is the last one from its sender, so no message is needed to end: who has had a last batch
 * from everybody is done, and then everybody has taken what it sent.
 */
#include "raw.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

enum { BATCH = 64, RECEIVES = 16, SENDS = 64, TAG = 2 };

typedef uint64_t batch[BATCH];

typedef struct raw {
    MPI_Comm comm;
    int rank, size;
    table *counts;

    MPI_Request receive[RECEIVES];
    batch received[RECEIVES];
    int oldest;                     /* receive that completes next */
    int unfinished;                 /* ranks that have more for us */

    MPI_Request send[SENDS];
    batch sent[SENDS];
    int next;                       /* send to use next */

    batch *filling;                 /* one for each rank */
    int *filled;
} raw;

static void need(const raw *r, bool memory)
{
    if (memory) return;
    fprintf(stderr, "kmer: rank %d has no memory to count by plain MPI\n", r->rank);
    MPI_Abort(r->comm, EXIT_FAILURE);
}

static void add(raw *r, const uint64_t *kmers, size_t n)
{
    need(r, table_add_many(r->counts, kmers, n));
}

static void post_receive(raw *r, int i)
{
    MPI_Irecv(r->received[i], BATCH, MPI_UINT64_T, MPI_ANY_SOURCE, TAG, r->comm, &r->receive[i]);
}

/* Take what has arrived. Receives complete in the order they were posted, so only the oldest needs a look. */
static void serve(raw *r)
{
    int done, n;
    MPI_Status status;
    while (r->unfinished > 0 && (MPI_Test(&r->receive[r->oldest], &done, &status), done)) {
        MPI_Get_count(&status, MPI_UINT64_T, &n);
        add(r, r->received[r->oldest], (size_t)n);
        if (n < BATCH) r->unfinished--;
        post_receive(r, r->oldest);
        r->oldest = (r->oldest + 1) % RECEIVES;
    }
}

/* Send what has gathered for a rank. While no send is free others may be waiting for us: serve them. */
static void send_batch(raw *r, int to)
{
    int free_now;
    MPI_Request *request = &r->send[r->next];
    while (serve(r), MPI_Test(request, &free_now, MPI_STATUS_IGNORE), !free_now) continue;
    memcpy(r->sent[r->next], r->filling[to], sizeof(batch));
    MPI_Isend(r->sent[r->next], r->filled[to], MPI_UINT64_T, to, TAG, r->comm, request);
    r->filled[to] = 0;
    r->next = (r->next + 1) % SENDS;
}

static void count_part(raw *r, const sequence *part, int k, progress *shown)
{
    uint64_t kmer;
    for (scan s = scan_start(part, k); scan_next(&s, &kmer);) {
        int to = table_part(kmer, r->size);
        progress_tick(shown, scan_done(&s), part->length);
        if (to == r->rank) {
            add(r, &kmer, 1);
        } else {
            r->filling[to][r->filled[to]++] = kmer;
            if (r->filled[to] == BATCH) send_batch(r, to);
        }
    }
}

static void start(raw *r)
{
    MPI_Comm_rank(r->comm, &r->rank);
    MPI_Comm_size(r->comm, &r->size);
    r->unfinished = r->size - 1;
    r->filling = calloc((size_t)r->size, sizeof *r->filling);
    r->filled = calloc((size_t)r->size, sizeof *r->filled);
    need(r, r->filling && r->filled);
    for (int i = 0; i < RECEIVES; i++) post_receive(r, i);
    for (int i = 0; i < SENDS; i++) r->send[i] = MPI_REQUEST_NULL;
}

static void finish(raw *r)
{
    for (int i = 1; i < r->size; i++) send_batch(r, (r->rank + i) % r->size);
    while (r->unfinished > 0) serve(r);
    MPI_Waitall(SENDS, r->send, MPI_STATUSES_IGNORE);
    for (int i = 0; i < RECEIVES; i++) MPI_Cancel(&r->receive[i]);
    MPI_Waitall(RECEIVES, r->receive, MPI_STATUSES_IGNORE);
    free(r->filling);
    free(r->filled);
}

void raw_count(MPI_Comm comm, const sequence *part, int k, table *t, progress *shown)
{
    raw r = { .comm = comm, .counts = t };
    start(&r);
    count_part(&r, part, k, shown);
    finish(&r);
}
