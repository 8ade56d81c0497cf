/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Progress: the role of driving MPI, held by one thread at a time.
 *
 *            take                    offer (a handler starts)
 *    FREE  ---------->  HELD  ----------------------------->  TAKEABLE k
 *     ^     park         ^ |                                     |
 *     +------------------+-+<------------------------------------+
 *                            reclaim by the same thread, or taken by the watcher when k stood still
 *
 * The driver polls and dispatches. A thread that waits borrows the role and polls for itself; after its spin budget it parks
 * the role: the rank marks itself asleep, looks once more, and leaves; the doorbell wakes the watcher, a library thread.
 */
#ifndef RRI_PROGRESS_H
#define RRI_PROGRESS_H

#include "clock.h"
#include "crew.h"
#include "flow.h"
#include "peer.h"

typedef struct rri_progress rri_progress;

/* Something that happens once: a future, room in a lane. Waiters set bit 1. */
typedef struct rri_event { atomic_uint word; } rri_event;
enum { RRI_EVENT_DONE = 1, RRI_EVENT_WAITED = 2, RRI_EVENT_BUSY = 4 };

static inline bool rri_event_done(const rri_event *event)
{
    return atomic_load_explicit(&event->word, memory_order_acquire) & RRI_EVENT_DONE;
}
void rri_event_set(rri_event *event);
/* Whether the calling thread polls for the event, with the role in hand: nobody sleeps for it then, unless others may wait. */
bool rri_progress_polls_for(const rri_event *event);

/* What dispatching a record came to. */
typedef enum rri_verdict {
    RRI_DONE,
    RRI_LOST,               /* a handler ran and the role went elsewhere: touch nothing */
    RRI_PASS                /* a handler is due and this thread may not run it: nothing was done */
} rri_verdict;

typedef rri_verdict (*rri_dispatch)(void *up, const rri_record *record, rri_buffer *buffer);

typedef struct rri_progress_config {
    bool application;       /* no library thread: application threads drive, in waits and rri_progress_poll */
    bool funneled;          /* ... and only the one that called MPI_Init */
    bool serialized;        /* ... one at a time, and more at once is a mistake */
    bool restless;          /* the library's thread never sleeps */
    int64_t spin, borrowed_spin;    /* ns: of library threads; of those that wait for what they have asked for */
    rri_crew_config crew;
    bool bell_reaches_all;  /* every rank is on this node */
} rri_progress_config;

int rri_progress_open(rri_link *link, rri_flow *flow, rri_timers *timers, const rri_progress_config *config,
                      rri_dispatch dispatch, void *up, rri_progress **progress);
/* Look after the peers too, from now on. */
void rri_progress_watch(rri_progress *progress, rri_peers *peers);
/* Start the library's thread (none when application-driven). */
int rri_progress_start(rri_progress *progress);
/* End the library's threads. Those that are stuck in a handler are waited for, unless abandon. */
void rri_progress_stop(rri_progress *progress, bool abandon);
void rri_progress_close(rri_progress *progress);
/* Where the library's threads run: rri_crew_place. */
int rri_progress_place(rri_progress *progress, const rri_units *drivers, const rri_units *workers);

/* May this thread call MPI for the library? THREAD, through rri_fail: another one has to, or is at it. */
int rri_progress_may_drive(rri_progress *progress);

/* May this thread run handlers now? (library threads; the driver of an application-driven context) */
bool rri_progress_may_run(const rri_progress *progress);
/* ... and is there a place for one more that computes? */
bool rri_progress_has_place(const rri_progress *progress);
bool rri_progress_is_driver(const rri_progress *progress);
bool rri_progress_is_library(void);
bool rri_progress_is_application(const rri_progress *progress);     /* application-driven */
/* How an answer to a rank should leave: at once if no more records follow that may have company for it. */
rri_haste rri_progress_haste(rri_progress *progress, int peer);

/* Around user code on the driver. reclaim returns false when the role went elsewhere meanwhile. */
void rri_progress_offer(rri_progress *progress);
bool rri_progress_reclaim(rri_progress *progress);

/* Around user code that must not run on the driver. The driver's thread leaves the role, to whoever the next message wakes, and
 * takes it back if it is still free; so nobody is woken for the code alone. depart gives false, and does nothing, if there is
 * something else to do for the driver; return, if another one drives by now. */
bool rri_progress_depart(rri_progress *progress);
bool rri_progress_return(rri_progress *progress);

/* Have a library thread run a job (application-driven: whoever polls). */
void rri_progress_submit(rri_progress *progress, rri_job *job);

/* Have the driver run a job behind its look at MPI, as a record is dispatched: user code in it may cost the role. False if the
 * calling thread is not the driver. */
bool rri_progress_due(rri_progress *progress, rri_job *job);

/* The calling thread is about to send what it will wait for, by rri_progress_try and nothing before: it takes the role now if
 * that is free, since a fast answer would wake another one for it. */
void rri_progress_ready(rri_progress *progress);
/* Wait for an event as long as polling may, if this thread may poll. True: it has come. by_message: a message of another rank
 * will bring it, so the thread may sleep on the doorbell for a while, for what comes to wake nobody but it. */
bool rri_progress_try(rri_progress *progress, rri_event *event, int64_t deadline, bool by_message);
/* Wait for it without that. As rri_progress_wait, which is both. */
int rri_progress_sleep(rri_progress *progress, rri_event *event, int64_t deadline);
/* Wait for an event. Returns RREF_OK; RREF_ERR_PENDING at the deadline; BLOCKING in inline code; THREAD; TOO_DEEP; FINALIZED
 * when the context ends meanwhile. */
int rri_progress_wait(rri_progress *progress, rri_event *event, int64_t deadline);
/* The same for what has begun, the completion of a future or data on its way: memory of the caller's is in use until then, so
 * this waits where no handler could, too. */
int rri_progress_settle(rri_progress *progress, rri_event *event);
/* Whether a handler or callback could wait now: RREF_OK, or BLOCKING or TOO_DEEP as rri_progress_wait would. */
int rri_progress_may_wait(rri_progress *progress);
/* Wait while a lane is full; threads that may not wait return at once. False if it still is when the time is over. */
bool rri_progress_room(rri_progress *progress, int peer, int64_t deadline);

/* Poll once, or some times until there is something for who waits for an event (or NULL); jobs too where handlers may run here.
 * Returns how much happened, or RREF_ERR_THREAD. */
int rri_progress_poll(rri_progress *progress, const rri_event *event);

/* Have the sleeper look again, at a deadline that is new. */
void rri_progress_wake(rri_progress *progress);

/* An application thread that leaves calls under way is expected back for their answers soon; until then they may sit in MPI, for
 * half a millisecond at most, so that nobody takes its core for them. Not while somebody wants them, or after hurry. */
void rri_progress_want(rri_progress *progress);
void rri_progress_unwant(rri_progress *progress);
void rri_progress_hurry(rri_progress *progress);

/* Whether the thread is at a message of answers; then this is called when all of them are taken. */
bool rri_progress_after_answers(void (*what)(void));

/* After leaving messages behind without waiting: see to it that they go. */
void rri_progress_nudge(rri_progress *progress);

/* Mark code that must not block (inline methods, inline callbacks): returns the mark before. */
bool rri_progress_inline(bool on);
bool rri_progress_is_inline(void);

/* Set how deep this thread is in user code (handlers, callbacks); returns the depth before. */
int rri_progress_depth(int change);

/* Whether no job waits or runs. */
bool rri_progress_quiet(rri_progress *progress);

void rri_progress_counts(rri_progress *progress, uint64_t *wakeups, uint64_t *threads);

#endif
