/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors: classes as bytes, for ranks that do not have them.
 *
 *   number of methods (u32), name, constructor's signature, then for each method: flags (u32), name, signature.
 *
 * Texts end in 0; numbers are little-endian and not aligned. The class id is the hash of all of it.
 */
#ifndef RRI_DESCRIPTOR_H
#define RRI_DESCRIPTOR_H

#include "class.h"

size_t rri_descriptor_bytes(const rri_class *klass);
void rri_descriptor_write(const rri_class *klass, void *to);

/* A class from a descriptor that came from outside; rri_class_drop frees it. PROTOCOL for anything that cannot be read. */
int rri_descriptor_read(const void *bytes, size_t count, rri_class **klass);

#endif
