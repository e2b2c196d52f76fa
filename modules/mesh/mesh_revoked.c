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
static int parse_plain(cid_t *cid, bytes_t line);
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

    if (parse_plain(&cid, line) == 0) {
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


/* "CID [TIME] [# ...]": the time is when its token ends, after which nginx
   may forget the line; here such a token is expired anyway. */
static int
parse_plain(cid_t *cid, bytes_t line)
{
    char     *time;
    size_t    len;
    bytes_t   rest;
    int64_t   seconds;

    for (len = 0; len < line.len; len++) {
        if (line.data[len] <= ' ' || line.data[len] == '#') {
            break;
        }
    }

    if (cid_parse(cid, bytes_make(line.data, len)) != 0) {
        return -1;
    }

    rest = bytes_make(line.data + len, line.len - len);
    len = strcspn(mesh_text(rest), "#");

    while (len != 0 && rest.data[0] <= ' ') {
        rest.data++;
        len--;
    }

    while (len != 0 && rest.data[len - 1] <= ' ') {
        len--;
    }

    time = mesh_text(bytes_make(rest.data, len));

    return (len == 0 || mesh_option_time(time, 0, &seconds) == 0) ? 0 : -1;
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
