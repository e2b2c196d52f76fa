/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Roles: the built-in ones of shared/grant.c and custom ones, their API, and
 * what changing somebody's role means: the delegations of the old one are
 * revoked and those of the new one issued, in one commit.
 *
 * Nobody makes, changes or gives a role above their own; the built-in ones
 * and the owner's own are immutable.  A custom role is what a spectator may,
 * and what its permissions say; it can be changed while nobody has it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_ROLES_MAX     100    /* custom ones in a list */

/* What may be asked for; what is granted lies below the caller's own. */
#define NGX_MESH_IDENTITY_PRIORITY_MAX  1000000


typedef struct {
    bytes_t                    name;
    bytes_t                    json;          /* to be stored */
    ngx_mesh_identity_role_t   role;
    ngx_int_t                  answer;        /* of a refusal */
} ngx_mesh_identity_role_edit_t;


static void ngx_mesh_identity_role_grant(ngx_mesh_identity_role_t *role,
    bytes_t command);
static ngx_uint_t ngx_mesh_identity_role_covers(
    const ngx_mesh_identity_role_t *role, bytes_t command);
static void ngx_mesh_identity_role_write(json_write_t *j,
    const ngx_mesh_identity_role_t *role);

static ngx_int_t ngx_mesh_identity_role_list_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_role_list_reply(
    ngx_mesh_identity_call_t *call);

static ngx_int_t ngx_mesh_identity_role_create_body(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_role_create_check(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_role_input(ngx_mesh_identity_call_t *call,
    json_scan_t *permissions);
static ngx_int_t ngx_mesh_identity_role_judge(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_role_edit_t *edit);
static bytes_t ngx_mesh_identity_role_json(ngx_mesh_identity_call_t *call,
    bytes_t name, int64_t priority, bytes_t permissions);
static ngx_int_t ngx_mesh_identity_role_create_done(
    ngx_mesh_identity_call_t *call);

static ngx_int_t ngx_mesh_identity_role_edit(ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_role_edit_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_role_edit_write(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_role_edit_input(
    ngx_mesh_identity_call_t *call, ngx_mesh_identity_role_edit_t *edit);
static ngx_int_t ngx_mesh_identity_role_edit_done(
    ngx_mesh_identity_call_t *call);


ngx_int_t
ngx_mesh_identity_role_find(ngx_mesh_identity_role_t *role, bytes_t name,
    bytes_t json)
{
    size_t               i, pos;
    int64_t              priority;
    bytes_t              plain;
    const char          *permission;
    json_scan_t          object, value, permissions;
    const grant_t       *grants;
    const grant_role_t  *builtin;

    ngx_memzero(role, sizeof(ngx_mesh_identity_role_t));
    role->name = name;

    builtin = grant_role_find(name);

    if (builtin) {
        grants = grant_role_list(builtin, &role->grant_count);
        ngx_memcpy(role->grants, grants, role->grant_count * sizeof(grant_t));
        role->priority = builtin->priority;
        role->builtin = 1;

        return NGX_OK;
    }

    if (json_scan_validate(json, NULL) != JSON_SCAN_OK
        || json_scan_open(json, &object) != 0
        || json_scan_find(&object, "priority", &value) != 0
        || json_scan_integer(&value, &priority) != 0
        || json_scan_find(&object, "permissions", &permissions) != 0)
    {
        return NGX_DECLINED;
    }

    role->priority = (unsigned) priority;
    role->json = json;

    /* what everybody has, where it is not taken away by name */

    grants = grant_role_list(grant_role_find(bytes_of("spectator")), &pos);

    for (i = 0; i < pos; i++) {
        role->grants[role->grant_count++] = grants[i];
    }

    for (i = 0; (permission = grant_permission_name(i)) != NULL; i++) {

        plain = grant_permission(bytes_of(permission));

        if (json_scan_find(&permissions, permission, &value) != 0) {
            continue;
        }

        if (value.truth) {
            ngx_mesh_identity_role_grant(role, plain);
            continue;
        }

        for (pos = 0; pos < role->grant_count; pos++) {

            if (bytes_equal(role->grants[pos].command, plain)) {
                role->grants[pos] = role->grants[--role->grant_count];
                break;
            }
        }
    }

    return NGX_OK;
}


/* Adds a command as the lowest built-in role that has it would: with its
   policies. */

static void
ngx_mesh_identity_role_grant(ngx_mesh_identity_role_t *role, bytes_t command)
{
    size_t          i, n, count;
    const grant_t  *grants;
    grant_t        *grant;

    if (ngx_mesh_identity_role_covers(role, command)
        || role->grant_count == GRANT_COMMANDS_MAX)
    {
        return;
    }

    grant = &role->grants[role->grant_count++];
    ngx_memzero(grant, sizeof(grant_t));
    grant->command = command;

    for (i = grant_role_count; i != 0; i--) {

        grants = grant_role_list(&grant_roles[i - 1], &count);

        for (n = 0; n < count; n++) {

            if (ucan_chain_covers(grants[n].command, command)) {
                grant->own_namespace = grants[n].own_namespace;
                grant->local_only = grants[n].local_only;
                return;
            }
        }
    }
}


static ngx_uint_t
ngx_mesh_identity_role_covers(const ngx_mesh_identity_role_t *role,
    bytes_t command)
{
    size_t  i;

    for (i = 0; i < role->grant_count; i++) {
        if (ucan_chain_covers(role->grants[i].command, command)) {
            return 1;
        }
    }

    return 0;
}


bytes_t
ngx_mesh_identity_role_holder(ngx_mesh_identity_call_t *call, bytes_t name,
    bytes_t id)
{
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w, name.len + 1 + id.len);

    bytes_writer_bytes(&w, name);
    bytes_writer_byte(&w, '/');
    bytes_writer_bytes(&w, id);

    if (w.failed) {
        call->broken = 1;
    }

    return bytes_writer_view(&w);
}


void
ngx_mesh_identity_role_touch(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_role_t *role)
{
    store_op_t  *op;

    if (role->builtin) {
        return;
    }

    /* written anew, so that a deletion meanwhile finds another seq */

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "role", role->name);
    op->value = role->json;
    op->condition = STORE_IF_SEQ;
    op->if_seq = role->seq;
}


static void
ngx_mesh_identity_role_write(json_write_t *j,
    const ngx_mesh_identity_role_t *role)
{
    size_t       i;
    const char  *permission;

    json_write_object(j);
    json_write_member(j, "name", role->name);
    json_write_member_integer(j, "priority", role->priority);
    json_write_member_bool(j, "builtin", role->builtin);

    json_write_key(j, "permissions");
    json_write_object(j);

    for (i = 0; (permission = grant_permission_name(i)) != NULL; i++) {
        json_write_member_bool(j, permission,
            ngx_mesh_identity_role_covers(role,
                grant_permission(bytes_of(permission))));
    }

    json_write_object_end(j);

    json_write_key(j, "commands");
    json_write_array(j);

    for (i = 0; i < role->grant_count; i++) {
        json_write_string(j, role->grants[i].command);
    }

    json_write_array_end(j);
    json_write_object_end(j);
}


/* GET /api/roles */

ngx_int_t
ngx_mesh_identity_role_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_role_list_read);
}


static ngx_int_t
ngx_mesh_identity_role_list_read(ngx_mesh_identity_call_t *call)
{
    if (call->then == NULL) {
        return ngx_mesh_identity_call_caller(call,
                                             ngx_mesh_identity_role_list_read);
    }

    (void) ngx_mesh_identity_call_range(call, "role", bytes_of(""),
                                        NGX_MESH_IDENTITY_ROLES_MAX);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_role_list_reply);
}


static ngx_int_t
ngx_mesh_identity_role_list_reply(ngx_mesh_identity_call_t *call)
{
    size_t                     i;
    bytes_t                    name;
    store_rows_t              *rows;
    json_write_t               j;
    bytes_writer_t             w;
    ngx_mesh_identity_role_t   role;

    rows = &call->rows[0];

    ngx_mesh_identity_call_writer(call, &w,
                                  (grant_role_count + rows->count) * 2048);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "roles");
    json_write_array(&j);

    for (i = 0; i < grant_role_count; i++) {

        (void) ngx_mesh_identity_role_find(&role,
                   bytes_of(grant_roles[i].name), bytes_make(NULL, 0));

        ngx_mesh_identity_role_write(&j, &role);
    }

    for (i = 0; i < rows->count; i++) {

        name = bytes_make(rows->rows[i].key.data + sizeof("role/") - 1,
                          rows->rows[i].key.len - (sizeof("role/") - 1));

        if (ngx_mesh_identity_role_find(&role, name, rows->rows[i].value)
            == NGX_OK)
        {
            ngx_mesh_identity_role_write(&j, &role);
        }
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


/* POST /api/roles {name, priority, permissions} */

ngx_int_t
ngx_mesh_identity_role_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_role_create_body);
}


static ngx_int_t
ngx_mesh_identity_role_create_body(ngx_mesh_identity_call_t *call)
{
    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_role_create_check);
}


static ngx_int_t
ngx_mesh_identity_role_create_check(ngx_mesh_identity_call_t *call)
{
    size_t                          i;
    int64_t                         priority;
    store_op_t                     *op;
    json_scan_t                     permissions;
    ngx_mesh_identity_role_edit_t  *edit;

    edit = ngx_pcalloc(call->request->pool,
                       sizeof(ngx_mesh_identity_role_edit_t));
    if (edit == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->context = edit;

    if (ngx_mesh_identity_input_text(call, "name", NGX_MESH_IDENTITY_ROLE_MAX,
                                     &edit->name)
        != NGX_OK
        || ngx_mesh_identity_input_integer(call, "priority", 1,
                                           NGX_MESH_IDENTITY_PRIORITY_MAX,
                                           &priority)
           != NGX_OK)
    {
        return ngx_mesh_identity_call_bad(call);
    }

    /* the name is part of a key, and of a path */

    for (i = 0; i < edit->name.len; i++) {

        if (!((edit->name.data[i] >= 'a' && edit->name.data[i] <= 'z')
              || (edit->name.data[i] >= '0' && edit->name.data[i] <= '9')
              || edit->name.data[i] == '_' || edit->name.data[i] == '-'))
        {
            call->detail = "member \"name\" of a role may have a-z, 0-9, "
                           "\"_\" and \"-\"";
            return ngx_mesh_identity_call_bad(call);
        }
    }

    if (grant_role_find(edit->name)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_IMMUTABLE,
                                             "this role is built in");
    }

    if (ngx_mesh_identity_role_input(call, &permissions) != NGX_OK) {
        return ngx_mesh_identity_call_bad(call);
    }

    edit->json = ngx_mesh_identity_role_json(call, edit->name, priority,
                                             permissions.raw);

    if (ngx_mesh_identity_role_find(&edit->role, edit->name, edit->json)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_identity_role_judge(call, edit) != NGX_OK) {
        return edit->answer;
    }

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "role", edit->name);
    op->value = edit->json;
    op->condition = STORE_IF_ABSENT;

    return ngx_mesh_identity_call_write(call,
                                        ngx_mesh_identity_role_create_done);
}


/* "permissions": an object of known names and booleans. */

static ngx_int_t
ngx_mesh_identity_role_input(ngx_mesh_identity_call_t *call,
    json_scan_t *permissions)
{
    size_t       pos, i;
    json_scan_t  key, value;
    const char  *name;

    pos = 0;

    if (json_scan_find(&call->body, "permissions", permissions) != 0
        || permissions->type != JSON_SCAN_OBJECT)
    {
        call->detail = "member \"permissions\" must be an object such as "
                       "{\"send_message\": true}";
        return NGX_ERROR;
    }

    while (json_scan_next(permissions, &pos, &key, &value) == 0) {

        for (i = 0; (name = grant_permission_name(i)) != NULL; i++) {
            if (json_scan_equal(&key, name)) {
                break;
            }
        }

        if (name == NULL || value.type != JSON_SCAN_BOOL) {
            call->detail = "a permission is not known or not true or false; "
                           "GET /api/roles shows all names";
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* May the caller make or change this role?  NGX_OK; or NGX_DECLINED, and
   edit->answer is what the refusal was finalized with. */

static ngx_int_t
ngx_mesh_identity_role_judge(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_role_edit_t *edit)
{
    size_t          i;
    u_char          command[128];
    const grant_t  *grant;

    if (ngx_mesh_identity_call_allow(call, "/role/manage", "role",
                                     edit->name, NULL)
        != NGX_OK)
    {
        edit->answer = ngx_mesh_identity_call_forbid(call,
                                                  bytes_of("/role/manage"));
        return NGX_DECLINED;
    }

    if (edit->role.priority >= call->caller_role.priority) {
        edit->answer = ngx_mesh_identity_call_refuse(call,
                           PROBLEM_ROLE_TOO_HIGH,
                           "the priority of a role must be below that of "
                           "your own");
        return NGX_DECLINED;
    }

    /* and nobody gives what they do not have */

    for (i = 0; i < edit->role.grant_count; i++) {

        grant = &edit->role.grants[i];

        if (grant->command.len >= sizeof(command)) {
            edit->answer = NGX_HTTP_INTERNAL_SERVER_ERROR;
            return NGX_DECLINED;
        }

        ngx_memcpy(command, grant->command.data, grant->command.len);
        command[grant->command.len] = '\0';

        if (ngx_mesh_identity_call_allow(call, (char *) command,
                grant->local_only ? "provider_class" : NULL,
                bytes_of("local"), NULL)
            != NGX_OK)
        {
            edit->answer = ngx_mesh_identity_call_forbid(call,
                                                         grant->command);
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static bytes_t
ngx_mesh_identity_role_json(ngx_mesh_identity_call_t *call, bytes_t name,
    int64_t priority, bytes_t permissions)
{
    json_write_t    j;
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w, 512 + name.len + permissions.len);

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "name", name);
    json_write_member_integer(&j, "priority", priority);
    json_write_member_raw(&j, "permissions", permissions);
    json_write_member(&j, "changedBy", call->caller.id);
    ngx_mesh_identity_call_time(&j, "changedAt", call->now_ms);
    json_write_object_end(&j);

    if (w.failed) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    return bytes_writer_view(&w);
}


static ngx_int_t
ngx_mesh_identity_role_create_done(ngx_mesh_identity_call_t *call)
{
    json_write_t                    j;
    bytes_writer_t                  w;
    ngx_mesh_identity_role_edit_t  *edit;

    edit = call->context;

    if (call->rc == STORE_CONDITION) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                                             "there is a role of that name");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: role \"%*s\" was made by \"%*s\"",
                  edit->name.len, edit->name.data, call->caller.id.len,
                  call->caller.id.data);

    ngx_mesh_identity_call_writer(call, &w, 2048);
    json_write_open(&j, &w);
    ngx_mesh_identity_role_write(&j, &edit->role);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_CREATED, &w);
}


/* PATCH /api/roles/:name {priority?, permissions?}; DELETE */

ngx_int_t
ngx_mesh_identity_role_update(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_role_edit);
}


ngx_int_t
ngx_mesh_identity_role_delete(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_role_edit);
}


static ngx_int_t
ngx_mesh_identity_role_edit(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_role_edit_t  *edit;

    edit = ngx_pcalloc(call->request->pool,
                       sizeof(ngx_mesh_identity_role_edit_t));
    if (edit == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    edit->name = bytes_make(call->args.value[0].data,
                            call->args.value[0].len);
    call->context = edit;

    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_role_edit_read);
}


static ngx_int_t
ngx_mesh_identity_role_edit_read(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_role_edit_t  *edit;

    edit = call->context;

    if (grant_role_find(edit->name)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_IMMUTABLE,
                   "built-in roles can be neither changed nor deleted");
    }

    if (edit->name.len > NGX_MESH_IDENTITY_ROLE_MAX) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such role");
    }

    (void) ngx_mesh_identity_call_get(call, "role", edit->name);
    (void) ngx_mesh_identity_call_range(call, "holder",
               ngx_mesh_identity_role_holder(call, edit->name,
                                             bytes_make(NULL, 0)), 1);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_role_edit_write);
}


static ngx_int_t
ngx_mesh_identity_role_edit_write(ngx_mesh_identity_call_t *call)
{
    ngx_uint_t                      remove;
    store_op_t                     *op;
    ngx_mesh_identity_role_edit_t  *edit;

    edit = call->context;
    remove = call->request->method == NGX_HTTP_DELETE;

    if (ngx_mesh_identity_role_find(&edit->role, edit->name,
            ngx_mesh_identity_call_value(call, 0))
        != NGX_OK)
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such role");
    }

    /* as it is, and as it is to be */

    if (ngx_mesh_identity_role_judge(call, edit) != NGX_OK
        || (!remove
            && ngx_mesh_identity_role_edit_input(call, edit) != NGX_OK))
    {
        return edit->answer;
    }

    if (call->rows[1].count != 0) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "somebody has this role; give them another one first");
    }

    op = ngx_mesh_identity_call_op(call, remove ? STORE_DELETE : STORE_PUT,
                                   "role", edit->name);
    op->condition = STORE_IF_SEQ;
    op->if_seq = ngx_mesh_identity_call_seq(call, 0);

    if (!remove) {
        op->value = edit->json;
    }

    return ngx_mesh_identity_call_write(call,
                                        ngx_mesh_identity_role_edit_done);
}


/* NGX_OK: edit->role is the changed one; NGX_DECLINED: see edit->answer. */

static ngx_int_t
ngx_mesh_identity_role_edit_input(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_role_edit_t *edit)
{
    int64_t      priority;
    json_scan_t  object, permissions;

    priority = edit->role.priority;

    if (ngx_mesh_identity_input_integer(call, "priority", 1,
                                        NGX_MESH_IDENTITY_PRIORITY_MAX,
                                        &priority)
        == NGX_ERROR)
    {
        edit->answer = ngx_mesh_identity_call_bad(call);
        return NGX_DECLINED;
    }

    if (json_scan_find(&call->body, "permissions", &permissions) == 0) {

        if (ngx_mesh_identity_role_input(call, &permissions) != NGX_OK) {
            edit->answer = ngx_mesh_identity_call_bad(call);
            return NGX_DECLINED;
        }

    } else if (json_scan_open(edit->role.json, &object) != 0
               || json_scan_find(&object, "permissions", &permissions) != 0)
    {
        edit->answer = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_DECLINED;
    }

    edit->json = ngx_mesh_identity_role_json(call, edit->name, priority,
                                             permissions.raw);

    if (ngx_mesh_identity_role_find(&edit->role, edit->name, edit->json)
        != NGX_OK)
    {
        edit->answer = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_DECLINED;
    }

    return ngx_mesh_identity_role_judge(call, edit);
}


static ngx_int_t
ngx_mesh_identity_role_edit_done(ngx_mesh_identity_call_t *call)
{
    ngx_uint_t                      remove;
    json_write_t                    j;
    bytes_writer_t                  w;
    ngx_mesh_identity_role_edit_t  *edit;

    edit = call->context;
    remove = call->request->method == NGX_HTTP_DELETE;

    if (call->rc == STORE_CONDITION) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "somebody got or changed this role meanwhile, try again");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: role \"%*s\" was %s by \"%*s\"",
                  edit->name.len, edit->name.data,
                  remove ? "deleted" : "changed", call->caller.id.len,
                  call->caller.id.data);

    if (remove) {
        return ngx_mesh_reply_empty(call->request, NGX_HTTP_NO_CONTENT);
    }

    ngx_mesh_identity_call_writer(call, &w, 2048);
    json_write_open(&j, &w);
    ngx_mesh_identity_role_write(&j, &edit->role);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}
