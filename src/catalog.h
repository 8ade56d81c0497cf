/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A catalog: entries by id in memory of fixed size that others copy at any moment, without asking. Append-only.
 *
 *   head   { magic, size, used }        entry   { id, bytes }, bytes padded to 8, ... up to used
 *
 * An entry is written before `used` covers it. A copy may still show half of it, so whoever reads checks what an entry says
 * against its id, and copies again.
 */
#ifndef RRI_CATALOG_H
#define RRI_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RRI_CATALOG_MIN = 64 };      /* bytes of memory */

/* Memory is 8-aligned. One thread at a time adds; false: no room. */
void rri_catalog_make(void *memory, size_t size);
bool rri_catalog_add(void *memory, uint64_t id, const void *bytes, size_t count);

typedef enum rri_catalog_find { RRI_CATALOG_FOUND, RRI_CATALOG_MORE, RRI_CATALOG_ABSENT, RRI_CATALOG_TORN } rri_catalog_find;

/* Look through a copy of a catalog's first `have` bytes. FOUND: the entry's bytes, within the copy. MORE: it may be among the
 * first *count bytes of the catalog. TORN: no catalog, or one copied half-written. */
rri_catalog_find rri_catalog_look(const void *copy, size_t have, uint64_t id, const void **bytes, size_t *count);

#endif
