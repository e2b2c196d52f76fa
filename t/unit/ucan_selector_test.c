/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Selectors: which texts are some, and what they find in one value:
 *
 *     { "a": [1, 2, {"b": "x"}], "m": {"k": 7, "q": null}, "y": bytes 01 02,
 *       "a b": 5, "q\"": 6, "é": 8, "s": "text" }
 */


#include <stdlib.h>

#include "tap.h"
#include "ucan_selector.h"


static uint8_t      buf[512];
static cbor_item_t  root;


static void
make_root(void)
{
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, 7);

    cbor_write_text(&w, bytes_of("a"));
    cbor_write_list(&w, 3);
    cbor_write_integer(&w, 1);
    cbor_write_integer(&w, 2);
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("b"));
    cbor_write_text(&w, bytes_of("x"));

    cbor_write_text(&w, bytes_of("m"));
    cbor_write_map(&w, 2);
    cbor_write_text(&w, bytes_of("k"));
    cbor_write_integer(&w, 7);
    cbor_write_text(&w, bytes_of("q"));
    cbor_write_null(&w);

    cbor_write_text(&w, bytes_of("s"));
    cbor_write_text(&w, bytes_of("text"));
    cbor_write_text(&w, bytes_of("y"));
    cbor_write_bytes(&w, bytes_make("\x01\x02", 2));
    cbor_write_text(&w, bytes_of("q\""));
    cbor_write_integer(&w, 6);
    cbor_write_text(&w, bytes_of("\xc3\xa9"));
    cbor_write_integer(&w, 8);
    cbor_write_text(&w, bytes_of("a b"));
    cbor_write_integer(&w, 5);

    if (cbor_validate(bytes_writer_view(&w)) != 0
        || cbor_read(bytes_writer_view(&w), &root) != 0)
    {
        tap_ok(0, "the value is one");
    }
}


static void
test_grammar(void)
{
    size_t  i;

    static const struct {
        const char  *text;
        int          valid;
    } cases[] = {
        { ".", 1 }, { ".a", 1 }, { ".a.b", 1 }, { "._x", 1 },
        { ".a1$-_", 1 }, { ".\xc3\xa9", 1 }, { ".a?", 1 }, { ".a??", 1 },
        { ".a[0]", 1 }, { ".a[-1]", 1 }, { ".[0]", 1 }, { "[0]", 1 },
        { ".a[1:2]", 1 }, { ".a[1:]", 1 }, { ".a[:2]", 1 },
        { ".a[-2:-1]", 1 }, { ".a[]", 1 }, { ".[\"a b\"]", 1 },
        { "[\"a\"]", 1 }, { ".a[\"b\"].c", 1 }, { ".[\"q\\\"\"]", 1 },
        { ".[\"\\\\\"]", 1 }, { ".[\"\"]", 1 }, { ".a[]?[0]?.b", 1 },
        { "", 0 }, { "a", 0 }, { "..", 0 }, { ".a.", 0 }, { ".a..b", 0 },
        { ".1", 0 }, { ".-a", 0 }, { ".$a", 0 }, { "?", 0 }, { ".?", 0 },
        { ".a[", 0 }, { ".a]", 0 }, { ".a[b]", 0 }, { ".a[1", 0 },
        { ".a[:]", 0 }, { ".a[1:2:3]", 0 }, { ".a[1.5]", 0 },
        { ".a[--1]", 0 }, { ".a[-]", 0 }, { ".a[+1]", 0 },
        { ".a[ 1]", 0 }, { ".a[9007199254740992]", 0 },
        { ".[\"a]", 0 }, { ".[\"a\"", 0 }, { ".['a']", 0 },
        { ".[\"\\n\"]", 0 }, { ".a b", 0 }, { ".a ", 0 }, { ". a", 0 },
        { ".a!", 0 }, { ".a[0]b", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok((ucan_selector_validate(bytes_of(cases[i].text)) == 0)
               == cases[i].valid, "%s is %s selector", cases[i].text,
               cases[i].valid ? "a" : "no");
    }
}


/* What comes out, as a text to compare with. */
static const char *
resolve(const char *text)
{
    size_t                 i, count;
    cbor_item_t            item;
    bytes_reader_t         r;
    static char            out[256];
    ucan_selector_rc_t     rc;
    ucan_selector_value_t  value;

    rc = ucan_selector_resolve(bytes_of(text), &root, &value);

    if (rc == UCAN_SELECTOR_FAILED) {
        return "failed";
    }

    if (rc == UCAN_SELECTOR_NULL) {
        return value.item.type == CBOR_NULL ? "null" : "wrong";
    }

    if (!value.sliced && value.item.type == CBOR_INTEGER) {
        snprintf(out, sizeof(out), "%lld", (long long) value.item.integer);
        return out;
    }

    if (!value.sliced && value.item.type == CBOR_TEXT) {
        snprintf(out, sizeof(out), "%.*s", (int) value.item.bytes.len,
                 (const char *) value.item.bytes.data);
        return out;
    }

    if (!value.sliced && value.item.type == CBOR_NULL) {
        return "found null";
    }

    if (ucan_selector_count(&value, &count) != 0) {
        return "no collection";
    }

    snprintf(out, sizeof(out), "%zu:", count);
    ucan_selector_walk(&value, &r);

    for (i = 0; i < count; i++) {
        if (ucan_selector_next(&value, &r, &item) != 0) {
            return "short";
        }

        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%c",
                 item.type == CBOR_INTEGER ? '0' + (char) item.integer
                 : item.type == CBOR_NULL ? 'n' : '*');
    }

    return out;
}


static void
test_resolution(void)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *result;
    } cases[] = {
        { ".a[0]", "1" },
        { ".a[1]", "2" },
        { ".a[-1].b", "x" },
        { ".a.[2].b", "x" },
        { ".m.k", "7" },
        { ".m[\"k\"]", "7" },
        { ".[\"a b\"]", "5" },
        { ".[\"q\\\"\"]", "6" },
        { ".\xc3\xa9", "8" },
        { ".s", "text" },
        { ".m.q", "found null" },
        { ".x", "null" },
        { ".m.x", "null" },
        { ".x?", "null" },
        { ".x.y", "failed" },
        { ".x?.y", "failed" },
        { ".x.y?", "null" },
        { ".x.y?.z?", "null" },
        { ".x.y.z?", "failed" },
        { ".a.b", "failed" },
        { ".a.b?", "null" },
        { ".s.length", "failed" },
        { ".s[0]", "failed" },
        { ".a[3]", "failed" },
        { ".a[3]?", "null" },
        { ".a[-4]", "failed" },
        { ".m[0]", "failed" },
        { ".m[][0]", "7" },
        { ".m[][1]", "found null" },
        { ".m[][-1]", "found null" },
        { ".m[]", "2:7n" },
        { ".m[].k", "failed" },
        { ".a[]", "3:12*" },
        { ".a[][]", "3:12*" },
        { ".m[][]", "2:7n" },
        { ".s[]", "failed" },
        { ".a[1:]", "2:2*" },
        { ".a[:2]", "2:12" },
        { ".a[0:1]", "1:1" },
        { ".a[-2:-1]", "1:2" },
        { ".a[1:][0]", "2" },
        { ".a[1:][1].b", "x" },
        { ".a[1:][1:]", "1:*" },
        { ".a[1:][:1]", "1:2" },
        { ".a[-9:9]", "3:12*" },
        { ".a[2:1]", "0:" },
        { ".a[9:]", "0:" },
        { ".a[9:][0]", "failed" },
        { ".m[][1:]", "1:n" },
        { ".m[1:]", "failed" },
        { ".y[0]", "1" },
        { ".y[-1]", "2" },
        { ".y[2]", "failed" },
        { ".y[1:]", "1:2" },
        { ".y[1:][0]", "2" },
        { ".y", "2:12" },
        { ".y[]", "failed" },
        { ".m.k.k", "failed" },
        { ".m.k[0]", "failed" },
        { ".m.k[0:1]", "failed" },
        { ".constructor", "null" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!tap_ok(strcmp(resolve(cases[i].text), cases[i].result) == 0,
                    "%s is %s", cases[i].text, cases[i].result))
        {
            printf("#   got: %s\n", resolve(cases[i].text));
        }
    }
}


static void
test_identity(void)
{
    ucan_selector_value_t  value;

    tap_ok(ucan_selector_resolve(bytes_of("."), &root, &value)
           == UCAN_SELECTOR_FOUND
           && bytes_equal(value.item.raw, root.raw), "a dot is all");
}


int
main(void)
{
    make_root();

    test_grammar();
    test_resolution();
    test_identity();

    return tap_done();
}
