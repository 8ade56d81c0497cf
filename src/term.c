/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the handler of SIGTERM and the thread that it wakes. What the signal did before is kept: the handler only writes to a
 * pipe, and when the thread has done what was asked it puts the former handler back and sends the signal again.
 */
#include "term.h"
#include "error.h"
#include "finalize.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static rri_lock lock;
static rri_on_term wanted;          /* under the lock */
static int bell[2];                 /* constant while the handler is there */
static struct sigaction before;     /* the same */

static void ring(int signal)
{
    int kept = errno;
    ssize_t written = write(bell[1], "", 1);
    (void)written, (void)signal;
    errno = kept;
}

static void *wait_for_term(void *arg)
{
    char byte;
    (void)arg;
    while (read(bell[0], &byte, 1) < 0 && errno == EINTR) continue;
    rri_lock_take(&lock);
    rri_on_term wish = wanted;
    rri_lock_give(&lock);
    rri_contexts_term(wish == RRI_ON_TERM_FINALIZE);
    sigaction(SIGTERM, &before, NULL);
    kill(getpid(), SIGTERM);
    return NULL;
}

/* The thread takes no signals of the application. */
static int start_thread(void)
{
    pthread_t thread;
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &was);
    int rc = pthread_create(&thread, NULL, wait_for_term, NULL);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    if (!rc) pthread_detach(thread);
    return rc;
}

static int install(void)
{
    struct sigaction action = { .sa_handler = ring, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    if (pipe(bell)) return rri_fail(RREF_ERR_SYSTEM, "no pipe for SIGTERM: %s", strerror(errno));
    int rc = start_thread();
    if (rc) {
        close(bell[0]);
        close(bell[1]);
        return rri_fail(RREF_ERR_SYSTEM, "no thread for SIGTERM: %s", strerror(rc));
    }
    sigaction(SIGTERM, &action, &before);
    return RREF_OK;
}

int rri_term_watch(rri_on_term wish)
{
    if (wish == RRI_ON_TERM_OFF) return RREF_OK;
    rri_lock_take(&lock);
    int rc = wanted == RRI_ON_TERM_OFF ? install() : RREF_OK;
    if (!rc && wish > wanted) wanted = wish;
    rri_lock_give(&lock);
    return rc;
}
