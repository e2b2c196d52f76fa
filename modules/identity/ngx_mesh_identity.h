/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The identity module's internal contracts: what its files promise each
 * other.
 *
 * One request is one "call": it walks from step to step, and between two
 * steps it waits for the store or for a thread.  Everything here lives on
 * the event loop of one worker, except what ngx_mesh_identity_make.c and
 * ngx_mesh_identity_token.c say of themselves.
 *
 * Keys of the namespace "identity" that only this module reads:
 *
 *     mesh                  settings, JSON; present: the mesh has an owner
 *     name/<folded name>    participant id; stays after a removal
 *     login/<p_id>          sealed key of a custodial participant
 *     delegation/<p_id>     container: what the participant holds.  Of a
 *                           person: mesh to them.  Of a bot: the links from
 *                           its maker to it
 *     custodian/<p_id>      container: what a custodial participant lets its
 *                           custodian pass on
 *     lineage/<p_id>        of a bot: ids of those above it, root first, a
 *                           blank between
 *     invite/<hash>         JSON
 *     role/<name>           JSON of a custom role
 *     holder/<name>/<p_id>  who has that custom role
 *     revocation/<digest>   JSON: a token that is void whoever issued it
 *     revocation/<digest>/<key>   the same, void by who says so
 *     revoked/<id>          JSON array of what one commit made void, by time
 *     revoker/<hash>/<key>  which revocations somebody signed
 *     proof/<cid>           a delegation that was handed in, as it was signed
 *     holding/<p_id>/<cid>  JSON: who handed it in
 *     held/<p_id>           changes with each of those
 */


#ifndef _NGX_MESH_IDENTITY_H_INCLUDED_
#define _NGX_MESH_IDENTITY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_body.h"
#include "ngx_mesh_job.h"
#include "ngx_mesh_origin.h"
#include "ngx_mesh_principal.h"
#include "ngx_mesh_reply.h"
#include "ngx_mesh_route.h"
#include "ngx_mesh_store.h"
#include "grant.h"
#include "id.h"
#include "json_write.h"
#include "record.h"
#include "seal.h"
#include "signature.h"
#include "timestamp.h"


#define NGX_MESH_IDENTITY_BODY_MAX      65536   /* bytes */
#define NGX_MESH_IDENTITY_NAME_MAX      256     /* bytes of 64 code points */
#define NGX_MESH_IDENTITY_DID_MAX       448     /* bytes: "did/<did>" is
                                                   a key of the store */
#define NGX_MESH_IDENTITY_PASSWORD_MIN  8       /* bytes */
#define NGX_MESH_IDENTITY_ROOMS_MAX     16      /* that narrow one bot */
#define NGX_MESH_IDENTITY_LINEAGE_MAX   7       /* makers above a bot */
#define NGX_MESH_IDENTITY_SET_MAX       192     /* tokens looked at */
#define NGX_MESH_IDENTITY_TOKEN_MAX     7168    /* bytes of a session */
#define NGX_MESH_IDENTITY_TRIES_MAX     8       /* of one racing write */
#define NGX_MESH_IDENTITY_READS_MAX     16      /* in one job */
#define NGX_MESH_IDENTITY_OPS_MAX       64      /* in one job */
#define NGX_MESH_IDENTITY_ARENA_SIZE    (512 * 1024)
#define NGX_MESH_IDENTITY_SIGNING_MAX   64      /* such jobs of a worker */
#define NGX_MESH_IDENTITY_ROLE_MAX      48      /* bytes of a role's name */


/* Configuration ---------------------------------------------------------- */

typedef enum {
    NGX_MESH_IDENTITY_OPEN = 0,
    NGX_MESH_IDENTITY_INVITE,
    NGX_MESH_IDENTITY_CLOSED
} ngx_mesh_identity_registration_t;


typedef enum {
    NGX_MESH_IDENTITY_PUBLIC = 0,
    NGX_MESH_IDENTITY_PRIVATE
} ngx_mesh_identity_visibility_t;


typedef struct ngx_mesh_identity_worker_s  ngx_mesh_identity_worker_t;


typedef struct {
    signature_key_t             *key;      /* wiped by a pool cleanup */
    ngx_str_t                    did;      /* of the mesh */
    ngx_thread_pool_t           *pool;
    ngx_uint_t                   hash_max;
    ngx_uint_t                   hash_queue;
    ngx_uint_t                   registration;  /* unset: as stored */
    ngx_uint_t                   visibility;    /* unset: as stored */
    time_t                       session_time;  /* seconds */
    ngx_str_t                    url;      /* public origin, or empty */
    ngx_uint_t                   used;     /* a location has the module */
    ngx_mesh_identity_worker_t  *worker;   /* from init_process on */
} ngx_http_mesh_identity_main_conf_t;


typedef struct {
    ngx_flag_t         enabled;
    ngx_mesh_origin_t  origin;
} ngx_http_mesh_identity_loc_conf_t;


extern ngx_module_t  ngx_http_mesh_identity_module;


/* What one worker keeps. */
struct ngx_mesh_identity_worker_s {
    ngx_http_mesh_identity_main_conf_t  *mcf;
    ngx_mesh_principal_api_t            *principal;
    ngx_mesh_store_t                    *store;
    ngx_log_t                           *log;

    ngx_uint_t                           hashing;   /* jobs that run */
    ngx_uint_t                           waiting;   /* jobs in queue */
    ngx_uint_t                           signing;   /* jobs without Argon2id */
    ngx_queue_t                          queue;

    ngx_uint_t                           ready;     /* revocations loaded */
    ngx_event_t                          retry;
    u_char                               after[RECORD_KEY_MAX];
    size_t                               after_len; /* last key loaded */
    void                                *throttle;
};


/* Roles (ngx_mesh_identity_role.c) --------------------------------------- */

typedef struct {
    bytes_t     name;
    unsigned    priority;
    unsigned    builtin:1;
    grant_t     grants[GRANT_COMMANDS_MAX];
    size_t      grant_count;
    bytes_t     json;             /* of a custom one, as stored */
    uint64_t    seq;              /* of that item; the reader sets it */
} ngx_mesh_identity_role_t;


/* The built-in role of that name, or the custom one that json describes
   (may be empty).  NGX_OK; NGX_DECLINED: no such role. */
ngx_int_t ngx_mesh_identity_role_find(ngx_mesh_identity_role_t *role,
    bytes_t name, bytes_t json);


/* One request (ngx_mesh_identity_call.c) --------------------------------- */

typedef struct ngx_mesh_identity_call_s  ngx_mesh_identity_call_t;
typedef struct ngx_mesh_identity_make_s  ngx_mesh_identity_make_t;
typedef struct ngx_mesh_identity_invite_s  ngx_mesh_identity_invite_t;

/* Returns what a content handler returns; NGX_DONE: it waits again. */
typedef ngx_int_t (*ngx_mesh_identity_step_pt)(
    ngx_mesh_identity_call_t *call);


struct ngx_mesh_identity_call_s {
    ngx_http_request_t                  *request;
    ngx_http_mesh_identity_main_conf_t  *mcf;
    ngx_mesh_identity_worker_t          *worker;
    ngx_mesh_principal_t                *principal;   /* NULL: nobody */
    ngx_mesh_route_args_t                args;
    json_scan_t                          body;
    void                                *context;     /* the endpoint's */
    ngx_mesh_identity_invite_t          *invite;      /* being verified */
    cid_t                                revoked[GRANT_COMMANDS_MAX];
    bytes_t                              revoked_rows[GRANT_COMMANDS_MAX];
    size_t                               revoked_count;
    time_t                               revoked_until;   /* 0: for ever */
    bytes_t                              revoked_by;      /* empty: of all */
    const char                          *detail;      /* of a 400 */
    int64_t                              now_ms;

    /* who asks, after ngx_mesh_identity_call_caller() */
    record_participant_t                 caller;
    ngx_mesh_identity_role_t             caller_role;

    /* what the wait was for */
    ngx_mesh_identity_step_pt            step;
    ngx_mesh_identity_step_pt            then;
    store_rc_t                           rc;
    store_rows_t                        *rows;        /* in request's pool */
    size_t                               failed;      /* op of a write */

    /* being collected for the next wait */
    store_read_t                         reads[NGX_MESH_IDENTITY_READS_MAX];
    size_t                               read_count;
    store_op_t                           ops[NGX_MESH_IDENTITY_OPS_MAX];
    size_t                               op_count;
    unsigned                             broken:1;    /* did not fit */
};


/* Opens the call of r.  NULL: out of memory. */
ngx_mesh_identity_call_t *ngx_mesh_identity_call_create(
    ngx_http_request_t *r, ngx_mesh_route_args_t *args);

/* Begins a call: without a body, or with one that is a JSON object.  Both
   return what a content handler returns. */
ngx_int_t ngx_mesh_identity_call_begin(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args, ngx_mesh_identity_step_pt step);
ngx_int_t ngx_mesh_identity_call_body(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args, ngx_mesh_identity_step_pt step);

/* Adds one read of key "<kind>/<a>"; its index in call->rows. */
size_t ngx_mesh_identity_call_get(ngx_mesh_identity_call_t *call,
    const char *kind, bytes_t a);

/* The same for up to limit items whose key starts with "<kind>/<a>", where
   a may be empty. */
size_t ngx_mesh_identity_call_range(ngx_mesh_identity_call_t *call,
    const char *kind, bytes_t a, size_t limit);

/* Reads what was added, then goes on with step. */
ngx_int_t ngx_mesh_identity_call_read(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_step_pt step);

/* Value of the item that read i found, or an empty view. */
bytes_t ngx_mesh_identity_call_value(ngx_mesh_identity_call_t *call,
    size_t i);

/* 1 when read i found its item; its seq. */
ngx_uint_t ngx_mesh_identity_call_found(ngx_mesh_identity_call_t *call,
    size_t i);
uint64_t ngx_mesh_identity_call_seq(ngx_mesh_identity_call_t *call,
    size_t i);

/* Adds one operation on "<kind>/<a>" to the next write; never NULL, value
   and condition are the caller's to set. */
store_op_t *ngx_mesh_identity_call_op(ngx_mesh_identity_call_t *call,
    store_op_kind_t kind, const char *key, bytes_t a);

/* Writes what was added, all or nothing, then goes on with step, where
   call->rc is STORE_OK or STORE_CONDITION with call->failed; anything else
   has been answered. */
ngx_int_t ngx_mesh_identity_call_write(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_step_pt step);

/* Finds out who asks: 401, 403 not-a-participant, or goes on with step. */
ngx_int_t ngx_mesh_identity_call_caller(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_step_pt step);

/* From a completion: runs the step that the call waits to go on with. */
void ngx_mesh_identity_call_resume(ngx_mesh_identity_call_t *call);

/* May the caller do this, with one argument (arg may be NULL)?  NGX_OK, or
   NGX_DECLINED with *verdict (may be NULL). */
ngx_int_t ngx_mesh_identity_call_allow(ngx_mesh_identity_call_t *call,
    const char *command, const char *arg, bytes_t value,
    ucan_verdict_t *verdict);

/* 403 that names command. */
ngx_int_t ngx_mesh_identity_call_forbid(ngx_mesh_identity_call_t *call,
    bytes_t command);

/* A problem; detail is static or in the request's pool. */
ngx_int_t ngx_mesh_identity_call_refuse(ngx_mesh_identity_call_t *call,
    problem_t problem, const char *detail);

/* 400 with call->detail. */
ngx_int_t ngx_mesh_identity_call_bad(ngx_mesh_identity_call_t *call);

/* A JSON answer that w holds; 500 when it did not fit. */
ngx_int_t ngx_mesh_identity_call_reply(ngx_mesh_identity_call_t *call,
    ngx_uint_t status, bytes_writer_t *w);

/* A writer over size bytes of the request's pool; failed when there are
   none. */
void ngx_mesh_identity_call_writer(ngx_mesh_identity_call_t *call,
    bytes_writer_t *w, size_t size);

/* A copy in the request's pool; data is NULL when out of memory. */
bytes_t ngx_mesh_identity_call_copy(ngx_mesh_identity_call_t *call,
    bytes_t b);

/* Memory of the request's pool for floors 0 and 1. */
void ngx_mesh_identity_call_memory(ngx_mesh_identity_call_t *call,
    ucan_memory_t *memory);

/* The participant of a stored record; strings live in the request's pool.
   NGX_OK, NGX_ERROR: it is not one. */
ngx_int_t ngx_mesh_identity_call_participant(
    ngx_mesh_identity_call_t *call, bytes_t json, record_participant_t *p);

/* JSON of a participant in the request's pool; empty when out of memory. */
bytes_t ngx_mesh_identity_call_record(ngx_mesh_identity_call_t *call,
    const record_participant_t *p);

/* "time":"2026-..." of ms into j. */
void ngx_mesh_identity_call_time(json_write_t *j, const char *key,
    int64_t ms);

/* "key":"<origin of this node><path>" into j; of "/ws" that of a socket. */
void ngx_mesh_identity_call_url(ngx_mesh_identity_call_t *call,
    json_write_t *j, const char *key, const char *path);


/* Members of the body (ngx_mesh_identity_input.c) ------------------------ */

/* All: NGX_OK; NGX_DECLINED: absent or null; NGX_ERROR: call->detail says
   what is wrong.  Views live in the request's pool. */
ngx_int_t ngx_mesh_identity_input_text(ngx_mesh_identity_call_t *call,
    const char *key, size_t max, bytes_t *text);
ngx_int_t ngx_mesh_identity_input_integer(ngx_mesh_identity_call_t *call,
    const char *key, int64_t min, int64_t max, int64_t *n);
ngx_int_t ngx_mesh_identity_input_choice(ngx_mesh_identity_call_t *call,
    const char *key, const char *const *words, ngx_uint_t *n);
ngx_int_t ngx_mesh_identity_input_texts(ngx_mesh_identity_call_t *call,
    const char *key, bytes_t *list, size_t max, size_t *count);

/* A name that people see, and the same folded.  Required. */
ngx_int_t ngx_mesh_identity_input_name(ngx_mesh_identity_call_t *call,
    bytes_t *name, bytes_t *folded);

/* The password, moved out of the received bytes into a buffer that is wiped
   with the request.  check: it is a new one and must be long enough. */
ngx_int_t ngx_mesh_identity_input_password(ngx_mesh_identity_call_t *call,
    ngx_uint_t check, bytes_t *password);

/* Wipes b, in the request's pool, when the request goes.  NGX_OK, NGX_ERROR:
   no memory, and b is not to be filled. */
ngx_int_t ngx_mesh_identity_input_wiped(ngx_mesh_identity_call_t *call,
    bytes_t b);

/* A fresh secret in place of a password, as text, wiped with the request. */
ngx_int_t ngx_mesh_identity_input_secret(ngx_mesh_identity_call_t *call,
    bytes_t *secret);


/* Settings of the mesh (ngx_mesh_identity_setup.c) ----------------------- */

typedef struct {
    ngx_uint_t  initialized;
    ngx_uint_t  registration;
    ngx_uint_t  visibility;
    bytes_t     name;             /* may be empty */
    bytes_t     owner;            /* p_..., or empty */
} ngx_mesh_identity_settings_t;


extern const char *const  ngx_mesh_identity_registrations[];
extern const char *const  ngx_mesh_identity_visibilities[];


/* What holds: the stored settings (json may be empty) under what the
   configuration fixes. */
void ngx_mesh_identity_setup_read(ngx_mesh_identity_call_t *call,
    bytes_t json, ngx_mesh_identity_settings_t *settings);

/* Members of the body of a first run.  NGX_OK, NGX_ERROR: call->detail. */
ngx_int_t ngx_mesh_identity_setup_input(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_settings_t *settings);

/* Stored form; empty when out of memory. */
bytes_t ngx_mesh_identity_setup_write(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_settings_t *settings);


/* Custom roles and who has them (ngx_mesh_identity_role.c) ---------------- */

/* "<name>/<id>" for the kind "holder"; id may be empty: all of that role. */
bytes_t ngx_mesh_identity_role_holder(ngx_mesh_identity_call_t *call,
    bytes_t name, bytes_t id);

/* Adds to a write that gives a custom role the condition that it is still
   what was read. */
void ngx_mesh_identity_role_touch(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_role_t *role);


/* Tokens (ngx_mesh_identity_token.c): pure, any thread ------------------- */

/* Envelopes, borrowed. */
typedef struct {
    bytes_t  list[NGX_MESH_IDENTITY_SET_MAX];
    size_t   count;
} ngx_mesh_identity_set_t;


typedef struct {
    const signature_key_t  *key;        /* the issuer's, borrowed */
    bytes_t                 audience;
    bytes_t                 mesh;       /* the subject */
    bytes_t                 ns;         /* the audience's namespace */
    const bytes_t          *rooms;
    size_t                  room_count;
    int64_t                 expires;    /* seconds; negative: never */
    ngx_uint_t              bare;       /* no policies */
} ngx_mesh_identity_issue_t;


/* Adds one delegation for each grant.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_identity_token_delegate(ngx_mesh_identity_set_t *set,
    const ngx_mesh_identity_issue_t *issue, const grant_t *grants,
    size_t count, ucan_memory_t *memory);

/* The invocation that opens a session of key's owner.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_identity_token_session(const signature_key_t *key,
    bytes_t mesh, int64_t expires, bytes_t *envelope, ucan_memory_t *memory);

/* The key that passes on what the participant with that DID holds.  It is
   made of the mesh's key and of the DID, so that no two participants share
   one and nothing needs to be stored; it is not the mesh's own key, since
   what that one signs is a root.  The caller destroys it. */
void ngx_mesh_identity_token_custodian(signature_key_t *custodian,
    const signature_key_t *mesh, bytes_t did);

/* 1 when did is that of a key which the mesh keeps itself: its own, or that of
   the maker's custodian. */
ngx_uint_t ngx_mesh_identity_token_ours(const signature_key_t *mesh,
    bytes_t maker, bytes_t did);

/* Envelopes of a container, added to set; an empty text adds none.  NGX_OK,
   NGX_ERROR. */
ngx_int_t ngx_mesh_identity_token_unpack(ngx_mesh_identity_set_t *set,
    bytes_t text, ucan_memory_t *memory);

/* The container of a set in that form.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_identity_token_pack(const ngx_mesh_identity_set_t *set,
    char form, bytes_t *text, ucan_memory_t *memory);

/* Drops from set what is part of no chain from the mesh to holder.  NGX_OK,
   or NGX_ERROR: malformed or no memory. */
ngx_int_t ngx_mesh_identity_token_select(ngx_mesh_identity_set_t *set,
    bytes_t mesh, bytes_t holder, ucan_memory_t *memory);

/* Drops from set the delegations to holder that presented does not hold. */
ngx_int_t ngx_mesh_identity_token_limit(ngx_mesh_identity_set_t *set,
    bytes_t holder, const ucan_bundle_t *presented, ucan_memory_t *memory);

/* Drops from set what the mesh itself issued: roots. */
ngx_int_t ngx_mesh_identity_token_below(ngx_mesh_identity_set_t *set,
    bytes_t mesh, ucan_memory_t *memory);

/* CIDs of the delegations to holder; cids has set->count places. */
ngx_int_t ngx_mesh_identity_token_cids(const ngx_mesh_identity_set_t *set,
    bytes_t holder, cid_t *cids, size_t *count, ucan_memory_t *memory);

/* The trust of this mesh for what it made itself. */
void ngx_mesh_identity_token_trust(ucan_trust_t *trust,
    const bytes_t *mesh);


/* Work for a thread (ngx_mesh_identity_make.c) --------------------------- */

typedef enum {
    NGX_MESH_IDENTITY_PERSON = 0,
    NGX_MESH_IDENTITY_GUEST,
    NGX_MESH_IDENTITY_BOT,
    NGX_MESH_IDENTITY_LOGIN,
    NGX_MESH_IDENTITY_CHECK       /* see check */
} ngx_mesh_identity_kind_t;


typedef enum {
    NGX_MESH_IDENTITY_MADE = 0,
    NGX_MESH_IDENTITY_WRONG_PASSWORD,
    NGX_MESH_IDENTITY_NOT_HELD,         /* see command */
    NGX_MESH_IDENTITY_TOO_LONG,         /* the chain, or its text */
    NGX_MESH_IDENTITY_BAD_PROOF,        /* delegations that were given */
    NGX_MESH_IDENTITY_FAILED            /* no memory */
} ngx_mesh_identity_made_t;


/* Inputs are copied into the job's pool by _create() and _set(); outputs
   live in it, and it lives as long as the request. */
struct ngx_mesh_identity_make_s {
    ngx_mesh_identity_kind_t      kind;
    const signature_key_t        *mesh;         /* borrowed from the cycle */
    char                          id[ID_LEN];
    bytes_t                       ns;           /* its namespace; may be empty:
                                                   a bot without storage */
    int64_t                       now;          /* seconds */
    int64_t                       expires;      /* of the session, seconds */
    bytes_t                       did;          /* self-custody; else empty */
    bytes_t                       password;     /* wiped by the thread */
    bytes_t                       record;       /* LOGIN: the sealed key */
    grant_t                       grants[GRANT_COMMANDS_MAX];
    size_t                        grant_count;

    /* of a bot */
    bytes_t                       maker;        /* DID */
    bytes_t                       held;         /* container: maker's own */
    bytes_t                       given;        /* container: from the maker */
    bytes_t                       above[NGX_MESH_IDENTITY_LINEAGE_MAX];
    size_t                        above_count;
    bytes_t                       rooms[NGX_MESH_IDENTITY_ROOMS_MAX];
    size_t                        room_count;
    ngx_uint_t                    exact;        /* commands were named */

    /* of a check: what the thread runs, and on what, in the job's memory */
    void                        (*check)(ngx_mesh_identity_make_t *make);
    void                         *checked;

    /* outputs */
    ngx_mesh_identity_made_t      made;
    bytes_t                       command;      /* NOT_HELD */
    ngx_uint_t                    stores;       /* some of its grants are of
                                                   its namespace */
    bytes_t                       made_did;
    uint8_t                       sealed[SEAL_RECORD_LEN];
    bytes_t                       delegation;   /* to be stored */
    bytes_t                       custodian;    /* the same; may be empty */
    bytes_t                       session;      /* envelope */
    bytes_t                       token;        /* text: session, or proofs */

    ucan_memory_t                 memory;
    u_char                       *pos;
    u_char                       *end;
    ngx_queue_t                   link;
    ngx_mesh_job_t               *job;
    ngx_pool_cleanup_t           *cleanup;      /* of the request */
    ngx_mesh_identity_worker_t   *worker;
    unsigned                      hash:1;       /* runs Argon2id */
    unsigned                      running:1;    /* a thread has it */
};


/* A job for call; NULL: out of memory. */
ngx_mesh_identity_make_t *ngx_mesh_identity_make_create(
    ngx_mesh_identity_call_t *call, ngx_mesh_identity_kind_t kind);

/* Copies b into the job: *to; sets make->made to FAILED when out of memory. */
void ngx_mesh_identity_make_set(ngx_mesh_identity_make_t *make, bytes_t *to,
    bytes_t b);

/* Runs it, at once or when others are done, then goes on with step.  503
   when too many wait. */
ngx_int_t ngx_mesh_identity_make_submit(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_step_pt step);

/* Ends one that is done before its request is, with all that it made. */
void ngx_mesh_identity_make_destroy(ngx_mesh_identity_make_t *make);


/* From the thread: what a new holder has of its own, and the text that it
   gets of a set of delegations to it. */
ngx_mesh_identity_made_t ngx_mesh_identity_make_holder(
    ngx_mesh_identity_make_t *make);
ngx_mesh_identity_made_t ngx_mesh_identity_make_token(
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_set_t *set);

/* From the thread: the chains of a new bot (ngx_mesh_identity_chain.c). */
ngx_mesh_identity_made_t ngx_mesh_identity_chain_create(
    ngx_mesh_identity_make_t *make);


/* Accounts (ngx_mesh_identity_account.c, ngx_mesh_identity_login.c) ------- */

/* DID of a self-custody caller who proves it with the body's "did" and
   "proof".  NGX_OK, NGX_DECLINED: no "did", NGX_ERROR: call->detail. */
ngx_int_t ngx_mesh_identity_account_proof(ngx_mesh_identity_call_t *call,
    bytes_t *did);

/* Writes "custodian": the DID that may pass on what did holds. */
void ngx_mesh_identity_account_custodian(ngx_mesh_identity_call_t *call,
    json_write_t *j, bytes_t did);

/* Adds the reads of what stands above a bot, of its stored lineage; their
   number, or NGX_ERROR. */
ngx_int_t ngx_mesh_identity_login_lineage(ngx_mesh_identity_call_t *call,
    bytes_t lineage);


/* Invites (ngx_mesh_identity_invite.c) ----------------------------------- */

struct ngx_mesh_identity_invite_s {
    bytes_t                    key;           /* hash of the code */
    bytes_t                    role;
    bytes_t                    creator;       /* p_... */
    bytes_t                    delegations;   /* container; may be empty */
    int64_t                    uses;          /* that are left */
    int64_t                    expires_ms;
    uint64_t                   seq;

    /* after _verify() */
    record_participant_t       maker;         /* the creator */
    ngx_mesh_identity_role_t   granted;       /* the role */
    ngx_mesh_identity_role_t   own;           /* the creator's */
};


/* Key of the code that a caller typed.  NGX_OK, NGX_DECLINED: not one. */
ngx_int_t ngx_mesh_identity_invite_key(ngx_mesh_identity_call_t *call,
    bytes_t code, bytes_t *key);

/* Reads the stored one that read i gave.  NGX_OK, NGX_DECLINED: absent, used
   up or expired. */
ngx_int_t ngx_mesh_identity_invite_read(ngx_mesh_identity_call_t *call,
    size_t i, ngx_mesh_identity_invite_t *invite);

/* Its creator still may: goes on with step, where invite->maker and
   invite->granted are known, or answers 403. */
ngx_int_t ngx_mesh_identity_invite_verify(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_invite_t *invite, ngx_mesh_identity_step_pt step);

/* Adds the operation that takes one use; its index. */
size_t ngx_mesh_identity_invite_take(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_invite_t *invite);


/* Throttle of failures (ngx_mesh_identity_throttle.c) --------------------- */

typedef enum {
    NGX_MESH_IDENTITY_THROTTLE_NAME = 0,
    NGX_MESH_IDENTITY_THROTTLE_ADDRESS,
    NGX_MESH_IDENTITY_THROTTLE_GUEST
} ngx_mesh_identity_throttle_t;


/* The table of this worker.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_identity_throttle_init(ngx_cycle_t *cycle,
    ngx_mesh_identity_worker_t *worker);

/* Seconds to wait, or 0: go on. */
time_t ngx_mesh_identity_throttle_find(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_throttle_t kind, bytes_t key);

/* Notes one failure. */
void ngx_mesh_identity_throttle_add(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_throttle_t kind, bytes_t key);

/* 429 with Retry-After. */
ngx_int_t ngx_mesh_identity_throttle_refuse(ngx_mesh_identity_call_t *call,
    time_t seconds);


/* Revocations (ngx_mesh_identity_revocation.c) ---------------------------- */

#define NGX_MESH_IDENTITY_REVOKED_SLACK  3600   /* seconds behind the end of
                                                   a token: no ucan_leeway is
                                                   longer */


typedef struct {
    cid_t    cid;
    bytes_t  by;                  /* DID; empty: void whoever issued it */
    bytes_t  record;              /* JSON of 0.x, as signed; or */
    bytes_t  token;               /* container of an invocation; or neither:
                                     this mesh says so, and signs it */
    time_t   until;               /* seconds that it is kept; 0: for ever */
} ngx_mesh_identity_revocation_t;


/* Loads the stored ones before this worker serves; tries again by a timer
   when the store cannot be read. */
void ngx_mesh_identity_revocation_init(ngx_mesh_identity_worker_t *worker);

/* Adds the operation that stores one; never NULL, the condition is the
   caller's to set.  All of one write have the same until and by. */
store_op_t *ngx_mesh_identity_revocation_add(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_revocation_t *revocation);

/* Adds the operation that lists them for other nodes. */
void ngx_mesh_identity_revocation_publish(ngx_mesh_identity_call_t *call);

/* After the commit: tells every worker what _add() added.  NGX_OK, or
   NGX_ERROR: the zone is full, and the caller answers so. */
ngx_int_t ngx_mesh_identity_revocation_apply(ngx_mesh_identity_call_t *call);

/* "<digest>" or "<digest>/<key>": the key of the kind "revocation". */
bytes_t ngx_mesh_identity_revocation_key(ngx_mesh_identity_call_t *call,
    const cid_t *cid, bytes_t by);

/* Writes a stored one as it is answered. */
void ngx_mesh_identity_revocation_write(ngx_mesh_identity_call_t *call,
    json_write_t *j, const json_scan_t *row);

/* Cursors of lists that go on in the next page: *key is where they go on,
   empty: at the start.  NGX_OK, or NGX_DECLINED: 400 was answered, *rc. */
ngx_int_t ngx_mesh_identity_revocation_cursor(
    ngx_mesh_identity_call_t *call, const char *list, bytes_t *key,
    ngx_int_t *rc);

/* "next" in j and in Link.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_identity_revocation_next(ngx_mesh_identity_call_t *call,
    const char *list, bytes_t key, json_write_t *j);

/* ?limit=, from 1 to 100, 50 by default; 0: it is none. */
size_t ngx_mesh_identity_revocation_limit(ngx_mesh_identity_call_t *call);


/* Removal (ngx_mesh_identity_removal.c) ----------------------------------- */

/* Adds the operations that revoke for ever the delegations to did in a
   stored container.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_identity_removal_add(ngx_mesh_identity_call_t *call,
    bytes_t container, bytes_t did);


/* Delegations (ngx_mesh_identity_delegation.c) ---------------------------- */

/* The tokens of a text, appended to list: a container, an envelope in
   base64url or a JWT; views into text and memory.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_identity_delegation_unpack(bytes_t text, bytes_t *list,
    size_t max, size_t *count, ucan_memory_t *memory);

/* The token that raw is, unchecked.  NULL: it is none, or no memory. */
ucan_token_t *ngx_mesh_identity_delegation_parse(bytes_t raw,
    ucan_memory_t *memory);

/* "<p_id>/<cid>" for the kind "holding"; all of a participant when cid is
   empty.  And the text of a CID.  Both live in the request's pool. */
bytes_t ngx_mesh_identity_delegation_key(ngx_mesh_identity_call_t *call,
    bytes_t id, bytes_t cid);
bytes_t ngx_mesh_identity_delegation_cid(ngx_mesh_identity_call_t *call,
    const cid_t *cid);


/* Endpoints --------------------------------------------------------------- */

/* Each answers one line of the table of routes, README.md says how. */

/* GET /api/setup/status */
ngx_int_t ngx_mesh_identity_setup_status(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/setup/init */
ngx_int_t ngx_mesh_identity_account_setup(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/auth/register */
ngx_int_t ngx_mesh_identity_account_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/auth/guest */
ngx_int_t ngx_mesh_identity_account_guest(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/auth/login */
ngx_int_t ngx_mesh_identity_login_open(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* GET /api/auth/me */
ngx_int_t ngx_mesh_identity_login_me(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* GET /api/participants/: */
ngx_int_t ngx_mesh_identity_login_find(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/invites */
ngx_int_t ngx_mesh_identity_invite_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/auth/logout */
ngx_int_t ngx_mesh_identity_removal_logout(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* DELETE /api/participants/: */
ngx_int_t ngx_mesh_identity_removal_delete(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* PATCH /api/participants/: */
ngx_int_t ngx_mesh_identity_assign_role(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* GET /api/roles */
ngx_int_t ngx_mesh_identity_role_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/roles */
ngx_int_t ngx_mesh_identity_role_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* PATCH /api/roles/: */
ngx_int_t ngx_mesh_identity_role_update(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* DELETE /api/roles/: */
ngx_int_t ngx_mesh_identity_role_delete(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/ucan/revocations */
ngx_int_t ngx_mesh_identity_revoke_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* GET /api/ucan/revocations */
ngx_int_t ngx_mesh_identity_revocation_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/ucan/delegations */
ngx_int_t ngx_mesh_identity_deposit_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* GET /api/ucan/delegations */
ngx_int_t ngx_mesh_identity_delegation_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* GET /api/ucan/delegations/: */
ngx_int_t ngx_mesh_identity_delegation_find(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* DELETE /api/ucan/delegations/: */
ngx_int_t ngx_mesh_identity_delegation_delete(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* POST /api/agents/bootstrap */
ngx_int_t ngx_mesh_identity_agent_bootstrap(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);


#endif /* _NGX_MESH_IDENTITY_H_INCLUDED_ */
