/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How references are counted: one object of rank 0, made by rank CREATOR, and all references to it on three ranks. What a
 * rank does in one go (share.c, object.c, weight.c) is one step here, and the numbers are the code's own, for an object
 * whose weight is WEIGHT. A step is told, with the state after it, when TELL is defined: tests/replay.c takes the same steps
 * in the library and compares.
 *
 * Checked in all states that can be reached with SHARES shares and USES calls, where the end may come at any moment at which
 * nothing is under way (a fence finds that out):
 *   - what the owner has given out is what references hold and what is on its way (the invariant);
 *   - the object is not destroyed while a reference is held or travels, nor before a call that was sent (destroy, use);
 *   - the end comes, whatever happened before: no state without a way on; nobody waits for weight then, no reference stays
 *     that is not held, and the object was destroyed once, before the end if nobody held it (finish).
 * With LOSS, rank 2 may vanish at any moment; then the same holds for those that are left, once the loss was written off.
 *
 * PLANTED is an error to be found: 1: who vouches may go; 2: a release forgets a part; 3: a release overtakes the calls before
 * it; 4: a voucher is let go when weight is asked for; 5: a release that comes before the creation is dropped; 6: what is
 * written off leaves out what those hold who vouch.
 */
#ifndef WEIGHT
#define WEIGHT 2
#endif
#ifndef SHARES
#define SHARES 3
#endif
#ifndef USES
#define USES 1
#endif
#ifndef CREATOR
#define CREATOR 1
#endif
#ifndef PLANTED
#define PLANTED 0
#endif

/* BLIND: nothing is checked, so that a simulation goes on with an error. */
#ifdef BLIND
#define claim(x) skip
#else
#define claim(x) assert(x)
#endif

#define RANKS 3
#define OWNER 0
#define LOST 2
#define REFS (SHARES + 1)
#define LOW 16
#define PART(w) (w >= 16 -> w / 16 : w / 2)
#define LANE(from, to) (RANKS * (from) + (to))

mtype = { CREATE, SHARE, USE, REFILL, BACK, GIVE, DISMISS, END };

typedef reference {
    byte rank;
    bool used, held;            /* held: by the application */
    bool asked;                 /* weight is to come */
    short weight;
    byte vouches;
    bool wish;                  /* it waits to be asked for, */
    byte voucher;               /* with this reference + 1 as voucher, or 0 */
    short give                  /* weight that waits at the owner to be sent here */
};
reference ref[REFS];

/* What waits to be told, rank by rank; a wish and a gift stand with the reference. */
short back[RANKS];              /* weight for the owner */
byte dismissed[RANKS * REFS];   /* how many references this one no longer vouches for */
byte waits[RANKS * RANKS];      /* pieces that wait to go from one rank to another */

/* A message is some records, and END. */
chan lane[RANKS * RANKS] = [2 * REFS + 6] of { mtype, short, short };
chan parked = [2 * REFS + 6] of { mtype, short, short };

bool alive, unborn, lost, written, closed, cut[RANKS];
byte destroyed, pending, shares = SHARES, uses = USES;
short out = WEIGHT;             /* as the owner knows it */
short travels, gone;            /* weight in messages; lost with a rank */
byte carried;                   /* references and calls in messages */

/* For use within a step. */
hidden byte s, n, v;
hidden short w, total, kind_a, kind_b, field_a, field_b;
hidden mtype kind, record;

#ifdef TELL
inline tell()
{
    printf(" = %d %d %d", alive, (alive -> out : 0), destroyed);
    for (s : 0 .. REFS - 1) {
        if
        :: ref[s].used -> printf(" , %d %d %d %d", s, ref[s].rank, ref[s].held, ref[s].asked);
                          printf(" %d %d", ref[s].weight, ref[s].vouches)
        :: else
        fi
    }
    printf("\n")
}
#define told(format, a, b) printf(format, a, b); tell()
#else
#define told(format, a, b) skip
#endif

/* ---- the invariant */

inline check()
{
    total = 0;
    for (s : 0 .. REFS - 1) { total = total + ref[s].weight + ref[s].give }
    for (s : 0 .. RANKS - 1) { total = total + back[s] }
    claim(destroyed || unborn || out == total + travels + gone)
}

/* ---- weight comes back to the owner */

inline destroy()
{
    for (s : 0 .. REFS - 1) { claim(!(ref[s].used && ref[s].held) || (lost && ref[s].rank == LOST && !written)) }
    claim(!carried || lost);
    alive = false;
    destroyed++
}

inline take_back(returned)
{
    claim(returned <= out);
    out = out - returned;
    if
    :: out == 0 -> destroy()
    :: else
    fi
}

/* ---- waiting for company, and leaving */

inline wait_for(here, there) { waits[LANE(here, there)]++; pending++ }

inline give_back(giver, part)
{
    if
    :: part > 0 && PLANTED == 3 && alive -> take_back(part)
    :: part > 0 && !(PLANTED == 3 && alive) ->
        back[giver] = back[giver] + part - (PLANTED == 2 && part > 1);
        wait_for(giver, OWNER)
    :: else
    fi
}

inline put(source, target, what, one, two) { lane[LANE(source, target)]!what(one, two) }

/* What waits boards the message that is about to leave. */
inline board(leaver, goal)
{
    for (n : 0 .. REFS - 1) {
        if
        :: ref[n].wish && ref[n].rank == leaver && goal == OWNER ->
            put(leaver, goal, REFILL, n, ref[n].voucher);
            ref[n].wish = false;
            ref[n].voucher = 0
        :: else
        fi;
        if
        :: leaver == OWNER && ref[n].give && ref[n].rank == goal ->
            put(leaver, goal, GIVE, n, ref[n].give);
            travels = travels + ref[n].give;
            ref[n].give = 0
        :: else
        fi;
        if
        :: dismissed[leaver * REFS + n] && ref[n].rank == goal ->
            put(leaver, goal, DISMISS, n, dismissed[leaver * REFS + n]);
            dismissed[leaver * REFS + n] = 0
        :: else
        fi
    }
    if
    :: goal == OWNER && back[leaver] ->
        put(leaver, goal, BACK, back[leaver], 0);
        travels = travels + back[leaver];
        back[leaver] = 0
    :: else
    fi;
    pending = pending - waits[LANE(leaver, goal)] + 1;
    waits[LANE(leaver, goal)] = 0
}

inline send(sender, receiver, called, first, second)
{
    put(sender, receiver, called, first, second);
    board(sender, receiver);
    put(sender, receiver, END, 0, 0)
}

/* ---- references */

inline let_go(old)
{
    if
    :: !ref[old].held && !ref[old].asked && (!ref[old].vouches || PLANTED == 1) ->
        give_back(ref[old].rank, ref[old].weight);
        ref[old].used = false;
        ref[old].rank = 0;
        ref[old].weight = 0;
        ref[old].vouches = 0
    :: else
    fi
}

inline mint(purse) { purse = purse + WEIGHT; out = out + WEIGHT }

inline ask(poor, rich)
{
    ref[poor].asked = true;
    ref[poor].wish = true;
    ref[poor].voucher = rich;
    wait_for(ref[poor].rank, OWNER)
}

/* A reference that is vouched for has weight of its own, or is gone; its voucher is one of this rank, or is told. */
inline dismiss(teller, vouching)
{
    if
    :: ref[vouching].rank == teller -> ref[vouching].vouches--; let_go(vouching)
    :: else -> dismissed[teller * REFS + vouching]++; wait_for(teller, ref[vouching].rank)
    fi
}

inline share(shared_, friend)
{
    w = 0;
    v = 0;
    shares--;
    carried++;
    if
    :: ref[shared_].rank == OWNER && alive -> mint(w)
    :: else ->
        w = PART(ref[shared_].weight);
        ref[shared_].weight = ref[shared_].weight - w;
        if
        :: ref[shared_].weight < LOW && !ref[shared_].asked -> ask(shared_, 0)
        :: else
        fi;
        if
        :: w == 0 -> ref[shared_].vouches++; v = shared_ + 1
        :: else
        fi
    fi;
    travels = travels + w;
    send(ref[shared_].rank, friend, SHARE, w, v)
}

inline take(taker, brought, behind)
{
    n = 0;
    do
    :: ref[n].used -> n++
    :: else -> break
    od;
    ref[n].used = true;
    ref[n].held = true;
    ref[n].rank = taker;
    ref[n].weight = brought;
    if
    :: behind && taker == OWNER && alive -> mint(ref[n].weight); v = behind - 1; dismiss(taker, v)
    :: behind && !(taker == OWNER && alive) && PLANTED == 4 -> ask(n, 0); v = behind - 1; dismiss(taker, v)
    :: behind && !(taker == OWNER && alive) && PLANTED != 4 -> ask(n, behind)
    :: else
    fi
}

inline not_take(refuser, offered, named)
{
    if
    :: named -> v = named - 1; dismiss(refuser, v)
    :: else -> give_back(refuser, offered)
    fi
}

/* ---- the owner */

inline refill(asker, surety)
{
    claim(alive);
    mint(ref[asker].give);
    wait_for(OWNER, ref[asker].rank);
    if
    :: surety -> dismissed[OWNER * REFS + surety - 1]++; wait_for(OWNER, ref[surety - 1].rank)
    :: else
    fi
}

inline serve(wanted, arg, arg2)
{
    if
    :: wanted == USE -> carried--; claim(alive)
    :: wanted == REFILL -> refill(arg, arg2)
    :: wanted == BACK -> travels = travels - arg; take_back(arg)
    fi
}

/* What comes before the object waits for it, in order. If its creation is lost, who asks is told at once. */
inline arrive(came, with, with2)
{
    if
    :: alive || destroyed -> serve(came, with, with2)
    :: unborn ->
        if
        :: came == USE -> carried--
        :: came == BACK -> travels = travels - with
        :: came == REFILL && with2 -> ref[with].asked = false; let_go(with); ref[with2 - 1].vouches--; v = with2 - 1; let_go(v)
        :: came == REFILL && !with2 -> ref[with].asked = false; let_go(with)
        fi
    :: !alive && !destroyed && !unborn && PLANTED == 5 && came == BACK
    :: !alive && !destroyed && !unborn && !(PLANTED == 5 && came == BACK) -> parked!came(with, with2); pending++
    fi
}

inline create()
{
    alive = true;
    do
    :: len(parked) > 0 -> parked?kind(kind_a, kind_b); pending--; serve(kind, kind_a, kind_b)
    :: len(parked) == 0 -> break
    od
}

/* ---- a message is there */

inline process(entry, left, right, at_, wants)
{
    if
    :: entry == CREATE -> create()
    :: entry == SHARE ->
        carried--;
        travels = travels - left;
        if
        :: wants -> take(at_, left, right)
        :: else -> not_take(at_, left, right)
        fi
    :: entry == USE || entry == REFILL || entry == BACK -> arrive(entry, left, right)
    :: entry == GIVE -> travels = travels - right; ref[left].asked = false; ref[left].weight = ref[left].weight + right; let_go(left)
    :: entry == DISMISS -> ref[left].vouches = ref[left].vouches - right; let_go(left)
    fi
}

inline deliver(origin, home, willing)
{
    lane[LANE(origin, home)]?record(field_a, field_b);
    do
    :: record == END -> break
    :: else ->
        process(record, field_a, field_b, home, willing);
        lane[LANE(origin, home)]?record(field_a, field_b)
    od;
    pending--
}

/* To or from a rank that is lost: what it carried is gone. */
inline swallow(dead, end_)
{
    lane[LANE(dead, end_)]?record(field_a, field_b);
    do
    :: record == END -> break
    :: else ->
        if
        :: record == SHARE -> carried--; travels = travels - field_a; gone = gone + field_a
        :: record == USE -> carried--
        :: record == BACK -> travels = travels - field_a; gone = gone + field_a
        :: record == GIVE -> travels = travels - field_b; gone = gone + field_b
        :: else
        fi;
        lane[LANE(dead, end_)]?record(field_a, field_b)
    od;
    pending--
}

/* ---- what the application does with a reference */

#define may(r) (ref[r].used && ref[r].held && !closed && !(lost && ref[r].rank == LOST))
#define may_share(r, to) (may(r) && ref[r].rank != to && shares && !(written && to == LOST))

#define pass(r, to) d_step { may_share(r, to) -> share(r, to); check(); told("@ share %d %d", r, to) }

proctype holder(byte r)
{
end:
    do
    :: pass(r, 0)
    :: pass(r, 1)
    :: pass(r, 2)
    :: d_step { may(r) && uses && ref[r].rank != OWNER ->
                uses--; carried++; send(ref[r].rank, OWNER, USE, 0, 0); check(); told("@ use %d %d", r, 0) }
    :: d_step { may(r) -> ref[r].held = false; let_go(r); check(); told("@ drop %d %d", r, 0) }
    od
}

/* ---- what happens between ranks */

#define quiet (pending == 0)
#define gets(from, to) (nempty(lane[LANE(from, to)]) && !(lost && (from == LOST && cut[to] || to == LOST)) && !closed)
#define leaves(from, to) (waits[LANE(from, to)] && !(lost && from == LOST))
#define shared(from, to) lane[LANE(from, to)]?[SHARE, _, _]

proctype wire(byte from, to)
{
end:
    do
    :: d_step { leaves(from, to) && from != to ->
                board(from, to); put(from, to, END, 0, 0); check(); told("@ board %d %d", from, to) }
    :: d_step { leaves(from, to) && from == to ->
                board(from, to); put(from, to, END, 0, 0); deliver(from, to, true); check(); told("@ board %d %d", from, to) }
    :: d_step { gets(from, to) && !shared(from, to) -> deliver(from, to, true); check(); told("@ deliver %d %d", from, to) }
    :: d_step { gets(from, to) && shared(from, to) -> deliver(from, to, true); check(); told("@ take %d %d", from, to) }
    :: d_step { gets(from, to) && shared(from, to) -> deliver(from, to, false); check(); told("@ ignore %d %d", from, to) }
#ifdef LOSS
    :: d_step { lost && nempty(lane[LANE(from, to)]) && (to == LOST || from == LOST && cut[to]) -> swallow(from, to); check() }
    :: d_step { lost && from == LOST && !cut[to] && nempty(lane[LANE(from, to)]) -> cut[to] = true }
#endif
    od
}

/* ---- the end */

/* Nobody waits; what is written off is what is held. */
inline finish()
{
    n = 0;
    for (s : 0 .. REFS - 1) {
        claim(!ref[s].used || ref[s].held && !ref[s].asked && !ref[s].vouches && (unborn || ref[s].weight > 0));
        if
        :: ref[s].used -> n++
        :: else
        fi
    }
    claim(unborn || (n > 0) == alive);
    claim(empty(parked));
    if
    :: alive -> alive = false; destroyed++
    :: else
    fi;
    claim(destroyed == (unborn -> 0 : 1));
    closed = true
}

proctype end_of_context()
{
    d_step { quiet && (!lost || written) -> finish(); told("@ finish %d %d", 0, 0) }
}

/* ---- a rank that is lost */

#ifdef LOSS
/* Its references and what waited there are gone, not what is on its way. */
inline lose()
{
    lost = true;
    for (n : 0 .. REFS - 1) {
        if
        :: ref[n].used && ref[n].rank == LOST ->
            gone = gone + ref[n].weight;
            ref[n].weight = 0;
            ref[n].wish = false
        :: else
        fi;
        dismissed[LOST * REFS + n] = 0
    }
    gone = gone + back[LOST];
    back[LOST] = 0;
    for (n : 0 .. RANKS - 1) {
        pending = pending - waits[LANE(LOST, n)];
        waits[LANE(LOST, n)] = 0
    }
}

/* In a fence of those who are left, when all is quiet: they tell what they hold. The object is there, or its creation is lost,
 * and then what waits for it is answered. */
inline write_off()
{
    written = true;
    unborn = !alive && !destroyed;
    do
    :: len(parked) > 0 -> parked?kind(kind_a, kind_b); pending--;
        if
        :: kind == USE -> carried--
        :: kind == BACK -> travels = travels - kind_a
        :: else
        fi
    :: len(parked) == 0 -> break
    od;
    w = 0;
    gone = 0;
    for (n : 0 .. REFS - 1) {
        if
        :: ref[n].used && ref[n].rank == LOST -> ref[n].used = false; ref[n].held = false; ref[n].asked = false;
                                                 ref[n].vouches = 0; ref[n].rank = 0
        :: ref[n].used && ref[n].rank != LOST && (PLANTED != 6 || !ref[n].vouches) -> w = w + ref[n].weight
        :: else
        fi
    }
    if
    :: alive ->
        out = w;
        if
        :: out == 0 -> destroy()
        :: else
        fi
    :: else
    fi;
    for (n : 0 .. REFS - 1) {
        if
        :: ref[n].used ->
            ref[n].vouches = 0;
            ref[n].asked = ref[n].asked && !unborn;
            let_go(n)
        :: else
        fi
    }
}

proctype loss()
{
end:
    d_step { !closed -> lose(); check() }
    d_step { pending == len(parked) && (alive || destroyed || empty(lane[LANE(CREATOR, OWNER)])) -> write_off(); check() }
}
#endif

init
{
    d_step {
        ref[0].used = true;
        ref[0].held = true;
        ref[0].rank = CREATOR;
        ref[0].weight = WEIGHT;
        lane[LANE(CREATOR, OWNER)]!CREATE(0, 0);
        lane[LANE(CREATOR, OWNER)]!END(0, 0);
        pending = 1;
        told("@ create %d %d", CREATOR, WEIGHT)
    }
    atomic {
        for (n : 0 .. REFS - 1) { run holder(n) }
        for (n : 0 .. RANKS * RANKS - 1) { run wire(n / RANKS, n % RANKS) }
        run end_of_context();
#ifdef LOSS
        run loss()
#endif
    }
}
