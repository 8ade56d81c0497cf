/* SPDX-License-Identifier: BSD-3-Clause */
#include "objects.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "work.h"

typedef struct echo {
    uint64_t added;
    size_t bytes;
    char data[];
} echo;

/* The upper bits of a product, so that neither lines nor pages look like each other. */
static char byte_at(size_t i) { return (char)((uint32_t)i * 2654435761u >> 24); }

void objects_fill(char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) data[i] = byte_at(i);
}

bool objects_filled(const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != byte_at(i)) return false;
    return true;
}

static int echo_create(rref_call *call, void **self)
{
    const size_t bytes = rref_arg_u64(call, 0);
    echo *e = malloc(sizeof *e + bytes);
    if (!e) return rref_fail(call, RREF_ERR_NO_MEMORY, "an echo of %zu bytes", bytes);
    *e = (echo){ .bytes = bytes };
    objects_fill(e->data, bytes);
    *self = e;
    return RREF_OK;
}

static int echo_number(rref_call *call, void *self)
{
    (void)self;
    return rref_return_u64(call, rref_arg_u64(call, 0));
}

static int echo_bytes(rref_call *call, void *self)
{
    size_t n;
    const void *data = rref_arg_bytes(call, 0, &n);
    (void)self;
    return rref_return_borrowed(call, data, n);
}

/* Arguments are there when the method starts: to take them there is nothing to do. */
static int echo_take(rref_call *call, void *self)
{
    (void)call;
    (void)self;
    return RREF_OK;
}

static int echo_filled(rref_call *call, void *self)
{
    size_t n;
    const char *data = rref_arg_bytes(call, 0, &n);
    (void)self;
    return rref_return_bool(call, objects_filled(data, n));
}

static int echo_counted(rref_call *call, void *self)
{
    size_t n, i = 0;
    const double *data = rref_arg_f64s(call, 0, &n);
    (void)self;
    while (i < n && !(data[i] < (double)i || data[i] > (double)i)) i++;
    return rref_return_bool(call, i == n);
}

static int echo_give(rref_call *call, void *self)
{
    const echo *e = self;
    return rref_return_borrowed(call, e->data, e->bytes);
}

static int echo_add(rref_call *call, void *self)
{
    echo *e = self;
    (void)call;
    e->added++;
    return RREF_OK;
}

static int echo_count(rref_call *call, void *self)
{
    const echo *e = self;
    return rref_return_u64(call, e->added);
}

static int echo_compute(rref_call *call, void *self)
{
    (void)self;
    work_do(rref_arg_u64(call, 0));
    return RREF_OK;
}

static const rref_method echo_methods[] = {
    RREF_METHOD("inline", "u64 -> u64", echo_number, RREF_INLINE),
    RREF_METHOD("default", "u64 -> u64", echo_number, 0),
    RREF_METHOD("worker", "u64 -> u64", echo_number, RREF_WORKER),
    RREF_METHOD("inline_bytes", "bytes -> bytes", echo_bytes, RREF_INLINE),
    RREF_METHOD("default_bytes", "bytes -> bytes", echo_bytes, 0),
    RREF_METHOD("worker_bytes", "bytes -> bytes", echo_bytes, RREF_WORKER),
    RREF_METHOD("take", "bytes", echo_take, 0),
    RREF_METHOD("take_f64", "f64[]", echo_take, 0),
    RREF_METHOD("filled", "bytes -> bool", echo_filled, 0),
    RREF_METHOD("counted", "f64[] -> bool", echo_counted, 0),
    RREF_METHOD("give", "-> bytes", echo_give, 0),
    RREF_METHOD("add", "u64", echo_add, RREF_INLINE),
    RREF_METHOD("count", "-> u64", echo_count, RREF_INLINE),
    RREF_METHOD("drop", "ref", echo_take, RREF_INLINE),
    RREF_METHOD("compute", "u64", echo_compute, 0),
    RREF_METHODS_END
};
const rref_class echo_class = RREF_CLASS("echo", "u64", echo_create, free, echo_methods);

rref objects_echo(const bench *b, rref_context *context, int rank, size_t bytes)
{
    uint64_t added;
    rref e = rref_create(context, rank, "echo", bytes);
    bench_must(b, rref_sync(e, "count", rref_out(&added)), "echo.count");
    return e;
}

/* ---- beads: all of a rank are one and the same to it, so that what they cost is the library's --------------------- */

static atomic_uint_fast64_t made, gone;

static int bead_create(rref_call *call, void **self)
{
    (void)call;
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    *self = &made;
    return RREF_OK;
}

static void bead_destroy(void *self)
{
    (void)self;
    atomic_fetch_add_explicit(&gone, 1, memory_order_relaxed);
}

bead_count objects_beads(void)
{
    const uint64_t then_gone = atomic_load(&gone), now_made = atomic_load(&made);
    return (bead_count){ now_made, now_made - then_gone };
}

bead_count objects_beads_there(const bench *b, rref_context *context)
{
    bead_count count;
    bench_must(b, rref_sync(rref_root(context, 1), "beads", rref_out(&count.made), rref_out(&count.alive)), "beads");
    return count;
}

static const rref_method bead_methods[] = { RREF_METHODS_END };
const rref_class bead_class = RREF_CLASS("bead", "", bead_create, bead_destroy, bead_methods);
