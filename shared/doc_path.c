/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Paths into JSON documents: read once, then walked for together, in place.
 *
 * Pure: any thread, no heap; recursion is bounded by DOC_PATH_NAMES_MAX.
 */


#include "doc_path.h"
#include "json_letters.h"


_Static_assert(DOC_PATH_SET_MAX <= 32, "a bit for each path");


typedef struct {
    const doc_path_set_t  *paths;
    json_scan_t               *values;
    uint32_t                   found;
} doc_path_walk_t;


static void walk_object(doc_path_walk_t *walk, const json_scan_t *object,
    size_t level, uint32_t mask);
static uint32_t match_name(const doc_path_set_t *paths, size_t level,
    uint32_t mask, const json_scan_t *key);
static int equal_name(const json_scan_t *key, bytes_t name);
static void project_object(const doc_path_set_t *paths,
    const json_scan_t *object, size_t level, uint32_t mask,
    bytes_writer_t *w);


const char *
doc_path_parse(doc_path_t *path, bytes_t text)
{
    size_t   i, len;
    uint8_t  c;

    path->text = text;
    path->count = 0;

    if (text.len > DOC_PATH_MAX) {
        return "a path has more than 128 bytes";
    }

    len = 0;
    path->names[0] = bytes_make(path->bytes, 0);

    for (i = 0; i <= text.len; i++) {
        c = (i == text.len) ? '.' : text.data[i];

        if (c == '.') {

            if (path->names[path->count].len == 0) {
                return "a path has an empty name";
            }

            if (++path->count == DOC_PATH_NAMES_MAX && i != text.len) {
                return "a path has more than 8 names";
            }

            if (i != text.len) {
                path->names[path->count] = bytes_make(path->bytes + len, 0);
            }

            continue;
        }

        if (c == '\\') {

            if (++i == text.len) {
                return "a path ends with a backslash";
            }

            c = text.data[i];
        }

        path->bytes[len++] = c;
        path->names[path->count].len++;
    }

    return NULL;
}


int
doc_path_equal(const doc_path_t *a, const doc_path_t *b)
{
    size_t  i;

    if (a->count != b->count) {
        return 0;
    }

    for (i = 0; i < a->count; i++) {

        if (!bytes_equal(a->names[i], b->names[i])) {
            return 0;
        }
    }

    return 1;
}


uint32_t
doc_path_find(const doc_path_set_t *paths, const json_scan_t *document,
    json_scan_t *values)
{
    doc_path_walk_t  walk;

    walk.paths = paths;
    walk.values = values;
    walk.found = 0;

    walk_object(&walk, document, 0,
                (uint32_t) ((1ULL << paths->count) - 1));

    return walk.found;
}


/* mask: the paths whose first names led here. */
static void
walk_object(doc_path_walk_t *walk, const json_scan_t *object, size_t level,
    uint32_t mask)
{
    size_t       i, pos;
    uint32_t     met, below;
    json_scan_t  key, value;

    pos = 0;

    /* each name is met once, so those that were met are not looked for */

    while (mask != 0 && object->type == JSON_SCAN_OBJECT
           && json_scan_next(object, &pos, &key, &value) == 0)
    {
        met = match_name(walk->paths, level, mask, &key);
        mask &= ~met;
        below = 0;

        for (i = 0; met >> i != 0 && i < walk->paths->count; i++) {

            if (!(met >> i & 1)) {
                continue;
            }

            if (walk->paths->paths[i].count == level + 1) {
                walk->values[i] = value;
                walk->found |= 1U << i;

            } else {
                below |= 1U << i;
            }
        }

        if (below != 0) {
            walk_object(walk, &value, level + 1, below);
        }
    }
}


static uint32_t
match_name(const doc_path_set_t *paths, size_t level, uint32_t mask,
    const json_scan_t *key)
{
    size_t    i;
    uint32_t  met;

    met = 0;

    for (i = 0; i < paths->count; i++) {

        if ((mask >> i & 1) && equal_name(key, paths->paths[i].names[level]))
        {
            met |= 1U << i;
        }
    }

    return met;
}


static int
equal_name(const json_scan_t *key, bytes_t name)
{
    int             c;
    json_letters_t  l;

    if (!key->escaped) {
        return bytes_equal(key->text, name);
    }

    json_letters_open(&l, key->text.data, key->text.data + key->text.len);

    while ((c = json_letters_next(&l)) >= 0) {

        if (name.len == 0 || *name.data != c) {
            return 0;
        }

        name.data++;
        name.len--;
    }

    return name.len == 0;
}


void
doc_path_project(const doc_path_set_t *paths,
    const json_scan_t *document, bytes_writer_t *w)
{
    project_object(paths, document, 0,
                   (uint32_t) ((1ULL << paths->count) - 1), w);
}


static void
project_object(const doc_path_set_t *paths, const json_scan_t *object,
    size_t level, uint32_t mask, bytes_writer_t *w)
{
    int          whole, comma;
    size_t       i, pos;
    uint32_t     met;
    json_scan_t  key, value;

    pos = 0;
    comma = 0;
    bytes_writer_byte(w, '{');

    while (json_scan_next(object, &pos, &key, &value) == 0) {
        met = match_name(paths, level, mask, &key);
        whole = 0;

        for (i = 0; i < paths->count; i++) {
            whole |= (met >> i & 1) && paths->paths[i].count == level + 1;
        }

        if (!whole && (met == 0 || value.type != JSON_SCAN_OBJECT)) {
            continue;
        }

        if (comma) {
            bytes_writer_byte(w, ',');
        }

        comma = 1;
        bytes_writer_bytes(w, key.raw);
        bytes_writer_byte(w, ':');

        if (whole) {
            bytes_writer_bytes(w, value.raw);

        } else {
            project_object(paths, &value, level + 1, met, w);
        }
    }

    bytes_writer_byte(w, '}');
}
