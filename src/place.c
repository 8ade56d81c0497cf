/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the question where the calling thread may run. The kernel is asked at each call, since binding may change; hwloc
 * only puts names to its answer. Nothing is kept.
 */
#include "place.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- from the kernel --------------------------------------------------------------------------------------------- */

/* The mask of the calling thread, to be freed with CPU_FREE, and its units and bytes. The kernel refuses a mask smaller
 * than its own, so it grows until it fits. NULL: no memory, or refused. */
static cpu_set_t *read_mask(int *units, size_t *size)
{
    for (*units = CPU_SETSIZE; *units <= (1 << 22); *units *= 2) {
        cpu_set_t *mask = CPU_ALLOC((size_t)*units);
        if (mask == NULL)
            return NULL;
        *size = CPU_ALLOC_SIZE((size_t)*units);
        if (sched_getaffinity(0, *size, mask) == 0)
            return mask;
        const int reason = errno;
        CPU_FREE(mask);
        if (reason != EINVAL)
            return NULL;
    }
    return NULL;
}

int rri_place_width(void)
{
    int units;
    size_t size;
    cpu_set_t *mask = read_mask(&units, &size);
    if (mask == NULL)
        return 1;
    const int width = CPU_COUNT_S(size, mask);
    CPU_FREE(mask);
    return width > 0 ? width : 1;
}

void rri_place_mask(unsigned long long words[RRI_PLACE_WORDS])
{
    int units;
    size_t size;
    cpu_set_t *mask = read_mask(&units, &size);
    memset(words, 0, RRI_PLACE_WORDS * sizeof words[0]);
    if (mask == NULL)
        return;
    for (int i = 0; i < units && i < 64 * RRI_PLACE_WORDS; i++)
        if (CPU_ISSET_S((size_t)i, size, mask))
            words[i / 64] |= 1ULL << (i % 64);
    CPU_FREE(mask);
}

/* ---- for people, by hwloc ---------------------------------------------------------------------------------------- */

const char *rri_place_version(void)
{
    return HWLOC_VERSION;
}

/* Units that the job may not use are counted too, so that ranks of one node tell of the same machine. */
static bool load_topology(hwloc_topology_t *topology)
{
    if (hwloc_get_api_version() >> 16 != HWLOC_API_VERSION >> 16 || hwloc_topology_init(topology) != 0)
        return false;
    if (hwloc_topology_set_flags(*topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0 &&
        hwloc_topology_load(*topology) == 0)
        return true;
    hwloc_topology_destroy(*topology);
    return false;
}

/* Objects of a type that share units with the mask; their logical numbers go into `found` unless it is NULL. */
static int count_touched(hwloc_topology_t topology, hwloc_const_cpuset_t mask, hwloc_obj_type_t type,
                         hwloc_bitmap_t found)
{
    int count = 0;
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(topology, type, o)) != NULL;)
        if (hwloc_bitmap_intersects(o->cpuset, mask)) {
            count++;
            if (found != NULL)
                hwloc_bitmap_set(found, o->logical_index);
        }
    return count;
}

/* "2 packages", after `joint`; nothing where the machine tells of none. */
static void append_count(char *buffer, size_t size, const char *joint, int count, const char *noun)
{
    const size_t used = strlen(buffer);
    if (count > 0)
        snprintf(buffer + used, size - used, "%s%d %s%s", joint, count, noun, count == 1 ? "" : "s");
}

/* Some virtual machines know no cores; then it is told by processing units. */
static void describe(char *buffer, size_t size, hwloc_topology_t topology, hwloc_const_cpuset_t mask,
                     hwloc_bitmap_t found)
{
    const bool cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0;
    const hwloc_obj_type_t type = cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    char list[96];
    const int count = count_touched(topology, mask, type, found);
    hwloc_bitmap_list_snprintf(list, sizeof list, found);
    snprintf(buffer, size, "%s%s %s of %d", cores ? "core" : "PU", count == 1 ? "" : "s", list,
             hwloc_get_nbobjs_by_type(topology, type));
    append_count(buffer, size, " (", count_touched(topology, mask, HWLOC_OBJ_PU, NULL), "PU");
    append_count(buffer, size, ", ", count_touched(topology, mask, HWLOC_OBJ_PACKAGE, NULL), "package");
    append_count(buffer, size, ", ", count_touched(topology, mask, HWLOC_OBJ_NUMANODE, NULL), "NUMA node");
    const size_t used = strlen(buffer);
    snprintf(buffer + used, size - used, ")");
}

static bool format_bound(char *buffer, size_t size, hwloc_topology_t topology)
{
    hwloc_bitmap_t mask = hwloc_bitmap_alloc(), found = hwloc_bitmap_alloc();
    const bool known = mask != NULL && found != NULL && hwloc_get_cpubind(topology, mask, HWLOC_CPUBIND_THREAD) == 0;
    if (known)
        describe(buffer, size, topology, mask, found);
    hwloc_bitmap_free(found);
    hwloc_bitmap_free(mask);
    return known;
}

void rri_place_format(char *buffer, size_t size)
{
    hwloc_topology_t topology;
    bool known = false;
    if (size == 0)
        return;
    if (load_topology(&topology)) {
        known = format_bound(buffer, size, topology);
        hwloc_topology_destroy(topology);
    }
    if (!known) {
        buffer[0] = '\0';
        append_count(buffer, size, "", rri_place_width(), "PU");
    }
}
