/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Members that many answers have.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_rest.h"
#include "timestamp.h"


void
ngx_mesh_storage_rest_json_etag(json_write_t *j, uint64_t seq)
{
    u_char  text[NGX_INT64_LEN + 2], *end;

    end = ngx_sprintf(text, "\"%uL\"", seq);

    json_write_member(j, "etag", bytes_make(text, end - text));
    json_write_member_integer(j, "seq", (int64_t) seq);
}


void
ngx_mesh_storage_rest_json_time(json_write_t *j, const char *name,
    int64_t ms)
{
    u_char          text[TIMESTAMP_LEN];
    bytes_writer_t  w;

    if (ms == 0) {
        return;
    }

    bytes_writer_open(&w, text, sizeof(text));
    timestamp_write(&w, ms);

    json_write_member(j, name, bytes_writer_view(&w));
}
