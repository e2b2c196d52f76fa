/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Refusals of the access phase: one log line and one answer each.
 */


#ifndef _NGX_UCAN_ANSWER_H_INCLUDED_
#define _NGX_UCAN_ANSWER_H_INCLUDED_


#include "ngx_ucan_request.h"


/* Both return what an access handler returns: a status that is left to
   nginx, or NGX_DONE when the problem was sent; r may be gone then. */

/* Nobody presented a token. */
ngx_int_t ngx_ucan_answer_challenge(ngx_http_request_t *r,
    ngx_ucan_request_t *ctx);

/* The token is not accepted; with a command, it does not allow this. */
ngx_int_t ngx_ucan_answer_refusal(ngx_http_request_t *r,
    ngx_ucan_request_t *ctx, ucan_verdict_t verdict, bytes_t command);


#endif /* _NGX_UCAN_ANSWER_H_INCLUDED_ */
