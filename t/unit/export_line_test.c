/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/* Lines of an export: each form as it is documented, there and back. */


#include <string.h>

#include "export_line.h"
#include "tap.h"


#define AT_MS  1795546862123LL    /* 2026-11-24T19:01:02.123Z */


static void test_forms(void);
static void test_form(const char *what, const export_line_t *line,
    const char *text);
static void test_back(const char *what, const export_line_t *line);
static void test_refused(void);
static void test_room(void);


int
main(void)
{
    test_forms();
    test_refused();
    test_room();

    return tap_done();
}


static void
test_forms(void)
{
    export_line_t  line;

    memset(&line, 0, sizeof(line));
    line.kind = EXPORT_LINE_HEAD;
    line.at_ms = AT_MS;

    test_form("the first line of a node", &line,
              "{\"mesh\":\"export\",\"version\":1,\"scope\":\"node\","
              "\"at\":\"2026-11-24T19:01:02.123Z\"}\n");

    line.ns = bytes_of("p_1");

    test_form("the first line of a namespace", &line,
              "{\"mesh\":\"export\",\"version\":1,\"scope\":\"namespace\","
              "\"namespace\":\"p_1\","
              "\"at\":\"2026-11-24T19:01:02.123Z\"}\n");

    line.kind = EXPORT_LINE_ITEM;
    line.ns = bytes_of("s/p_1");
    line.key = bytes_of("k/a/b");
    line.meta = bytes_of("text/plain");
    line.value = bytes_of("say \"hello\"");
    line.seq = 7;

    test_form("a key", &line,
              "{\"kind\":\"kv\",\"ns\":\"p_1\",\"key\":\"a/b\",\"seq\":7,"
              "\"at\":\"2026-11-24T19:01:02.123Z\","
              "\"contentType\":\"text/plain\","
              "\"value\":\"say \\\"hello\\\"\"}\n");

    line.value = bytes_make((const uint8_t *) "\0\xff", 2);
    line.expires_ms = AT_MS + 1000;
    line.weight = 5;

    test_form("bytes, an end and a weight", &line,
              "{\"kind\":\"kv\",\"ns\":\"p_1\",\"key\":\"a/b\",\"seq\":7,"
              "\"at\":\"2026-11-24T19:01:02.123Z\","
              "\"expiresAt\":\"2026-11-24T19:01:03.123Z\",\"weight\":5,"
              "\"contentType\":\"text/plain\",\"base64\":\"AP8=\"}\n");

    line.key = bytes_of("d/notes/1");
    test_back("a document", &line);

    line.key = bytes_of("b/picture");
    test_back("a blob", &line);

    line.key = bytes_of("z/unknown");
    test_back("a key of a kind that is not known", &line);

    line.ns = bytes_of("x/p_1");
    line.key = bytes_make((const uint8_t *) "e/\0\1", 4);
    test_back("what is beside a namespace", &line);

    line.kind = EXPORT_LINE_ENTRY;
    line.ns = bytes_of("r_1");
    line.key = bytes_of("m_1");
    test_back("an entry", &line);

    line.kind = EXPORT_LINE_END;
    test_form("the last line", &line, "{\"end\":true,\"lines\":7}\n");
}


static void
test_form(const char *what, const export_line_t *line, const char *text)
{
    uint8_t         buf[1024];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    export_line_write(&w, line);

    tap_ok(bytes_equal_text(bytes_writer_view(&w), text),
           "%s is written as documented", what);

    test_back(what, line);
}


static void
test_back(const char *what, const export_line_t *line)
{
    uint8_t         buf[1024], arena[1024];
    const char     *fault;
    export_line_t   back;
    bytes_writer_t  w, a;

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_open(&a, arena, sizeof(arena));
    export_line_write(&w, line);

    fault = export_line_read(bytes_writer_view(&w), &back, &a);

    if (!tap_ok(fault == NULL, "%s is read: %s", what, fault ? fault : "")) {
        return;
    }

    if (line->kind == EXPORT_LINE_HEAD || line->kind == EXPORT_LINE_END) {
        tap_ok(back.kind == line->kind
               && (back.kind == EXPORT_LINE_END
                   ? back.seq == line->seq : bytes_equal(back.ns, line->ns)),
               "%s comes back", what);
        return;
    }

    tap_ok(back.kind == line->kind && bytes_equal(back.ns, line->ns)
           && bytes_equal(back.key, line->key)
           && bytes_equal(back.value, line->value)
           && back.seq == line->seq && back.at_ms == line->at_ms
           && (line->kind == EXPORT_LINE_ENTRY
               || (bytes_equal(back.meta, line->meta)
                   && back.expires_ms == line->expires_ms
                   && back.weight == line->weight)),
           "%s comes back", what);
}


static void
test_refused(void)
{
    size_t          i;
    uint8_t         arena[512];
    export_line_t   line;
    bytes_writer_t  a;

    static const char *const  texts[] = {
        "",
        "[]",
        "{\"kind\":\"kv\"",
        "{\"mesh\":\"export\",\"version\":2,\"scope\":\"node\"}",
        "{\"mesh\":\"other\",\"version\":1,\"scope\":\"node\"}",
        "{\"mesh\":\"export\",\"version\":1,\"scope\":\"all\"}",
        "{\"mesh\":\"export\",\"version\":1,\"scope\":\"namespace\"}",
        "{\"end\":true}",
        "{\"end\":true,\"lines\":-1}",
        "{\"ns\":\"a\",\"key\":\"b\",\"value\":\"c\"}",
        "{\"kind\":\"rooms\",\"ns\":\"a\",\"key\":\"b\",\"value\":\"c\"}",
        "{\"kind\":\"kv\",\"key\":\"b\",\"value\":\"c\"}",
        "{\"kind\":\"kv\",\"ns\":\"\",\"key\":\"b\",\"value\":\"c\"}",
        "{\"kind\":\"kv\",\"ns\":\"a\",\"value\":\"c\"}",
        "{\"kind\":\"kv\",\"ns\":\"a\",\"key\":\"b\"}",
        "{\"kind\":\"kv\",\"ns\":\"a\",\"key\":\"b\",\"value\":5}",
        "{\"kind\":\"kv\",\"ns\":\"a\",\"key\":\"b\",\"base64\":\"%\"}",
        "{\"kind\":\"kv\",\"ns\":\"a\",\"key\":\"b\",\"value\":\"c\","
            "\"seq\":1.5}",
        "{\"kind\":\"kv\",\"ns\":\"a\",\"key\":\"b\",\"value\":\"c\","
            "\"expiresAt\":\"tomorrow\"}",
        "{\"kind\":\"kv\",\"ns\":\"a\",\"ns\":\"b\",\"key\":\"b\","
            "\"value\":\"c\"}"
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        bytes_writer_open(&a, arena, sizeof(arena));

        tap_ok(export_line_read(bytes_of(texts[i]), &line, &a) != NULL,
               "refused: %s", texts[i]);
    }
}


static void
test_room(void)
{
    uint8_t         buf[1024], arena[8];
    export_line_t   line, back;
    bytes_writer_t  w, a;

    memset(&line, 0, sizeof(line));
    line.kind = EXPORT_LINE_ITEM;
    line.ns = bytes_of("s/p_1");
    line.key = bytes_of("k/a");
    line.value = bytes_of("a value that is longer than the arena");

    bytes_writer_open(&w, buf, sizeof(buf));
    export_line_write(&w, &line);
    bytes_writer_open(&a, arena, sizeof(arena));

    tap_ok(export_line_read(bytes_writer_view(&w), &back, &a) != NULL,
           "an arena without room is no crash");

    bytes_writer_open(&w, buf, 20);
    export_line_write(&w, &line);

    tap_ok(w.failed, "a writer without room says so");
}
