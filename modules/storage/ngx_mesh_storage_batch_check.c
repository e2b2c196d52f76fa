/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a batch must be as a whole before anything is done, and the answer
 * that says which of its operations is in the way.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_batch.h"


ngx_int_t
ngx_mesh_storage_batch_check_list(ngx_mesh_storage_rest_t *rest,
    json_scan_t *list, size_t *count)
{
    size_t       pos;
    json_scan_t  key, value;

    pos = 0;

    while (json_scan_next(&rest->object, &pos, &key, &value) == 0) {
        if (!json_scan_equal(&key, "operations")) {
            return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                       "a batch has the member \"operations\" and no other");
        }
    }

    if (json_scan_find(&rest->object, "operations", list) != 0
        || list->type != JSON_SCAN_ARRAY)
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "member \"operations\" must be an array");
    }

    pos = 0;
    *count = 0;

    while (*count <= NGX_MESH_STORAGE_BATCH_OPS_MAX
           && json_scan_next(list, &pos, NULL, &value) == 0)
    {
        (*count)++;
    }

    if (*count == 0 || *count > NGX_MESH_STORAGE_BATCH_OPS_MAX) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "a batch has 1 to 256 operations");
    }

    return NGX_OK;
}


/* Operations on one key follow each other in the store.  Those on one
   document would be made from what was there before all of them. */

ngx_int_t
ngx_mesh_storage_batch_check_twice(const ngx_mesh_storage_batch_op_t *ops,
    size_t count, ngx_mesh_storage_batch_fault_t *fault)
{
    size_t  i, n;

    for (i = 1; i < count; i++) {

        for (n = 0; ops[i].docs && n < i; n++) {

            if (bytes_equal(ops[i].key, ops[n].key)) {
                fault->index = i;
                fault->problem = PROBLEM_BAD_REQUEST;
                fault->detail = "a document may be named once in a batch";
                return NGX_DECLINED;
            }
        }
    }

    return NGX_OK;
}


/* As the same operation alone would be permitted. */

ngx_int_t
ngx_mesh_storage_batch_check_permit(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_batch_op_t *ops, size_t count,
    ngx_mesh_storage_batch_fault_t *fault)
{
    size_t                              i;
    const char                         *command;
    ucan_verdict_t                      verdict;
    const ngx_mesh_storage_batch_op_t  *op;

    for (i = 0; i < count; i++) {
        op = &ops[i];
        command = (op->verb == NGX_MESH_STORAGE_BATCH_CHECK)
                  ? "/storage/read" : "/storage/write";

        verdict = ngx_mesh_storage_rest_may(rest, command,
                                            op->docs ? "docs" : "kv",
                                            op->name);
        if (verdict == UCAN_OK) {
            continue;
        }

        fault->problem = ngx_mesh_reply_verdict_problem(verdict, 1);

        if (fault->problem != PROBLEM_FORBIDDEN) {
            return ngx_mesh_reply_verdict(rest->r, verdict,
                                          bytes_of(command));
        }

        rest->mcf->principal->refuse(rest->principal,
                                     rest->r->connection->log, verdict,
                                     bytes_of(command));
        fault->index = i;

        if (op->verb == NGX_MESH_STORAGE_BATCH_CHECK) {
            fault->problem = PROBLEM_NOT_FOUND;

        } else {
            fault->command = bytes_of(command);
            fault->detail = ucan_verdict_text(verdict);
        }

        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* The problem, with the number of the operation. */

ngx_int_t
ngx_mesh_storage_batch_check_refuse(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_batch_fault_t *fault)
{
    u_char             etag[NGX_INT64_LEN + 2];
    problem_facts_t    facts;
    problem_member_t   members[4], *member;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(members, sizeof(members));

    member = members;
    member->name = "index";
    member->number = (int64_t) fault->index;
    member++;

    if (fault->current != 0) {
        member->name = "currentEtag";
        member->text.data = etag;
        member->text.len = ngx_sprintf(etag, "\"%uL\"", fault->current)
                           - etag;
        member++;
    }

    if (fault->limit != 0) {
        member->name = "limit";
        member->number = fault->limit;
        member++;
    }

    if (fault->unique.len != 0) {
        member->name = "uniqueIndex";
        member->text = fault->unique;
        member++;
    }

    if (fault->detail) {
        facts.detail = bytes_of(fault->detail);
    }

    facts.command = fault->command;
    facts.members = members;
    facts.member_count = member - members;

    if (fault->command.len != 0
        && ngx_mesh_reply_scope(rest->r, fault->command) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_problem_facts(rest->r, fault->problem, &facts);
}
