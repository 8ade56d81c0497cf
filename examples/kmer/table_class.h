/* SPDX-License-Identifier: BSD-3-Clause */
/* The table as an RRef class. */
#ifndef KMER_TABLE_CLASS_H
#define KMER_TABLE_CLASS_H

#include <rref.h>

/* "kmer_table", for rref_wrap. */
extern const rref_class table_class;
/* The free function "table", which gives the reference that functions_self points to. */
extern const rref_method table_functions[];

#endif
