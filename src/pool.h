/* SPDX-License-Identifier: BSD-3-Clause */
/* Message buffers: counted, all of one size, kept for reuse up to a limit. */
#ifndef RRI_POOL_H
#define RRI_POOL_H

#include "sync.h"

typedef struct rri_pool rri_pool;

typedef struct rri_buffer {
    rri_pool *pool;             /* i */
    struct rri_buffer *next;    /* owner's: free list, queues */
    atomic_uint refs;           /* a */
    uint32_t bytes;             /* of the message in it */
    int peer;                   /* where it came from or goes to */
    bool owes;                  /* its credit goes back when it is freed */
    bool urgent;                /* whom it goes to should see it now; else it may wait for who will look for it */
    _Alignas(64) unsigned char data[];
} rri_buffer;

struct rri_pool {
    rri_lock lock;
    size_t room;                /* i: bytes of data */
    unsigned keep;              /* i: free buffers kept */
    unsigned reserve;           /* i: of these, the last ones are for those that must go on without memory */
    unsigned kept;
    atomic_uint live;           /* a: buffers in use */
    rri_buffer *free;
    void (*last)(void *up, rri_buffer *buffer);     /* i: told before a buffer that owes is freed */
    void *up;
};

void rri_pool_init(rri_pool *pool, size_t room, unsigned keep);
void rri_pool_free(rri_pool *pool);

/* Set buffers aside. Returns 0 or -1: no memory. */
int rri_pool_reserve(rri_pool *pool, unsigned buffers);

/* A buffer with one count, or NULL; the second one goes to the reserve when there is no memory. */
rri_buffer *rri_buffer_new(rri_pool *pool);
rri_buffer *rri_buffer_reserved(rri_pool *pool);
void rri_buffer_keep(rri_buffer *buffer);
void rri_buffer_drop(rri_buffer *buffer);

#endif
