/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, futexes and threads. Owns nothing. */
#include "sync.h"
#include "chaos.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPINS = 64, YIELDS = 16, NAP_NS = 50000, SLICE_NS = 100000 };

/* The holder may have lost its core in the middle of its section: spin for a running one, yield for one that shares this
 * core, and nap in the end, since yielding does not help against a third thread that spins. */
void rri_lock_wait(rri_lock *lock)
{
    for (unsigned tries = 0;; tries++) {
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 && rri_lock_try(lock)) return;
        if (tries < SPINS) rri_pause();
        else if (tries < SPINS + YIELDS) sched_yield();
        else nanosleep(&(struct timespec){ 0, NAP_NS }, NULL);
    }
}

/* By kinds the kernel takes the time at which the wait is over, not how long it may last. */
static struct timespec time_in(int64_t ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += t.tv_nsec;
    return (struct timespec){ t.tv_sec + ns / 1000000000, ns % 1000000000 };
}

bool rri_futex_wait_as(atomic_uint *word, unsigned expected, int64_t ns, unsigned kind)
{
    if (rri_chaos(RRI_CHAOS_SPURIOUS)) return true;
    struct timespec limit = { 0 };
    if (ns >= 0) limit = time_in(ns);
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, ns < 0 ? NULL : &limit, NULL, kind);
    return !(rc < 0 && errno == ETIMEDOUT);
}

bool rri_futex_wait(atomic_uint *word, unsigned expected, int64_t ns)
{
    return rri_futex_wait_as(word, expected, ns, FUTEX_BITSET_MATCH_ANY);
}

void rri_futex_wake_as(atomic_uint *word, int count, unsigned kinds)
{
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, kinds);
}

void rri_futex_wake(atomic_uint *word, int count) { rri_futex_wake_as(word, count, FUTEX_BITSET_MATCH_ANY); }

int rri_thread_start(pthread_t *thread, size_t stack, void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc = pthread_attr_init(&attr);
    if (rc) return rc;
    if (stack < (size_t)PTHREAD_STACK_MIN) stack = (size_t)PTHREAD_STACK_MIN;
    rc = pthread_attr_setstacksize(&attr, stack);
    if (rc == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        rc = pthread_create(thread, &attr, run, arg);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    pthread_attr_destroy(&attr);
    return rc;
}

/* As the kernel has it, whose header does not go with <sched.h>. */
typedef struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;     /* ns */
} scheduling;

void rri_thread_brisk(void)
{
    scheduling own = { .size = sizeof own };
    if (syscall(SYS_sched_getattr, 0, &own, sizeof own, 0) || own.policy != SCHED_OTHER) return;
    own.runtime = SLICE_NS;
    syscall(SYS_sched_setattr, 0, &own, 0);
}
