/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys of the store that more than one module knows, and the participant
 * record: the contract between identity, which writes it, and room, which
 * reads it.  Keys are built here and nowhere else.
 */


#ifndef _RECORD_H_INCLUDED_
#define _RECORD_H_INCLUDED_


#include "cid.h"


#define RECORD_KEY_MAX    512     /* bytes of any key */
#define RECORD_NAME_MAX   64      /* code points of a name */
#define RECORD_PROOF_LEN  65      /* bytes of "proof/<cid>" */
#define RECORD_NS_MAX     180     /* bytes of a participant's namespace */
#define RECORD_NS_LABELS  5       /* names in it: makers above, and its own */


#define RECORD_NS_IDENTITY  "identity"
#define RECORD_NS_ROOMS     "rooms"


typedef struct {
    bytes_t  id;                  /* p_... */
    bytes_t  did;
    bytes_t  name;
    bytes_t  role;
    bytes_t  kind;                /* person, bot, guest */
    bytes_t  maker;               /* p_..., or empty */
    bytes_t  ns;                  /* where it keeps things: of a person its
                                     id; of a bot that of its maker, a dot and
                                     its id; empty: it has none */
    int      custodial;
    int64_t  created_ms;
    int64_t  removed_ms;          /* 0: not removed */
} record_participant_t;


/* Appends "<kind>/<a>" or "<kind>/<a>/<b>" (b may be empty). */
void record_key(bytes_writer_t *w, const char *kind, bytes_t a, bytes_t b);

/* Appends the key of a delegation that was handed in, RECORD_PROOF_LEN bytes;
   its value is the token as it was signed. */
void record_proof_key(bytes_writer_t *w, const cid_t *cid);

/* Name folded for uniqueness (ASCII case only; invalid UTF-8, controls,
   blanks at the ends and more than RECORD_NAME_MAX are refused).  0, -1. */
int record_name_fold(bytes_writer_t *w, bytes_t name);

/* Appends the namespace of the bot with that id, of a maker with that
   namespace: nothing when it would be too long, or the maker has none.
   0; -1: no room in w. */
int record_ns_write(bytes_writer_t *w, bytes_t maker_ns, bytes_t id);

/* JSON of a participant. */
void record_participant_write(bytes_writer_t *w,
    const record_participant_t *p);

/* Reads it in place; strings that needed unescaping are unescaped into
   scratch.  One that was written before there were namespaces has its id for
   one.  0, or -1 when it is not such a record. */
int record_participant_read(record_participant_t *p, bytes_t json,
    bytes_writer_t *scratch);


#endif /* _RECORD_H_INCLUDED_ */
