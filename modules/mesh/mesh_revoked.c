/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revocations from files.  A bare CID is the operator's word and holds
 * whoever issued the token; a signed one holds when its signer issued the
 * token or one above it, which the walk finds out.
 */


#include "mesh_file.h"
#include "mesh_revoked.h"
#include "mesh_source.h"
#include "ucan_revocation.h"


static int read_file(mesh_revoked_set_t *set, const char *path);
static int read_line(mesh_revoked_set_t *set, const char *path, size_t n,
    bytes_t line);
static int add_revocation(mesh_revoked_set_t *set, const cid_t *cid,
    bytes_t by);
static ucan_revoked_t find_revoked(void *data, const cid_t *cid);
static int match_revoked(void *data, const cid_t *cid, bytes_t did);


int
mesh_revoked_read(mesh_revoked_set_t *set, const mesh_line_t *line,
    ucan_trust_t *trust)
{
    int          rc;
    size_t       i;
    const char  *value;

    set->first = NULL;
    set->count = 0;
    i = 0;

    while ((value = mesh_option_next(line, "revocations", &i)) != NULL) {
        rc = read_file(set, value);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    trust->revoked = find_revoked;
    trust->revoked_by = match_revoked;
    trust->data = set;

    return MESH_OK;
}


static int
read_file(mesh_revoked_set_t *set, const char *path)
{
    int             rc;
    size_t          n;
    bytes_t         content, line;
    bytes_reader_t  r;

    rc = mesh_file_input(path, &content);
    if (rc != MESH_OK) {
        return rc;
    }

    bytes_reader_open(&r, content);

    for (n = 1; bytes_reader_left(&r) != 0; n++) {

        line = mesh_source_line(&r);

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        rc = read_line(set, path, n, line);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    return MESH_OK;
}


static int
read_line(mesh_revoked_set_t *set, const char *path, size_t n, bytes_t line)
{
    cid_t               cid;
    ucan_bundle_t       witness;
    ucan_verdict_t      rc;
    ucan_revocation_t   revocation;

    if (cid_parse(&cid, line) == 0) {
        return add_revocation(set, &cid, bytes_make(NULL, 0));
    }

    rc = ucan_revocation_parse(&revocation, line, &witness, &mesh_memory);

    if (rc != UCAN_OK) {
        return mesh_fail("\"%.60s\", line %zu, is no revocation (%s): a CID, "
                         "a record or a container was expected, as \"mesh "
                         "revoke\" makes them", path, n,
                         ucan_verdict_slug(rc));
    }

    return add_revocation(set, &revocation.cid, revocation.by);
}


static int
add_revocation(mesh_revoked_set_t *set, const cid_t *cid, bytes_t by)
{
    mesh_revoked_t  *revoked;

    if (set->count == MESH_REVOKED_MAX) {
        return mesh_fail("more than %d revocations", MESH_REVOKED_MAX);
    }

    revoked = mesh_alloc(sizeof(mesh_revoked_t));

    revoked->cid = *cid;
    revoked->by = by;
    revoked->next = set->first;

    set->first = revoked;
    set->count++;

    return MESH_OK;
}


static ucan_revoked_t
find_revoked(void *data, const cid_t *cid)
{
    ucan_revoked_t             found;
    const mesh_revoked_t      *revoked;
    const mesh_revoked_set_t  *set;

    set = data;
    found = UCAN_REVOKED_NOT;

    for (revoked = set->first; revoked != NULL; revoked = revoked->next) {

        if (!cid_equal(&revoked->cid, cid)) {
            continue;
        }

        if (revoked->by.len == 0) {
            return UCAN_REVOKED_ALL;
        }

        found = UCAN_REVOKED_BY;
    }

    return found;
}


static int
match_revoked(void *data, const cid_t *cid, bytes_t did)
{
    const mesh_revoked_t      *revoked;
    const mesh_revoked_set_t  *set;

    set = data;

    for (revoked = set->first; revoked != NULL; revoked = revoked->next) {
        if (cid_equal(&revoked->cid, cid) && bytes_equal(revoked->by, did)) {
            return 1;
        }
    }

    return 0;
}
