/* SPDX-License-Identifier: BSD-3-Clause */
#include "bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void bell_ring(bell *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

uint32_t bell_await(bell *word, uint32_t heard)
{
    uint32_t now;
    while ((now = atomic_load(word)) == heard) syscall(SYS_futex, word, FUTEX_WAIT, heard, NULL, NULL, 0);
    return now;
}
