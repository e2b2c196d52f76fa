/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * /api/storage/admin/<what>: which of the four, nothing more.  Each asks for
 * the capability that it needs itself.
 */


#include "ngx_mesh_storage_rest.h"


static const struct {
    const char                *name;
    ngx_mesh_storage_step_pt   handler;
} ngx_mesh_storage_admin_parts[] = {
    { "backups", ngx_mesh_storage_backup },
    { "restore", ngx_mesh_storage_restore },
    { "export", ngx_mesh_storage_export },
    { "import", ngx_mesh_storage_import }
};


ngx_int_t
ngx_mesh_storage_admin(ngx_mesh_storage_rest_t *rest)
{
    bytes_t     what;
    ngx_uint_t  i, n;

    n = sizeof(ngx_mesh_storage_admin_parts)
        / sizeof(ngx_mesh_storage_admin_parts[0]);

    /* what stands in the place of a namespace is none */

    what = rest->ns;
    rest->ns = bytes_make(NULL, 0);
    rest->store_ns = bytes_make(NULL, 0);

    for (i = 0; i < n; i++) {
        if (bytes_equal_text(what, ngx_mesh_storage_admin_parts[i].name)) {
            return ngx_mesh_storage_admin_parts[i].handler(rest);
        }
    }

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND,
                                         "there is nothing at this path");
}
