/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * bytes.h and varint.h: a reader never runs past its end, a writer never
 * overflows, and a number has one form.
 */


#include "bytes.h"
#include "tap.h"
#include "varint.h"


static void
test_reader_past_the_end(void)
{
    bytes_t         b;
    bytes_reader_t  r;

    bytes_reader_open(&r, bytes_of("abc"));

    b = bytes_reader_take(&r, 2);
    tap_ok(bytes_equal_text(b, "ab"), "a reader gives what is there");

    b = bytes_reader_take(&r, 2);
    tap_ok(b.len == 0 && r.failed, "a reader gives nothing past the end");
    tap_ok(bytes_reader_byte(&r) == 0 && bytes_reader_left(&r) == 0,
           "and stays there");

    bytes_reader_open(&r, bytes_make(NULL, 0));
    tap_ok(bytes_reader_left(&r) == 0 && !r.failed,
           "a reader opens over nothing");
}


static void
test_writer_past_the_end(void)
{
    uint8_t         buf[4];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_text(&w, "abc");
    bytes_writer_text(&w, "de");

    tap_ok(w.failed, "a writer remembers what did not fit");
    tap_ok(bytes_equal_text(bytes_writer_view(&w), "abc"),
           "and wrote none of it");

    bytes_writer_byte(&w, 'd');
    tap_ok(bytes_writer_view(&w).len == 3, "nothing is written after it");
}


static void
test_view_compare(void)
{
    tap_ok(bytes_equal(bytes_make(NULL, 0), bytes_of("")),
           "empty views are equal");
    tap_ok(!bytes_equal_text(bytes_of("ab"), "abc"),
           "a prefix is not the whole");
    tap_ok(bytes_start_with(bytes_of("abc"), bytes_of("ab")),
           "but starts it");
    tap_ok(!bytes_start_with(bytes_of("a"), bytes_of("ab")),
           "a short view does not start with a longer one");
}


static void
test_varint_both_ways(void)
{
    size_t          i;
    uint8_t         buf[16];
    uint64_t        n;
    bytes_reader_t  r;
    bytes_writer_t  w;

    static const struct {
        const char  *name;
        uint64_t     value;
        bytes_t      bytes;
    } cases[] = {
        { "zero", 0, bytes_literal("\x00") },
        { "one byte", 127, bytes_literal("\x7f") },
        { "two bytes", 128, bytes_literal("\x80\x01") },
        { "ed25519-pub", 0xed, bytes_literal("\xed\x01") },
        { "p256-pub", 0x1200, bytes_literal("\x80\x24") },
        { "63 bits", (1ULL << 63) - 1,
          bytes_literal("\xff\xff\xff\xff\xff\xff\xff\xff\x7f") }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        varint_write(&w, cases[i].value);
        bytes_reader_open(&r, cases[i].bytes);
        n = varint_read(&r);

        tap_ok(bytes_equal(bytes_writer_view(&w), cases[i].bytes)
               && n == cases[i].value
               && !r.failed
               && bytes_reader_left(&r) == 0,
               "varint %s reads and writes", cases[i].name);
    }
}


static void
test_varint_refused(void)
{
    size_t          i;
    bytes_reader_t  r;

    static const struct {
        const char  *name;
        bytes_t      bytes;
    } cases[] = {
        { "nothing", bytes_literal("") },
        { "truncated", bytes_literal("\x80") },
        { "not minimal", bytes_literal("\xed\x81\x00") },
        { "zero in two bytes", bytes_literal("\x80\x00") },
        { "ten bytes",
          bytes_literal("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_reader_open(&r, cases[i].bytes);

        tap_ok(varint_read(&r) == 0 && r.failed, "varint %s is refused",
               cases[i].name);
    }
}


int
main(void)
{
    test_reader_past_the_end();
    test_writer_past_the_end();
    test_view_compare();
    test_varint_both_ways();
    test_varint_refused();

    return tap_done();
}
