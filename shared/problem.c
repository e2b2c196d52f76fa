/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RFC 9457 problems: the one table of slugs, each with its status and title,
 * and the body made from it.  Any thread.  Does not choose a problem and does
 * not send it.
 */


#include "json_write.h"
#include "problem.h"


#define PROBLEM_TYPE_MAX  64      /* bytes of "/problems/<slug>" */


typedef struct {
    unsigned     status;          /* HTTP */
    const char  *slug;
    const char  *title;
} problem_row_t;


static const problem_row_t *get_row(problem_t problem);


static const problem_row_t  problem_rows[PROBLEM_COUNT] = {
    [PROBLEM_BAD_REQUEST] =
        { 400, "bad-request", "The request is not valid" },
    [PROBLEM_INVALID_JSON] =
        { 400, "invalid-json", "The body is not valid JSON" },
    [PROBLEM_INVALID_CURSOR] =
        { 400, "invalid-cursor", "The cursor is not one of ours" },
    [PROBLEM_INVALID_TOKEN] =
        { 400, "invalid-token", "The token is malformed" },
    [PROBLEM_INVALID_FILTER] =
        { 400, "invalid-filter", "The filter is not valid" },
    [PROBLEM_DIGEST_MISMATCH] =
        { 400, "digest-mismatch", "The bytes are not those of the digest" },
    [PROBLEM_UNAUTHENTICATED] =
        { 401, "unauthenticated", "A valid token is needed" },
    [PROBLEM_WRONG_PASSWORD] =
        { 401, "wrong-password", "The name or the password is wrong" },
    [PROBLEM_FORBIDDEN] =
        { 403, "forbidden", "The token does not allow this" },
    [PROBLEM_NOT_A_PARTICIPANT] =
        { 403, "not-a-participant", "The DID is not registered here" },
    [PROBLEM_NOT_A_MEMBER] =
        { 403, "not-a-member", "Only members of the room may do this" },
    [PROBLEM_REGISTRATION_CLOSED] =
        { 403, "registration-closed", "Registration is closed" },
    [PROBLEM_INVITE_REQUIRED] =
        { 403, "invite-required", "Registration needs an invite" },
    [PROBLEM_INVITE_INVALID] =
        { 403, "invite-invalid", "The invite is unknown, used or expired" },
    [PROBLEM_ROLE_TOO_HIGH] =
        { 403, "role-too-high", "The role is above your own" },
    [PROBLEM_ROLE_IMMUTABLE] =
        { 403, "role-immutable", "Built-in roles cannot be changed" },
    [PROBLEM_WRONG_ORIGIN] =
        { 403, "wrong-origin", "The origin is not allowed" },
    [PROBLEM_WRONG_HOST] =
        { 421, "wrong-host", "This node does not serve that host" },
    [PROBLEM_NOT_FOUND] =
        { 404, "not-found", "There is nothing here" },
    [PROBLEM_METHOD_NOT_ALLOWED] =
        { 405, "method-not-allowed", "The method is not allowed here" },
    [PROBLEM_CONFLICT] =
        { 409, "conflict", "The state has changed meanwhile" },
    [PROBLEM_NAME_TAKEN] =
        { 409, "name-taken", "The name is taken" },
    [PROBLEM_ALREADY_INITIALIZED] =
        { 409, "already-initialized", "The mesh already has an owner" },
    [PROBLEM_FEED_GAP] =
        { 410, "feed-gap", "What was missed is no longer stored" },
    [PROBLEM_PRECONDITION_FAILED] =
        { 412, "precondition-failed", "The condition does not hold" },
    [PROBLEM_TOO_LARGE] =
        { 413, "too-large", "The request is too large" },
    [PROBLEM_UNSUPPORTED_MEDIA] =
        { 415, "unsupported-media-type", "The content type is not supported" },
    [PROBLEM_RANGE] =
        { 416, "range", "The range cannot be satisfied" },
    [PROBLEM_UNINDEXED_FILTER] =
        { 422, "unindexed-filter", "The query needs an index" },
    [PROBLEM_KEY_REUSED] =
        { 422, "key-reused", "The key was used for another request" },
    [PROBLEM_UPGRADE_REQUIRED] =
        { 426, "upgrade-required", "This address speaks WebSocket only" },
    [PROBLEM_PRECONDITION_REQUIRED] =
        { 428, "precondition-required", "A condition is needed here" },
    [PROBLEM_RATE_LIMITED] =
        { 429, "rate-limited", "Too many requests" },
    [PROBLEM_INTERNAL] =
        { 500, "internal", "Something went wrong on our side" },
    [PROBLEM_UNSUPPORTED] =
        { 501, "unsupported", "This node cannot do that" },
    [PROBLEM_BUSY] =
        { 503, "busy", "The node is busy, try again" },
    [PROBLEM_STORE_DOWN] =
        { 503, "store-down", "The store cannot be reached" },
    [PROBLEM_UNKNOWN_OUTCOME] =
        { 504, "unknown-outcome", "It is not known whether it was done" },
    [PROBLEM_STORAGE_FULL] =
        { 507, "storage-full", "The store is full" },
    [PROBLEM_QUOTA_EXCEEDED] =
        { 507, "quota-exceeded", "The quota is used up" },
    [PROBLEM_PROOF_MISSING] =
        { 510, "proof-missing", "A proof that the token names is missing" }
};


unsigned
problem_status(problem_t problem)
{
    return get_row(problem)->status;
}


const char *
problem_slug(problem_t problem)
{
    return get_row(problem)->slug;
}


const char *
problem_title(problem_t problem)
{
    return get_row(problem)->title;
}


void
problem_write(bytes_writer_t *w, problem_t problem, bytes_t detail,
    bytes_t command)
{
    problem_facts_t  facts;

    memset(&facts, 0, sizeof(problem_facts_t));

    facts.detail = detail;
    facts.command = command;

    problem_write_facts(w, problem, &facts);
}


void
problem_write_facts(bytes_writer_t *w, problem_t problem,
    const problem_facts_t *facts)
{
    size_t                i;
    uint8_t               buf[PROBLEM_TYPE_MAX];
    json_write_t          j;
    bytes_writer_t        type;
    const problem_row_t  *row;

    row = get_row(problem);

    bytes_writer_open(&type, buf, sizeof(buf));
    bytes_writer_text(&type, "/problems/");
    bytes_writer_text(&type, row->slug);

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member(&j, "type", bytes_writer_view(&type));
    json_write_member_text(&j, "title", row->title);
    json_write_member_integer(&j, "status", row->status);
    json_write_member(&j, "detail",
                      (facts->detail.len != 0) ? facts->detail
                                               : bytes_of(row->title));
    json_write_member_text(&j, "error", row->slug);

    if (facts->command.len != 0) {
        json_write_member(&j, "command", facts->command);
    }

    if (facts->proof_count != 0) {
        json_write_key(&j, "prf");
        json_write_array(&j);

        for (i = 0; i < facts->proof_count; i++) {
            json_write_string(&j, facts->proofs[i]);
        }

        json_write_array_end(&j);
    }

    for (i = 0; i < facts->member_count; i++) {
        if (facts->members[i].text.data != NULL) {
            json_write_member(&j, facts->members[i].name,
                              facts->members[i].text);

        } else {
            json_write_member_integer(&j, facts->members[i].name,
                                      facts->members[i].number);
        }
    }

    json_write_object_end(&j);
}


static const problem_row_t *
get_row(problem_t problem)
{
    if ((unsigned) problem >= PROBLEM_COUNT) {
        problem = PROBLEM_INTERNAL;
    }

    return &problem_rows[problem];
}
