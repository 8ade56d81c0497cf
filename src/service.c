/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the service object of this rank and the table of its methods, which are at home with what they serve. */
#include "service.h"
#include "cycle.h"
#include "dump.h"
#include "error.h"
#include "memory.h"

#include <stdlib.h>

static const rref_method methods[] = {
    RREF_METHOD("publish", "str, ref", rri_name_publish, RREF_INLINE),
    RREF_METHOD("lookup", "str, bool -> ref", rri_name_lookup, RREF_INLINE),
    RREF_METHOD("withdraw", "str", rri_name_withdraw, RREF_INLINE),
    RREF_METHOD("group_compare", "u64, u64", rri_group_compare, RREF_INLINE),
    RREF_METHOD("group_failed", "u64, i64, str", rri_group_failed, RREF_INLINE),
    RREF_METHOD("group_relay", "u64, i32, i32, i32, u32, bytes, ref[]", rri_group_relay, RREF_INLINE),
    RREF_METHOD("probe", "u64[], str", rri_cycle_probe, RREF_INLINE),
    RREF_METHOD("break", "u64, str", rri_cycle_break, RREF_INLINE),
    RREF_METHOD("dump", "-> str", rri_dump_text, RREF_INLINE),
    RREF_METHOD("stats", "-> u64[]", rri_dump_stats, RREF_INLINE),
    RREF_METHODS_END
};
static const rref_class service_class = RREF_CLASS("rref", "", NULL, NULL, methods);

int rri_service_open(rri_service *s, rri_references *references, rri_fence *fence, unsigned context)
{
    rri_objects *objects = references->objects;
    s->references = references;
    references->service = s;
    s->fence = fence;
    rri_groups_open(&s->groups, context);
    s->there = rri_calloc((size_t)rri_link_size(references->calls->link), sizeof *s->there);
    if (!s->there) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the service object");
    int rc = rri_class_add(&s->classes, &service_class, &s->klass);
    if (rc) return rc;
    objects->service = rri_object_wrap(objects, s->klass, s);
    if (!objects->service) return RREF_ERR_NO_MEMORY;
    objects->service->shared = true;
    return RREF_OK;
}

void rri_service_close(rri_service *s)
{
    if (s->references) rri_groups_close(&s->groups);
    rri_classes_free(&s->classes);
    free(s->there);
}

rref rri_service_of(rri_references *all, int rank)
{
    rri_service *s = all->service;
    return rri_reference_lasting(all, &s->there[rank], rank, 0, RRI_SERVICE, s->klass, s->klass->id);
}
