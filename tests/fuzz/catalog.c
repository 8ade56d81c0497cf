/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be read out of another rank's window: any bytes as a copy of a catalog, and a catalog that was added to, cut short
 * and damaged, as a copy that was made meanwhile may be. What is found lies within the copy and goes to the reader of classes,
 * as it does in the library; a copy that is whole finds all there is.
 *
 * The input: a byte for the kind; the id looked for; then the copy, or entries (id, length, that many bytes) up to the end.
 */
#include "fuzz.h"

#include "catalog.h"
#include "descriptor.h"

enum { ROOM = 512, ENTRIES = 32 };

/* Memory of its exact size; what malloc gives is aligned as a window is. */
static rri_catalog_find look(const void *from, size_t have, uint64_t id, size_t *count)
{
    const void *bytes = NULL;
    rri_class *k;
    char *copy = fuzz_exact(from, have);
    rri_catalog_find found = rri_catalog_look(copy, have, id, &bytes, count);
    if (found == RRI_CATALOG_FOUND) {
        MUST((const char *)bytes >= copy && *count <= have && (const char *)bytes + *count <= copy + have);
        if (rri_descriptor_read(bytes, *count, &k) == RREF_OK) rri_class_drop(k);
    }
    MUST(found != RRI_CATALOG_MORE || *count > have);
    free(copy);
    return found;
}

/* The first entry of an id is the one that counts. */
static bool first_of_its_id(const uint64_t *ids, unsigned at)
{
    for (unsigned i = 0; i < at; i++)
        if (ids[i] == ids[at]) return false;
    return true;
}

static void all_found(const void *memory, const uint64_t *ids, const size_t *counts, unsigned entries)
{
    size_t count;
    for (unsigned i = 0; i < entries; i++) {
        if (!first_of_its_id(ids, i)) continue;
        MUST(look(memory, ROOM, ids[i], &count) == RRI_CATALOG_FOUND && count == counts[i]);
    }
}

/* Too short a copy says how much would do; that much does. */
static void cut_short(const void *memory, uint64_t id)
{
    size_t count, again;
    rri_catalog_find whole = look(memory, ROOM, id, &count);
    for (size_t have = 0; have <= ROOM; have += 24)
        if (look(memory, have, id, &count) == RRI_CATALOG_MORE) MUST(look(memory, count, id, &again) == whole);
}

static void made(fuzz_input *in, uint64_t id)
{
    uint64_t ids[ENTRIES];
    size_t counts[ENTRIES];
    unsigned entries = 0;
    char *memory = fuzz_room(ROOM);
    rri_catalog_make(memory, ROOM);
    while (in->left && entries < ENTRIES) {
        uint8_t bytes[256], n = 0;
        fuzz_take(in, &ids[entries], sizeof *ids);
        fuzz_take(in, &n, 1);
        counts[entries] = fuzz_take(in, bytes, n);
        if (!rri_catalog_add(memory, ids[entries], bytes, counts[entries])) break;
        entries++;
    }
    all_found(memory, ids, counts, entries);
    cut_short(memory, id);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, size };
    uint8_t kind = 0;
    uint64_t id = 0;
    size_t count;
    fuzz_take(&in, &kind, 1);
    fuzz_take(&in, &id, sizeof id);
    if (kind & 1) made(&in, id);
    else look(in.at, in.left, id, &count);
    return 0;
}
