/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * First run: the settings of the mesh, and whether it has an owner.
 *
 * The item "mesh" of the store exists exactly when the mesh has an owner: it
 * is written in the commit that makes the first participant.  What the
 * configuration says of registration and visibility is the operator's word
 * and stands above what was chosen at the first run.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


static ngx_int_t ngx_mesh_identity_setup_status_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_setup_status_reply(
    ngx_mesh_identity_call_t *call);
static void ngx_mesh_identity_setup_word(const json_scan_t *object,
    const char *key, const char *const *words, ngx_uint_t *n);


const char *const  ngx_mesh_identity_registrations[] = {
    "open", "invite", "closed", NULL
};

const char *const  ngx_mesh_identity_visibilities[] = {
    "public", "private", NULL
};


/* GET /api/setup/status */

ngx_int_t
ngx_mesh_identity_setup_status(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_setup_status_read);
}


static ngx_int_t
ngx_mesh_identity_setup_status_read(ngx_mesh_identity_call_t *call)
{
    (void) ngx_mesh_identity_call_get(call, "mesh", bytes_make(NULL, 0));

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_setup_status_reply);
}


static ngx_int_t
ngx_mesh_identity_setup_status_reply(ngx_mesh_identity_call_t *call)
{
    json_write_t                  j;
    bytes_writer_t                w;
    ngx_mesh_identity_settings_t  settings;

    ngx_mesh_identity_setup_read(call, ngx_mesh_identity_call_value(call, 0),
                                 &settings);

    ngx_mesh_identity_call_writer(call, &w,
        512 + json_write_string_max(settings.name.len));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_bool(&j, "initialized", settings.initialized);
    json_write_member_text(&j, "registration",
        ngx_mesh_identity_registrations[settings.registration]);
    json_write_member_text(&j, "visibility",
        ngx_mesh_identity_visibilities[settings.visibility]);
    json_write_member(&j, "mesh", bytes_make(call->mcf->did.data,
                                             call->mcf->did.len));

    if (settings.name.len != 0) {
        json_write_member(&j, "name", settings.name);
    }

    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


void
ngx_mesh_identity_setup_read(ngx_mesh_identity_call_t *call, bytes_t json,
    ngx_mesh_identity_settings_t *settings)
{
    json_scan_t     object, value;
    bytes_writer_t  w;

    ngx_memzero(settings, sizeof(ngx_mesh_identity_settings_t));
    settings->registration = NGX_MESH_IDENTITY_OPEN;
    settings->visibility = NGX_MESH_IDENTITY_PRIVATE;

    if (json.len != 0) {
        settings->initialized = 1;
    }

    if (json_scan_validate(json, NULL) == JSON_SCAN_OK
        && json_scan_open(json, &object) == 0)
    {
        ngx_mesh_identity_setup_word(&object, "registration",
                                     ngx_mesh_identity_registrations,
                                     &settings->registration);
        ngx_mesh_identity_setup_word(&object, "visibility",
                                     ngx_mesh_identity_visibilities,
                                     &settings->visibility);

        if (json_scan_find(&object, "owner", &value) == 0) {
            (void) json_scan_plain(&value, &settings->owner);
        }

        if (json_scan_find(&object, "name", &value) == 0) {

            ngx_mesh_identity_call_writer(call, &w, value.text.len + 1);

            if (json_scan_string(&value, &w) == 0) {
                settings->name = bytes_writer_view(&w);
            }
        }
    }

    if (call->mcf->registration != NGX_CONF_UNSET_UINT) {
        settings->registration = call->mcf->registration;
    }

    if (call->mcf->visibility != NGX_CONF_UNSET_UINT) {
        settings->visibility = call->mcf->visibility;
    }
}


static void
ngx_mesh_identity_setup_word(const json_scan_t *object, const char *key,
    const char *const *words, ngx_uint_t *n)
{
    ngx_uint_t   i;
    json_scan_t  value;

    if (json_scan_find(object, key, &value) != 0) {
        return;
    }

    for (i = 0; words[i]; i++) {

        if (value.type == JSON_SCAN_STRING
            && json_scan_equal(&value, words[i]))
        {
            *n = i;
            return;
        }
    }
}


ngx_int_t
ngx_mesh_identity_setup_input(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_settings_t *settings)
{
    ngx_mesh_identity_setup_read(call, bytes_make(NULL, 0), settings);

    if (ngx_mesh_identity_input_text(call, "meshName",
                                     NGX_MESH_IDENTITY_NAME_MAX,
                                     &settings->name)
        == NGX_ERROR
        || ngx_mesh_identity_input_choice(call, "registration",
                                          ngx_mesh_identity_registrations,
                                          &settings->registration)
           == NGX_ERROR
        || ngx_mesh_identity_input_choice(call, "visibility",
                                          ngx_mesh_identity_visibilities,
                                          &settings->visibility)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (call->mcf->registration != NGX_CONF_UNSET_UINT
        && call->mcf->registration != settings->registration)
    {
        call->detail = "member \"registration\": the configuration of this "
                       "node says otherwise (mesh_identity_registration)";
        return NGX_ERROR;
    }

    if (call->mcf->visibility != NGX_CONF_UNSET_UINT
        && call->mcf->visibility != settings->visibility)
    {
        call->detail = "member \"visibility\": the configuration of this "
                       "node says otherwise (mesh_identity_visibility)";
        return NGX_ERROR;
    }

    return NGX_OK;
}


bytes_t
ngx_mesh_identity_setup_write(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_settings_t *settings)
{
    json_write_t    j;
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w,
        512 + json_write_string_max(settings->name.len));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "registration",
        ngx_mesh_identity_registrations[settings->registration]);
    json_write_member_text(&j, "visibility",
        ngx_mesh_identity_visibilities[settings->visibility]);
    json_write_member(&j, "owner", settings->owner);

    if (settings->name.len != 0) {
        json_write_member(&j, "name", settings->name);
    }

    ngx_mesh_identity_call_time(&j, "createdAt", call->now_ms);
    json_write_object_end(&j);

    if (w.failed) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    return bytes_writer_view(&w);
}
