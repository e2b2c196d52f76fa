/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Proofs that a request names but does not present, read from the store.
 *
 * Runs on the event loop of a worker; the read itself is a job of the storage
 * module.
 */


#ifndef _NGX_UCAN_PROOFS_H_INCLUDED_
#define _NGX_UCAN_PROOFS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "cid.h"


/* found: the tokens (JWT or envelope, as received) that are known, in any
   order, n of them; borrowed until it returns.  n is 0 when none is; found is
   NULL when the store did not answer all that was asked. */
typedef void (*ngx_ucan_proofs_pt)(void *data, bytes_t *found, ngx_uint_t n);


/* "ucan_proofs on | off": proofs that are named and not presented are looked
   up (ngx_ucan_loc_conf_t.proofs). */
char *ngx_ucan_proofs_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* In postconfiguration.  NGX_OK, or NGX_ERROR: it is on and there is no store
   (logged). */
ngx_int_t ngx_ucan_proofs_init(ngx_conf_t *cf);

/* Looks count CIDs up (copied).  NGX_AGAIN: handler will be called later, on
   the event loop, unless it is cancelled before; NGX_DECLINED: there is no
   store; NGX_BUSY: it has too much to do; NGX_ERROR.  It is never called when
   something else than NGX_AGAIN is returned. */
ngx_int_t ngx_ucan_proofs_get(ngx_cycle_t *cycle, const cid_t *list,
    ngx_uint_t count, ngx_ucan_proofs_pt handler, void *data);

/* The look-up that was begun with data is not waited for any more. */
void ngx_ucan_proofs_cancel(void *data);


#endif /* _NGX_UCAN_PROOFS_H_INCLUDED_ */
