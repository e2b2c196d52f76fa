/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * An invocation allows its command once: the last question of the access
 * phase, after everything else was answered with yes.
 */


#ifndef _NGX_UCAN_ONCE_H_INCLUDED_
#define _NGX_UCAN_ONCE_H_INCLUDED_


#include "ngx_ucan_request.h"


#define NGX_UCAN_ONCE_OFF    0
#define NGX_UCAN_ONCE_ON     1        /* remembered in shared memory */
#define NGX_UCAN_ONCE_STORE  2        /* and in the store */


/* "ucan_replay on | off | store". */
char *ngx_ucan_once_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Uses up the invocation that a request came with; a session is not used up,
   and a request that is led on to another location is still the same one.
   NGX_OK: *verdict is there: UCAN_OK, UCAN_REPLAYED, UCAN_REPLAY_FULL, or
   UCAN_SESSION_TOO_LONG for one that would have to be remembered too long.
   NGX_AGAIN: the phases of r run again when it is.  NGX_BUSY: the store
   cannot say. */
ngx_int_t ngx_ucan_once_use(ngx_http_request_t *r, ngx_ucan_request_t *ctx,
    ucan_verdict_t *verdict);

/* The same at once, for a token that was opened outside the access phase, in a
   frame: in shared memory only, and the verdict. */
ucan_verdict_t ngx_ucan_once_open(const ngx_ucan_loc_conf_t *lcf,
    const ucan_token_t *top);


#endif /* _NGX_UCAN_ONCE_H_INCLUDED_ */
