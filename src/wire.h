/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What travels: messages of records. Little-endian; every record is a multiple of 16 bytes and starts 16-aligned.
 *
 *   message   rri_message (16 bytes), then records up to its `bytes`
 *   record    rri_record (32 bytes), then a body that its kind defines
 */
#ifndef RRI_WIRE_H
#define RRI_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { RRI_MAGIC = 0x5272, RRI_WIRE_VERSION = 1 };

typedef struct rri_message {
    uint16_t magic;
    uint8_t version;
    uint8_t counted;            /* what it took of its sender, an rri_taken: with requests a credit, else none */
    uint32_t bytes;             /* of the whole message */
    uint16_t credits;           /* request messages of the receiver's that the sender is done with */
    uint16_t lent;              /* that the receiver may send beyond its credits, each of them once */
    uint32_t number;            /* messages of the sender to the receiver before this one */
} rri_message;

typedef enum rri_taken { RRI_NO_CREDIT, RRI_OWN_CREDIT, RRI_LENT_CREDIT } rri_taken;

typedef enum rri_record_kind {
    RRI_CREATE = 1,             /* method: bytes of the class name; object: the creator's number n; body: class id (8), name,
                                 * padding to 16, payload of the constructor's arguments. A creator that does not have the
                                 * class says id 0, and the name ends in 0 and the signature it has made of the arguments */
    RRI_CALL,                   /* object: address; body: payload of the arguments */
    RRI_RUN,                    /* calls of one method of one object, of numbers alone and without a deadline. object (no name),
                                 * method: of all; call: site of one-way ones; extra: see below; body: of each its future on the
                                 * caller, unless one-way, and payload */
    RRI_PARCELS,                /* body: rri_parcel's, to the record's end */
    RRI_REFILL,                 /* weight is asked for; object: address; call: handle of the reference; body: rri_refill */
    RRI_ANNOUNCE,               /* object: the creator's number of a result whose call comes later; body: none, or rri_failure and
                                 * text: that call will not come */
    RRI_RESULT,                 /* call: the caller's; object: handle of a created object; body: payload of the results */
    RRI_RESULTS,                /* results of numbers alone. extra, body: as of a run */
    RRI_FAILURE,                /* call: the caller's, or site of a one-way call; body: rri_failure and text. method: RRI_DROPPED:
                                 * the method has run, and its result, of `extra` bytes, was dropped; no body */
    RRI_GRANT,                  /* call: the sender's transfer; method: tag to send with */
    RRI_WITHDRAWN,              /* method: tag of a grant whose data will not come */
    RRI_PROBE, RRI_REPORT, RRI_LEAVE,   /* finalize: see fence.c */
    RRI_PING, RRI_PONG,         /* is anybody there? */
    RRI_LOSS,                   /* object: a rank that is lost; call: whose word it is; method: why, see peer.h */
    RRI_HELD,                   /* body: pairs of rri_parcel: what is held by this rank, after a loss; call: of which fence */
    RRI_KINDS
} rri_record_kind;

enum {
    RRI_FLAG_ONEWAY = 1,        /* no reply but a failure; call holds the number of the call site */
    RRI_FLAG_BULK = 2,          /* data beside the message: rri_bulk_note stands between record and body */
    RRI_FLAG_CREATION = 4,      /* of a failure: the creation failed */
    RRI_FLAG_NESTED = 8,        /* of a call: rri_ancestors stand in front of the payload */
    RRI_FLAG_COLOUR = 16,       /* of the work it belongs to: 1, else 0; set by the flow */
    RRI_FLAG_REMOTE = 32,       /* of a call: its result stays; rri_remote_note stands before the payload */
    RRI_FLAG_ROOM = 128,        /* of a call: a receive is posted for its result; rri_room_note stands behind the bulk note */
    RRI_FLAG_DESCRIBED = 64     /* of a result: the list of its types, with its 0, stands before the payload, padded to 16 */
};

enum { RRI_DROPPED = 1 };

/* Methods that every object has. */
enum {
    RRI_METHOD_FETCH = 65535,   /* a described result: what the object is worth elsewhere */
    RRI_METHOD_DESCRIBE = 65533,    /* its class, or that of an id, as a descriptor */
    RRI_METHOD_EXISTS = 65534   /* answered when the object is there; RESULT: its handle */
};

typedef struct rri_record {
    uint32_t bytes;             /* of the whole record */
    uint8_t kind, flags;
    uint16_t method;
    uint64_t call;              /* future on the caller; 0: none */
    uint64_t object;
    uint64_t extra;             /* of requests: ns until the deadline, or 0 for none */
} rri_record;

/* Whether it can be a record, with so many bytes of its message left. */
static inline bool rri_record_fits(const rri_record *r, size_t left)
{
    return left >= sizeof *r && r->bytes >= sizeof *r && r->bytes % 16 == 0 && r->bytes <= left;
}

static inline unsigned rri_record_colour(const rri_record *r) { return r->flags & RRI_FLAG_COLOUR ? 1 : 0; }

/* Items of a run; its sender does not make longer ones. */
enum { RRI_RUN_MAX = 4096 };

/* `extra` of a run and of results: how many there are, and bytes of the payload of each. */
static inline uint64_t rri_run_extra(size_t payload) { return (uint64_t)payload << 32 | 1; }
static inline size_t rri_run_count(const rri_record *r) { return (uint32_t)r->extra; }
static inline size_t rri_run_payload(const rri_record *r) { return r->extra >> 32; }

/* Bytes of one: one-way calls have no number of their own. */
static inline size_t rri_run_item(const rri_record *r)
{
    return rri_run_payload(r) + (r->flags & RRI_FLAG_ONEWAY ? 0 : sizeof(uint64_t));
}

static inline bool rri_run_fits(const rri_record *r)
{
    size_t count = rri_run_count(r);
    return count && count <= RRI_RUN_MAX && count * rri_run_item(r) <= r->bytes - sizeof *r;
}

/* The payload of one of them, and its call: that of one-way calls is the record's. */
static inline const void *rri_run_read(const rri_record *r, size_t i, uint64_t *call)
{
    const char *at = (const char *)(r + 1) + i * rri_run_item(r);
    if (r->flags & RRI_FLAG_ONEWAY) return at;
    memcpy(call, at, sizeof *call);
    return at + sizeof *call;
}

/* Whether it only ends a call, which its caller will see when it looks for that. */
static inline bool rri_record_may_wait(const rri_record *r)
{
    return r->kind >= RRI_RESULT && r->kind <= RRI_FAILURE && !(r->flags & (RRI_FLAG_BULK | RRI_FLAG_ONEWAY));
}

/* What a record is counted as. Those up to RRI_FAILURE are work that a fence waits for, by colour; then what only serves them,
 * which the end waits for, too; then what nobody waits for. */
enum { RRI_AIDS = 2, RRI_CONTROL, RRI_TALLIES };
static inline unsigned rri_record_tally(const rri_record *r)
{
    if (r->kind <= RRI_FAILURE) return rri_record_colour(r);
    return r->kind <= RRI_WITHDRAWN || r->kind == RRI_HELD ? RRI_AIDS : RRI_CONTROL;
}

typedef struct rri_bulk_note {
    uint64_t transfer;          /* handle of the offer on the sender; or the tag at which the data, one piece, comes at once */
    uint64_t bytes;             /* of the landing area; or of the piece */
} rri_bulk_note;

typedef struct rri_room_note {
    uint16_t tag;               /* of the receive */
    uint8_t output;             /* which of the results it is for */
    uint8_t exact;              /* only for one of just these bytes */
    uint32_t reserved;
    uint64_t bytes;
} rri_room_note;

typedef struct rri_remote_note {
    uint64_t number;            /* the caller's, of the object that the result becomes */
    uint64_t reserved;
} rri_remote_note;

/* The calls for which another one is made, nearest first. The first entry's id says how many follow. */
typedef struct rri_ancestor {
    uint64_t id;                /* on its caller */
    uint32_t rank, reserved;
} rri_ancestor;
enum { RRI_ANCESTORS = 16 };

/* Weight for an object's address: what was given out comes back. For a reference's handle: what that reference waits for is
 * over, and has brought it this weight, or none. */
typedef struct rri_parcel {
    uint64_t to, weight;
} rri_parcel;

typedef struct rri_refill {
    uint64_t voucher;           /* handle of the reference that keeps the object alive until the weight has come; or 0 */
    int32_t guarantor;          /* the rank it is on */
    uint32_t reserved;
} rri_refill;

/* Body of a failure: fixed part of rref_error, then the strings with their 0: host, where, text. */
typedef struct rri_failure {
    int32_t code, rank, hops;
    uint16_t host, where;       /* lengths */
    uint32_t text;
    uint32_t reserved[3];
} rri_failure;

/* An address that names an object by its creator and the creator's number; others are handles of the owner's table,
 * RRI_ROOT, and RRI_SERVICE for the library's own object on each rank. */
#define RRI_ROOT UINT64_C(1)
#define RRI_SERVICE UINT64_C(2)
#define RRI_NAMED (UINT64_C(1) << 63)
#define RRI_NUMBER_BITS 40

static inline uint64_t rri_address(int creator, uint64_t number)
{
    return RRI_NAMED | (uint64_t)creator << RRI_NUMBER_BITS | number;
}
static inline int rri_address_creator(uint64_t address) { return (int)((address & ~RRI_NAMED) >> RRI_NUMBER_BITS); }
static inline uint64_t rri_address_number(uint64_t address) { return address & ((UINT64_C(1) << RRI_NUMBER_BITS) - 1); }

static inline size_t rri_round16(size_t bytes) { return (bytes + 15) & ~(size_t)15; }

#endif
