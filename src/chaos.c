/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the plan in force and how many decisions were made of each kind. A decision is a hash of seed, rank, kind and its number:
 * no state that threads would have to share but the numbers.
 */
#include "chaos.h"
#include "error.h"

#include <string.h>
#include <time.h>

static const char *const words[RRI_CHAOS_KINDS] = {
    [RRI_CHAOS_DELAY] = "delay",       [RRI_CHAOS_REORDER] = "reorder", [RRI_CHAOS_STARVE] = "starve",
    [RRI_CHAOS_LATE] = "late",         [RRI_CHAOS_SLOW] = "slow",       [RRI_CHAOS_SPURIOUS] = "spurious",
    [RRI_CHAOS_TIMEOUT] = "timeout",   [RRI_CHAOS_WEIGHT] = "weight",   [RRI_CHAOS_BUFFER] = "buffer",
};

/* One decision in so many is yes. */
static const unsigned odds[RRI_CHAOS_KINDS] = {
    [RRI_CHAOS_DELAY] = 8, [RRI_CHAOS_REORDER] = 2, [RRI_CHAOS_STARVE] = 2, [RRI_CHAOS_LATE] = 2, [RRI_CHAOS_SLOW] = 16,
    [RRI_CHAOS_SPURIOUS] = 4, [RRI_CHAOS_TIMEOUT] = 4, [RRI_CHAOS_WEIGHT] = 1, [RRI_CHAOS_BUFFER] = 1,
};

atomic_uint rri_chaos_kinds;
static _Atomic uint64_t root;                               /* a: of the seed, for all ranks */
static _Atomic uint64_t own;                                /* a: the same for this rank alone */
static _Atomic uint64_t made[RRI_CHAOS_KINDS];              /* a: decisions */

/* ---- the option */

static int refuse(const char *text)
{
    return rri_fail(RREF_ERR_OPTION, "RREF_CHAOS=%.200s: off, or seed:NUMBER and perhaps some of delay, reorder, starve, late,"
                    " slow, spurious, timeout, weight, buffer behind commas are wanted", text);
}

static bool take_seed(const char **text, uint64_t *seed)
{
    const char *at = *text + 5;
    if (strncmp(*text, "seed:", 5) || *at < '0' || *at > '9') return false;
    for (*seed = 0; *at >= '0' && *at <= '9'; at++) *seed = 10 * *seed + (uint64_t)(*at - '0');
    *text = at;
    return *at == '\0' || *at == ',';
}

/* The bit of the word up to the next comma, 0 if there is none. */
static unsigned take_kind(const char **text)
{
    const size_t length = strcspn(*text, ",");
    for (unsigned k = 0; k < RRI_CHAOS_KINDS; k++)
        if (strlen(words[k]) == length && !memcmp(words[k], *text, length)) {
            *text += length;
            return 1u << k;
        }
    return 0;
}

int rri_chaos_read(const char *text, rri_chaos_plan *plan)
{
    rri_chaos_plan read = { 0, 0 };
    const char *at = text;
    if (text && *text && strcmp(text, "off")) {
        if (!take_seed(&at, &read.seed)) return refuse(text);
        if (!*at) read.kinds = (1u << RRI_CHAOS_KINDS) - 1;
        while (*at == ',') {
            at++;
            const unsigned kind = take_kind(&at);
            if (!kind) return refuse(text);
            read.kinds |= kind;
        }
    }
    *plan = read;
    return RREF_OK;
}

/* ---- decisions */

/* Every bit of the result depends on every bit of both (two multiplications, in the manner of Steele's SplitMix). */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a + (b + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

void rri_chaos_begin(const rri_chaos_plan *plan, int rank)
{
    if (!plan->kinds) return;
    atomic_store(&root, mix(plan->seed, 0));
    atomic_store(&own, mix(atomic_load(&root), (uint64_t)rank));
    atomic_store(&rri_chaos_kinds, plan->kinds);
}

uint64_t rri_chaos_signature(void)
{
    const unsigned kinds = atomic_load(&rri_chaos_kinds);
    return kinds ? mix(atomic_load(&root), kinds) : 0;
}

bool rri_chaos_has(rri_chaos_kind kind)
{
    return atomic_load_explicit(&rri_chaos_kinds, memory_order_relaxed) >> kind & 1;
}

unsigned rri_chaos_pick(rri_chaos_kind kind, unsigned below)
{
    if (!rri_chaos_has(kind)) return 0;
    const uint64_t n = atomic_fetch_add_explicit(&made[kind], 1, memory_order_relaxed);
    return (unsigned)(mix(mix(atomic_load_explicit(&own, memory_order_relaxed), kind), n) % below);
}

unsigned rri_chaos_agreed(rri_chaos_kind kind, unsigned name, unsigned below)
{
    return rri_chaos_has(kind) ? (unsigned)(mix(mix(atomic_load(&root), kind), name) % below) : 0;
}

bool rri_chaos_decide(rri_chaos_kind kind)
{
    return rri_chaos_has(kind) && rri_chaos_pick(kind, odds[kind]) == 0;
}

void rri_chaos_nap(rri_chaos_kind kind, unsigned ns)
{
    if (rri_chaos(kind)) nanosleep(&(struct timespec){ 0, (long)rri_chaos_pick(kind, ns) }, NULL);
}
