/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys, names and the participant record, both ways.
 */


#include "record.h"
#include "tap.h"


static void
test_keys(void)
{
    uint8_t         buf[64];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    record_key(&w, "participant", bytes_of("p_1"), bytes_make(NULL, 0));
    tap_ok(bytes_equal_text(bytes_writer_view(&w), "participant/p_1"),
           "a key has a kind and a name");

    bytes_writer_open(&w, buf, sizeof(buf));
    record_key(&w, "of", bytes_of("p_1"), bytes_of("r_1"));
    tap_ok(bytes_equal_text(bytes_writer_view(&w), "of/p_1/r_1"),
           "or two");

    bytes_writer_open(&w, buf, 8);
    record_key(&w, "participant", bytes_of("p_1"), bytes_make(NULL, 0));
    tap_ok(w.failed, "a key without room is none");
}


static void
test_fold(void)
{
    size_t          i, n;
    uint8_t         buf[512], name[512];
    bytes_writer_t  w;

    static const struct {
        const char  *name;
        const char  *folded;      /* NULL: refused */
    } cases[] = {
        { "Ada", "ada" },
        { "ada lovelace", "ada lovelace" },
        { "ÄDA", "Äda" },
        { "日本語", "日本語" },
        { "x", "x" },
        { "a/b", "a/b" },
        { "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
          "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb" },
        { "", NULL },
        { " ada", NULL },
        { "ada ", NULL },
        { "\xc2\xa0" "ada", NULL },
        { "ada\xe3\x80\x80", NULL },
        { "a\nb", NULL },
        { "a\x7f", NULL },
        { "a\xc2\x85" "b", NULL },
        { "a\xe2\x80\x8b" "b", NULL },
        { "a\xe2\x80\xae" "b", NULL },
        { "a\xef\xbb\xbf", NULL },
        { "\xff", NULL },
        { "a\xc3", NULL }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));

        if (record_name_fold(&w, bytes_of(cases[i].name)) == 0) {
            tap_ok(cases[i].folded != NULL
                   && bytes_equal_text(bytes_writer_view(&w),
                                       cases[i].folded),
                   "name %zu folds", i);

        } else {
            tap_ok(cases[i].folded == NULL && w.pos == w.start,
                   "name %zu is refused", i);
        }
    }

    for (n = 0; n < RECORD_NAME_MAX + 1; n++) {
        memcpy(name + n * 3, "語", 3);
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(record_name_fold(&w, bytes_make(name, RECORD_NAME_MAX * 3)) == 0,
           "a name may be as long as the limit");
    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(record_name_fold(&w, bytes_make(name, n * 3)) != 0,
           "and not longer");
}


static void
test_participant(void)
{
    uint8_t               buf[1024], text[256];
    bytes_writer_t        w, scratch;
    record_participant_t  p, back;

    static const char  time[] = "\"createdAt\":\"2027-01-15T08:00:00.123Z\"";

    memset(&p, 0, sizeof(p));

    p.id = bytes_of("p_1");
    p.did = bytes_of("did:key:z6Mk");
    p.name = bytes_of("Ada \"the\\first\"");
    p.role = bytes_of("member");
    p.kind = bytes_of("person");
    p.ns = bytes_of("p_1");
    p.custodial = 1;
    p.created_ms = 1800000000123;

    bytes_writer_open(&w, buf, sizeof(buf));
    record_participant_write(&w, &p);
    tap_ok(!w.failed, "a participant is written");
    tap_ok(memmem(buf, sizeof(buf), time, strlen(time)) != NULL,
           "with its time as text");

    bytes_writer_open(&scratch, text, sizeof(text));
    tap_ok(record_participant_read(&back, bytes_writer_view(&w), &scratch)
           == 0
           && bytes_equal(back.id, p.id) && bytes_equal(back.did, p.did)
           && bytes_equal(back.name, p.name)
           && bytes_equal(back.role, p.role)
           && bytes_equal(back.kind, p.kind) && back.maker.len == 0
           && bytes_equal(back.ns, p.ns)
           && back.custodial == 1 && back.created_ms == p.created_ms
           && back.removed_ms == 0, "and read back");

    p.maker = bytes_of("p_2");
    p.ns = bytes_of("p_2.p_1");
    p.custodial = 0;
    p.removed_ms = p.created_ms + 1;

    bytes_writer_open(&w, buf, sizeof(buf));
    record_participant_write(&w, &p);
    bytes_writer_open(&scratch, text, sizeof(text));
    tap_ok(record_participant_read(&back, bytes_writer_view(&w), &scratch)
           == 0
           && bytes_equal(back.maker, p.maker) && back.custodial == 0
           && bytes_equal(back.ns, p.ns)
           && back.removed_ms == p.removed_ms, "with what is optional too");

    bytes_writer_open(&scratch, text, 4);
    tap_ok(record_participant_read(&back, bytes_writer_view(&w), &scratch)
           == -1, "without room for a name it is not");

    bytes_writer_open(&w, buf, 32);
    record_participant_write(&w, &p);
    tap_ok(w.failed, "a record without room is none");
}


/* What was written before there were namespaces, and a bot without one. */

static void
test_namespace(void)
{
    uint8_t               text[256], small[8];
    bytes_t               ns;
    unsigned              i;
    bytes_writer_t        w, scratch;
    record_participant_t  p;

    static const char  old[] =
        "{\"id\":\"p_1\",\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"bot\",\"maker\":\"p_2\",\"custodial\":true,\"createdAt\":"
        "\"2027-01-15T08:00:00.123Z\"}";
    static const char  none[] =
        "{\"id\":\"p_1\",\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"bot\",\"ns\":\"\",\"custodial\":true,\"createdAt\":"
        "\"2027-01-15T08:00:00.123Z\"}";

    bytes_writer_open(&scratch, text, sizeof(text));
    tap_ok(record_participant_read(&p, bytes_of(old), &scratch) == 0
           && bytes_equal_text(p.ns, "p_1"),
           "an old record has its id for a namespace");

    tap_ok(record_participant_read(&p, bytes_of(none), &scratch) == 0
           && p.ns.len == 0, "a bot may have none");

    ns = bytes_of("p_1");

    for (i = 2; i <= RECORD_NS_LABELS; i++) {
        static uint8_t  buf[RECORD_NS_LABELS][RECORD_NS_MAX];

        bytes_writer_open(&w, buf[i - 1], sizeof(buf[0]));
        tap_ok(record_ns_write(&w, ns, bytes_of("p_b")) == 0
               && bytes_writer_view(&w).len == ns.len + 4,
               "a bot at depth %u has a namespace", i);
        ns = bytes_writer_view(&w);
    }

    tap_ok(bytes_equal_text(ns, "p_1.p_b.p_b.p_b.p_b"), "below its maker's");

    bytes_writer_open(&w, text, sizeof(text));
    tap_ok(record_ns_write(&w, ns, bytes_of("p_b")) == 0
           && bytes_writer_view(&w).len == 0, "one that is deeper has none");
    tap_ok(record_ns_write(&w, bytes_make(NULL, 0), bytes_of("p_b")) == 0
           && bytes_writer_view(&w).len == 0, "nor has a bot of that one");

    memset(text, 'n', sizeof(text));
    bytes_writer_open(&w, text + 200, 32);
    tap_ok(record_ns_write(&w, bytes_make(text, RECORD_NS_MAX - 3),
                           bytes_of("p_b")) == 0
           && bytes_writer_view(&w).len == 0,
           "nor one whose name is too long");

    bytes_writer_open(&w, small, sizeof(small));
    tap_ok(record_ns_write(&w, bytes_of("p_1"), bytes_of("p_long")) == -1,
           "a namespace without room says so");
}


static void
test_bad_participants(void)
{
    size_t                i;
    uint8_t               text[256];
    bytes_writer_t        scratch;
    record_participant_t  p;

    static const char *const  bad[] = {
        "", "[]", "{}", "null",
        "{\"id\":\"p_1\"}",
        "{\"id\":1,\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"k\",\"custodial\":true,\"createdAt\":"
        "\"2027-01-15T08:00:00.123Z\"}",
        "{\"id\":\"p\",\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"k\",\"custodial\":1,\"createdAt\":\"2027-01-15T08:00:00.123Z\"}",
        "{\"id\":\"p\",\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"k\",\"custodial\":true,\"createdAt\":5}",
        "{\"id\":\"p\",\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"k\",\"custodial\":true,\"createdAt\":\"yesterday\"}",
        "{\"id\":\"p\",\"id\":\"q\",\"did\":\"d\",\"name\":\"n\",\"role\":"
        "\"r\",\"kind\":\"k\",\"custodial\":true,\"createdAt\":"
        "\"2027-01-15T08:00:00.123Z\"}",
        "{\"id\":\"p\",\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"k\",\"custodial\":true,\"createdAt\":"
        "\"2027-01-15T08:00:00.123Z\",\"maker\":7}",
        "{\"id\":\"p\",\"did\":\"d\",\"name\":\"n\",\"role\":\"r\",\"kind\":"
        "\"k\",\"custodial\":true,\"createdAt\":"
        "\"2027-01-15T08:00:00.123Z\",\"ns\":7}"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bytes_writer_open(&scratch, text, sizeof(text));
        tap_ok(record_participant_read(&p, bytes_of(bad[i]), &scratch) == -1,
               "bad record %zu is refused", i);
    }
}


int
main(void)
{
    test_keys();
    test_fold();
    test_participant();
    test_namespace();
    test_bad_participants();

    return tap_done();
}
