/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The lines of an export (NDJSON), written and read:
 *
 *     {"mesh":"export","version":1,"scope":"namespace","namespace":"p_..."}
 *     {"kind":"kv","ns":"p_...","key":"a","seq":1,"contentType":"text/plain",
 *      "value":"hello"}
 *     {"kind":"store","ns":"identity","key":"mesh","value":"{...}"}
 *     {"kind":"entry","ns":"r_...","key":"m_...","seq":1,"value":"{...}"}
 *     {"end":true,"lines":3}
 *
 * Namespaces and keys are those of the store; what is of the storage API
 * (kinds kv, docs, blobs) is written without its prefixes.  A text that is
 * no UTF-8 stands in a member with "Base64" at its end ("base64" for value).
 */


#ifndef _EXPORT_LINE_H_INCLUDED_
#define _EXPORT_LINE_H_INCLUDED_


#include "bytes.h"


typedef enum {
    EXPORT_LINE_HEAD = 0,
    EXPORT_LINE_ITEM,
    EXPORT_LINE_ENTRY,
    EXPORT_LINE_END
} export_line_kind_t;


typedef struct {
    export_line_kind_t  kind;
    bytes_t             ns;           /* of the store; HEAD: the namespace of
                                         the API, or empty: a whole node */
    bytes_t             key;
    bytes_t             meta;
    bytes_t             value;
    uint64_t            seq;          /* END: lines between */
    uint64_t            weight;
    int64_t             at_ms;
    int64_t             expires_ms;   /* 0: never */
} export_line_t;


/* Bytes that a line needs at most. */
size_t export_line_size(const export_line_t *line);

/* Appends the line with its newline; sets w->failed when there is no room. */
void export_line_write(bytes_writer_t *w, const export_line_t *line);

/* Reads one line, newline or not.  Texts are views of what arena holds, which
   needs as many bytes as the line and 8.  NULL, or what is wrong with it. */
const char *export_line_read(bytes_t text, export_line_t *line,
    bytes_writer_t *arena);


#endif /* _EXPORT_LINE_H_INCLUDED_ */
