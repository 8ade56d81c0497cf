/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the question where the calling thread may run, and the map of the machine. The kernel is asked at each call, since
 * binding may change; hwloc tells what the machine is like, which does not.
 */
#include "place.h"
#include "sync.h"

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

static rri_units units_of(const cpu_set_t *mask, int units, size_t size)
{
    rri_units set = { { 0 } };
    for (int i = 0; i < units && i < RRI_UNITS; i++)
        if (CPU_ISSET_S((size_t)i, size, mask))
            rri_units_add(&set, i);
    return set;
}

rri_units rri_place_mask(void)
{
    int units;
    size_t size;
    rri_units set = { { 0 } };
    cpu_set_t *mask = read_mask(&units, &size);
    if (mask == NULL)
        return set;
    set = units_of(mask, units, size);
    CPU_FREE(mask);
    return set;
}

int rri_place_now(void)
{
    return sched_getcpu();
}

int rri_place_bind(pthread_t thread, const rri_units *units)
{
    cpu_set_t mask[RRI_UNITS / CPU_SETSIZE];
    CPU_ZERO_S(sizeof mask, mask);
    for (int u = rri_units_next(units, 0); u >= 0; u = rri_units_next(units, u + 1))
        CPU_SET_S((size_t)u, sizeof mask, mask);
    return pthread_setaffinity_np(thread, sizeof mask, mask);
}

typedef struct trial {
    const rri_units *units;
    rri_units got;
} trial;

static void *try_units(void *arg)
{
    trial *t = arg;
    if (rri_place_bind(pthread_self(), t->units) == 0)
        t->got = rri_place_mask();
    return NULL;
}

/* The kernel alone knows; a thread of its own asks, so that nobody else is moved. */
int rri_place_refused(const rri_units *units, rri_units *refused)
{
    trial t = { .units = units };
    pthread_t thread;
    const int reason = rri_thread_start(&thread, 0, try_units, &t);
    if (reason != 0)
        return reason;
    pthread_join(thread, NULL);
    *refused = rri_units_without(units, &t.got);
    return 0;
}

/* ---- by hwloc ---------------------------------------------------------------------------------------------------- */

const char *rri_place_version(void)
{
    return HWLOC_VERSION;
}

/* Units that the job may not use are counted too, so that ranks of one node tell of the same machine. */
static bool load_topology(hwloc_topology_t *topology)
{
    if (hwloc_get_api_version() >> 16 != HWLOC_API_VERSION >> 16 || hwloc_topology_init(topology) != 0)
        return false;
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
#if HWLOC_API_VERSION >= 0x00020500
    flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;   /* else it visits each unit */
#endif
    if (hwloc_topology_set_flags(*topology, flags) == 0 && hwloc_topology_load(*topology) == 0)
        return true;
    hwloc_topology_destroy(*topology);
    return false;
}

/* Number the units of all objects of a type; of several that hold a unit the first counts. */
static void number_units(hwloc_topology_t topology, hwloc_obj_type_t type, rri_map *map, int level)
{
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(topology, type, o)) != NULL;)
        for (int u = hwloc_bitmap_first(o->cpuset); u >= 0 && u < RRI_UNITS; u = hwloc_bitmap_next(o->cpuset, u))
            if (map->at[u][level] < 0 && o->logical_index < RRI_UNITS)
                map->at[u][level] = (short)o->logical_index;
}

/* The largest caches there are. */
static hwloc_obj_type_t cache_type(hwloc_topology_t topology)
{
    static const hwloc_obj_type_t type[] = { HWLOC_OBJ_L5CACHE, HWLOC_OBJ_L4CACHE, HWLOC_OBJ_L3CACHE };
    for (size_t i = 0; i < sizeof type / sizeof type[0]; i++)
        if (hwloc_get_nbobjs_by_type(topology, type[i]) > 0)
            return type[i];
    return HWLOC_OBJ_L2CACHE;
}

static bool knows_cores(hwloc_topology_t topology)
{
    return hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0;
}

static void fill_map(hwloc_topology_t topology, rri_map *map)
{
    const hwloc_obj_type_t core = knows_cores(topology) ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    number_units(topology, core, map, RRI_LEVEL_CORE);
    number_units(topology, cache_type(topology), map, RRI_LEVEL_CACHE);
    number_units(topology, HWLOC_OBJ_NUMANODE, map, RRI_LEVEL_NUMA);
    number_units(topology, HWLOC_OBJ_PACKAGE, map, RRI_LEVEL_PACKAGE);
    map->cores = hwloc_get_nbobjs_by_type(topology, core);
    map->known = true;
}

void rri_place_read_map(rri_map *map)
{
    hwloc_topology_t topology;
    memset(map, 0xFF, sizeof *map);
    map->cores = 0;
    map->known = false;
    if (!load_topology(&topology))
        return;
    fill_map(topology, map);
    hwloc_topology_destroy(topology);
}

static rri_map machine;

static void read_machine(void)
{
    rri_place_read_map(&machine);
}

const rri_map *rri_place_map(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_machine);
    return &machine;
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
    const bool cores = knows_cores(topology);
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
