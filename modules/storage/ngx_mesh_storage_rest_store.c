/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the store refused, as an answer.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_rest.h"


static ngx_int_t ngx_mesh_storage_rest_store_quota(
    ngx_mesh_storage_rest_t *rest, const store_request_t *write);


ngx_int_t
ngx_mesh_storage_rest_store_problem(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_store_job_t *job)
{
    const store_request_t  *write;

    if (job->write.results == NULL) {
        return ngx_mesh_storage_rest_store_rc(rest, job->rc);
    }

    write = &job->write;

    switch (write->rc) {

    case STORE_CONDITION:
        return ngx_mesh_storage_rest_store_condition(rest,
                                          write->results[write->failed].seq);

    case STORE_QUOTA:
        return ngx_mesh_storage_rest_store_quota(rest, write);

    default:
        return ngx_mesh_storage_rest_store_rc(rest, write->rc);
    }
}


ngx_int_t
ngx_mesh_storage_rest_store_rc(ngx_mesh_storage_rest_t *rest,
    store_rc_t rc)
{
    switch (rc) {

    case STORE_BUSY:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);

    case STORE_FULL:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_STORAGE_FULL,
                                             NULL);

    case STORE_TYPE:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "the value is not an integer of 64 bits, or would become "
                   "none");

    case STORE_INVALID:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             "beyond a limit of the store");

    case STORE_UNKNOWN:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_UNKNOWN_OUTCOME,
                   "the store went away while it wrote: ask again, with the "
                   "same Idempotency-Key if there was one");

    case STORE_ABSENT:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);

    default:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_STORE_DOWN, NULL);
    }
}


ngx_int_t
ngx_mesh_storage_rest_store_condition(ngx_mesh_storage_rest_t *rest,
    uint64_t seq)
{
    u_char            text[NGX_INT64_LEN + 2];
    problem_facts_t   facts;
    problem_member_t  etag;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&etag, sizeof(problem_member_t));

    if (seq != 0) {
        etag.name = "currentEtag";
        etag.text.data = text;
        etag.text.len = ngx_sprintf(text, "\"%uL\"", seq) - text;

        facts.members = &etag;
        facts.member_count = 1;
    }

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_PRECONDITION_FAILED,
                                        &facts);
}


static ngx_int_t
ngx_mesh_storage_rest_store_quota(ngx_mesh_storage_rest_t *rest,
    const store_request_t *write)
{
    ngx_uint_t            items;
    problem_facts_t       facts;
    problem_member_t      members[3];
    const store_usage_t  *usage;

    usage = &write->usage;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(members, sizeof(members));

    /* the store tells what is used, not by which of both it refused */

    items = usage->limits.items != 0
            && usage->items + write->count > usage->limits.items;

    members[0].name = "used";
    members[0].number = (int64_t) (items ? usage->items : usage->bytes);
    members[1].name = "limit";
    members[1].number = (int64_t) (items ? usage->limits.items
                                         : usage->limits.bytes);
    members[2].name = "of";
    members[2].text = bytes_of(items ? "items" : "bytes");

    facts.members = members;
    facts.member_count = 3;

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_QUOTA_EXCEEDED,
                                        &facts);
}
