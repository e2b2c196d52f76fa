/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Who may: the capability for exactly this room or participant, asked each
 * time, and the rules of membership on top of it.
 *
 * Decides only; reads and writes nothing.  What may not be seen looks as if
 * it were not there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room.h"


static ngx_int_t ngx_mesh_room_access_refuse(
    ngx_mesh_room_refusal_t *refusal, problem_t problem);


ngx_int_t
ngx_mesh_room_access_allow(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_principal_t *principal, const char *command, bytes_t id,
    ngx_mesh_room_refusal_t *refusal)
{
    ucan_verdict_t  verdict;
    ucan_request_t  request;

    ngx_memzero(&request, sizeof(ucan_request_t));

    request.command = bytes_of(command);

    if (id.len != 0) {
        request.args[0].name = bytes_of(ngx_strcmp(command, "/dm/send") == 0
                                        ? "to" : "room");
        request.args[0].value = id;
        request.arg_count = 1;
    }

    verdict = mcf->principal->allow(principal, &request);

    if (verdict == UCAN_OK) {
        return NGX_OK;
    }

    refusal->verdict = verdict;
    refusal->command = command;

    /* a chain that has ended is no question of this one command */

    refusal->problem = (mcf->principal->alive(principal) != UCAN_OK)
                       ? PROBLEM_UNAUTHENTICATED : PROBLEM_FORBIDDEN;

    return NGX_DECLINED;
}


ngx_int_t
ngx_mesh_room_access_read(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_principal_t *principal, const ngx_mesh_room_sight_t *sight,
    ngx_mesh_room_refusal_t *refusal)
{
    const ngx_mesh_room_record_t  *room;

    room = sight->room;

    if (room->direct) {

        if (sight->member == NULL || sight->other.len == 0) {
            return ngx_mesh_room_access_refuse(refusal, PROBLEM_NOT_FOUND);
        }

        return ngx_mesh_room_access_allow(mcf, principal, "/dm/send",
                                          sight->other, refusal);
    }

    if (room->visibility == NGX_MESH_ROOM_PRIVATE && sight->member == NULL) {
        return ngx_mesh_room_access_refuse(refusal, PROBLEM_NOT_FOUND);
    }

    return ngx_mesh_room_access_allow(mcf, principal, "/room/read", room->id,
                                      refusal);
}


static ngx_int_t
ngx_mesh_room_access_refuse(ngx_mesh_room_refusal_t *refusal,
    problem_t problem)
{
    refusal->problem = problem;
    refusal->verdict = UCAN_OK;
    refusal->command = NULL;

    return NGX_DECLINED;
}
