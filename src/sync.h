/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, futexes and threads. */
#ifndef RRI_SYNC_H
#define RRI_SYNC_H

#include "role.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The thread sanitizer is told of the locks, so that it sees when two are taken in both orders. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RRI_TELL_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define RRI_TELL_TSAN 1
#endif
#ifdef RRI_TELL_TSAN
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_mutex_pre_lock(lock, flags) ((void)0)
#define __tsan_mutex_post_lock(lock, flags, recursion) ((void)0)
#define __tsan_mutex_pre_unlock(lock, flags) ((void)0)
#define __tsan_mutex_post_unlock(lock, flags) ((void)0)
#endif

/* Small things that every call looks at: the fast form of thread-local memory, of which a program has little to give to libraries
 * that it loads late. */
#define RRI_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

/* A lock for sections of some ten nanoseconds: one locked instruction to take, a plain store to give. One byte, since there is
 * one in every object and reference. */
typedef struct RRI_ATTRIBUTE(capability("lock")) rri_lock { atomic_uchar word; } rri_lock;

void rri_lock_wait(rri_lock *lock) RRI_GETS(lock) RRI_UNCHECKED;

static inline bool rri_lock_try(rri_lock *lock) RRI_TRIES(lock) RRI_UNCHECKED;
static inline bool rri_lock_try(rri_lock *lock)
{
    return atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) == 0;
}

static inline void rri_lock_take(rri_lock *lock) RRI_GETS(lock) RRI_UNCHECKED;
static inline void rri_lock_take(rri_lock *lock)
{
    __tsan_mutex_pre_lock(lock, 0);
    if (!rri_lock_try(lock)) rri_lock_wait(lock);
    __tsan_mutex_post_lock(lock, 0, 0);
}

static inline void rri_lock_give(rri_lock *lock) RRI_GIVES(lock) RRI_UNCHECKED;
static inline void rri_lock_give(rri_lock *lock)
{
    __tsan_mutex_pre_unlock(lock, 0);
    atomic_store_explicit(&lock->word, 0, memory_order_release);
    __tsan_mutex_post_unlock(lock, 0);
}

/* The same for a lock whose kind is a role. */
static inline void rri_take(rri_lock *lock, const rri_role *role) RRI_GETS(lock, role) RRI_UNCHECKED;
static inline void rri_take(rri_lock *lock, const rri_role *role)
{
    (void)role;
    rri_lock_take(lock);
}

static inline void rri_give(rri_lock *lock, const rri_role *role) RRI_GIVES(lock, role) RRI_UNCHECKED;
static inline void rri_give(rri_lock *lock, const rri_role *role)
{
    (void)role;
    rri_lock_give(lock);
}

/* Counters with one writer at a time, whoever has their lock. */
static inline void rri_count_up(atomic_uint *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline void rri_count_down(atomic_uint *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) - 1, memory_order_relaxed);
}

/* Sleep while *word == expected, for ns nanoseconds at most (< 0: no limit). Works on memory shared by processes. Wakes for
 * any reason or none; the caller looks again. Returns false when the time ran out. */
bool rri_futex_wait(atomic_uint *word, unsigned expected, int64_t ns);
void rri_futex_wake(atomic_uint *word, int count);
/* The same for some kinds of sleepers, each a bit: those wake whose bit is called. */
bool rri_futex_wait_as(atomic_uint *word, unsigned expected, int64_t ns, unsigned kind);
void rri_futex_wake_as(atomic_uint *word, int count, unsigned kinds);

/* Start a thread with a stack of that size, all signals blocked: they are the application's. Returns 0 or an errno. */
int rri_thread_start(pthread_t *thread, size_t stack, void *(*run)(void *), void *arg);
/* Ask the kernel for short slices of time for the calling thread, if it is an ordinary one: the sooner it runs when it wakes
 * up on a core that another thread computes on. Its share of the core is as before. Kernels before 6.12 know none. */
void rri_thread_brisk(void);

static inline void rri_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

#endif
