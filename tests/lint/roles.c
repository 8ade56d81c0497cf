/* SPDX-License-Identifier: BSD-3-Clause */
/* For roles.sh, never run: uses of roles as the library has them, and with PLANTED a mistake of each kind. */
#include "crew.h"
#include "flow.h"

RRI_ROLE(shelf);

typedef struct store {
    rri_lock lock;
    int goods RRI_OWNED(shelf);
} store;

RRI_NEEDS(shelf)
static void put(store *s) { s->goods++; }

int deliver(store *s);
int deliver(store *s)
{
    rri_take(&s->lock, &shelf);
    put(s);
    int goods = s->goods;
#if PLANTED == 1
    if (goods > 3) return goods;            /* the lock is kept */
#endif
    rri_give(&s->lock, &shelf);
#if PLANTED == 2
    goods += s->goods;                      /* read without the lock */
#elif PLANTED == 3
    put(s);                                 /* the lock is what the function wants of its caller */
#endif
    return goods;
}

unsigned look(rri_crew *crew);
unsigned look(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    unsigned threads = crew->threads;
    rri_give(&crew->lock, &rri_crew_lock);
#if PLANTED == 4
    threads += crew->blocked;
#endif
    return threads;
}

#if PLANTED != 5
RRI_NEEDS(rri_driver)
#endif
rri_buffer *drive(rri_flow *flow);
rri_buffer *drive(rri_flow *flow) { return rri_flow_receive(flow); }

void tell(rri_flow *flow);
void tell(rri_flow *flow)
{
    rri_record *r = rri_lane_begin(flow, 0, RRI_ANSWERS, sizeof *r);
    if (!r) return;
#if PLANTED == 6
    rri_flow_flush(flow, true);             /* takes the lock of a lane, which this thread has */
#endif
#if PLANTED != 7
    rri_lane_end(flow, 0, RRI_ANSWERS, true);
#endif
}
