/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the mapping. The segment is a POSIX one of our own, unlinked as soon as all have mapped it, so that nothing stays behind
 * and a rank's death hangs nobody. It stays open for its locks, which the kernel drops with the process: no signal is sent, and
 * process ids, which mean different things in different namespaces, are not needed. A forked child does not inherit them. */
#include "doorbell.h"
#include "chaos.h"
#include "error.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct cell {
    _Alignas(64) atomic_uint announced;
    _Atomic uint64_t mark;      /* what was seen by whom who sleeps: see mark_of; 0: nobody does */
    atomic_uint there;
    atomic_int waker;           /* the processing unit on which the last ring that woke somebody was */
    atomic_uint standby;        /* how often that was called */
} cell;

enum { NEVER_CAME, THERE, LEFT };
enum { NAP_NS = 100000 };       /* under chaos: time to be seen, answered and slept after */

struct rri_doorbell {
    cell *cells;                /* count of them, then handled[by][from]: a row has lines of its own, since one rank writes it */
    atomic_uint *handled;
    size_t bytes;
    int count, me;
    int fd;                     /* of the segment: its locks are this process's as long as it is open; -1: none */
};

static size_t row_of(int count)
{
    enum { LINE = 64 / sizeof(atomic_uint) };
    return ((size_t)count + LINE - 1) / LINE * LINE;
}

static size_t segment_bytes(int count)
{
    size_t n = (size_t)count;
    return n * sizeof(cell) + n * row_of(count) * sizeof(atomic_uint);
}

static struct flock lock_of(int who, short type)
{
    return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = who, .l_len = 1 };
}

/* Where locks do not work, nobody is said to be there, and nobody found gone. */
static void be_there(rri_doorbell *b)
{
    struct flock lock = lock_of(b->me, F_WRLCK);
    bool held = b->fd >= 0 && fcntl(b->fd, F_SETLK, &lock) == 0;
    if (held) atomic_store(&b->cells[b->me].there, THERE);
}

static int map(rri_doorbell **bell, int fd, int count, int me)
{
    size_t bytes = segment_bytes(count);
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) return rri_fail(RREF_ERR_SYSTEM, "cannot map the doorbell: %s", strerror(errno));
    rri_doorbell *b = rri_malloc(sizeof *b);
    if (!b) {
        munmap(at, bytes);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the doorbell");
    }
    *b = (rri_doorbell){ .cells = at, .bytes = bytes, .count = count, .me = me, .fd = fd };
    b->handled = (atomic_uint *)(void *)((char *)at + (size_t)count * sizeof(cell));
    be_there(b);
    *bell = b;
    return RREF_OK;
}

int rri_doorbell_make(rri_doorbell **bell, char name[RRI_DOORBELL_NAME], int count)
{
    static atomic_uint number;
    name[0] = 0;
    if (count == 1) return map(bell, -1, 1, 0);
    snprintf(name, RRI_DOORBELL_NAME, "/rref-%ld-%u", (long)getpid(), atomic_fetch_add(&number, 1));
    int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd < 0) return rri_fail(RREF_ERR_SYSTEM, "cannot create shared memory %s: %s", name, strerror(errno));
    int rc;
    do rc = posix_fallocate(fd, 0, (off_t)segment_bytes(count));
    while (rc == EINTR);
    rc = rc ? rri_fail(RREF_ERR_SYSTEM, "no room for shared memory %s: %s", name, strerror(rc)) : map(bell, fd, count, 0);
    if (rc) {
        close(fd);
        shm_unlink(name);
        name[0] = 0;
    }
    return rc;
}

int rri_doorbell_map(rri_doorbell **bell, const char *name, int count, int me)
{
    int fd = shm_open(name, O_RDWR, 0600);
    if (fd < 0) return rri_fail(RREF_ERR_SYSTEM, "cannot open shared memory %s: %s", name, strerror(errno));
    int rc = map(bell, fd, count, me);
    if (rc) close(fd);
    return rc;
}

void rri_doorbell_unlink(const char *name)
{
    if (name[0]) shm_unlink(name);
}

void rri_doorbell_free(rri_doorbell *bell)
{
    if (!bell) return;
    atomic_store(&bell->cells[bell->me].there, LEFT);       /* before the lock goes */
    if (bell->fd >= 0) close(bell->fd);
    munmap(bell->cells, bell->bytes);
    free(bell);
}

bool rri_doorbell_gone(const rri_doorbell *bell, int who)
{
    struct flock lock = lock_of(who, F_WRLCK);
    const atomic_uint *there = &bell->cells[who].there;
    if (who == bell->me || atomic_load(there) != THERE) return false;
    return fcntl(bell->fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK && atomic_load(there) == THERE;
}

bool rri_doorbell_left(const rri_doorbell *bell, int who) { return atomic_load(&bell->cells[who].there) == LEFT; }

static uint64_t mark_of(rri_sleeper who, unsigned seen) { return (uint64_t)seen << 32 | who; }

/*
 * Who it is that the ring numbered n has to wake. The mark goes with it, so that the next one costs no system call. But a ring
 * may be that late, its sender having lost the core behind the count, that it has been seen, answered and slept after. Were it
 * to take that mark away, and to wake nobody since the sleeper has not lain down yet, then nobody would be woken any more.
 */
static unsigned take_mark(cell *c, unsigned n, bool urgent)
{
    uint64_t mark = atomic_load(&c->mark);
    while (mark && (int)(n - (unsigned)(mark >> 32)) > 0 && (urgent || (unsigned)mark != RRI_PATIENT))
        if (atomic_compare_exchange_weak(&c->mark, &mark, 0)) return (unsigned)mark;
    return RRI_NOBODY;
}

/* Who watches may have come meanwhile, and gone to sleep with the standby's mark. */
static void wake(cell *c, unsigned who)
{
    if (who == RRI_STANDBY) {
        atomic_fetch_add(&c->standby, 1);
        rri_futex_wake(&c->standby, 1);
        who = RRI_WATCHER;
    }
    if (who == RRI_PATIENT) who = RRI_WATCHER;
    rri_futex_wake_as(&c->announced, 1, who);
}

void rri_doorbell_ring(rri_doorbell *bell, int to, bool urgent)
{
    cell *c = &bell->cells[to];
    unsigned n = atomic_fetch_add(&c->announced, 1) + 1;
    rri_chaos_nap(RRI_CHAOS_SLOW, NAP_NS);
    unsigned who = take_mark(c, n, urgent);
    if (who == RRI_NOBODY) return;
    atomic_store_explicit(&c->waker, sched_getcpu(), memory_order_relaxed);
    wake(c, who);
}

bool rri_doorbell_displaced(const rri_doorbell *bell)
{
    return atomic_load_explicit(&bell->cells[bell->me].waker, memory_order_relaxed) == sched_getcpu();
}

void rri_doorbell_wake(rri_doorbell *bell)
{
    cell *c = &bell->cells[bell->me];
    unsigned n = atomic_fetch_add(&c->announced, 1) + 1;
    rri_chaos_nap(RRI_CHAOS_SLOW, NAP_NS);
    unsigned who = take_mark(c, n, true);
    if (who == RRI_STANDBY) wake(c, who);
    rri_futex_wake(&c->announced, INT_MAX);
}

void rri_doorbell_stir(rri_doorbell *bell) { rri_futex_wake_as(&bell->cells[bell->me].announced, 1, RRI_WATCHER); }

void rri_doorbell_remind(rri_doorbell *bell)
{
    atomic_fetch_add(&bell->cells[bell->me].announced, 1);
    rri_doorbell_stir(bell);
}

void rri_doorbell_sleep(rri_doorbell *bell, rri_sleeper who, unsigned seen, int64_t ns)
{
    rri_chaos_nap(RRI_CHAOS_SLOW, NAP_NS);
    rri_futex_wait_as(&bell->cells[bell->me].announced, seen, ns, who);
}

unsigned rri_doorbell_announced(const rri_doorbell *bell)
{
    return atomic_load(&bell->cells[bell->me].announced);
}

/* Whoever sees the mark too long wakes somebody for nothing; one who misses it must not be possible: a barrier. */
void rri_doorbell_asleep(rri_doorbell *bell, rri_sleeper who, unsigned seen)
{
    atomic_store(&bell->cells[bell->me].mark, mark_of(who, seen));
}

void rri_doorbell_awake(rri_doorbell *bell)
{
    atomic_store_explicit(&bell->cells[bell->me].mark, 0, memory_order_release);
}

bool rri_doorbell_sleeps(const rri_doorbell *bell)
{
    return atomic_load_explicit(&bell->cells[bell->me].mark, memory_order_acquire) != 0;
}

bool rri_doorbell_is_patient(const rri_doorbell *bell)
{
    return (unsigned)atomic_load(&bell->cells[bell->me].mark) == RRI_PATIENT;
}

atomic_uint *rri_doorbell_standby(rri_doorbell *bell) { return &bell->cells[bell->me].standby; }

static atomic_uint *handled(const rri_doorbell *bell, int by, int from)
{
    return &bell->handled[(size_t)by * row_of(bell->count) + (size_t)from];
}

void rri_doorbell_handled(rri_doorbell *bell, int from)
{
    atomic_uint *h = handled(bell, bell->me, from);
    atomic_store_explicit(h, atomic_load_explicit(h, memory_order_relaxed) + 1, memory_order_release);
}

unsigned rri_doorbell_handled_by(const rri_doorbell *bell, int to)
{
    return atomic_load_explicit(handled(bell, to, bell->me), memory_order_acquire);
}
