/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Results that are references: calls to such a result go to the object that it leads to. The first call has the result
 * fetched; it and those that follow are held meanwhile, in order.
 *
 *   none --call--> fetching --a reference came, nothing is held any more--> ready
 *     ^                `----- failed, or no reference: held calls fail ------.
 *     +----------------------------------------------------------------------+
 */
#ifndef RRI_LEAD_H
#define RRI_LEAD_H

#include "resolve.h"

/* What a reference to a result leads to: NULL until that is known and calls may go straight. */
rri_reference *rri_lead(rri_reference *reference);
/* Hold a call until the result is there; it may run before this returns. It aims at rri_lead_aim. */
void rri_lead_hold(rri_reference *reference, rri_held *held);
/* For what is held, while it runs. */
rri_reference *rri_lead_aim(rri_reference *reference);

#endif
