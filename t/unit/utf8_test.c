/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * utf8.c: the table of RFC 3629 at its edges, whole and byte by byte, and all
 * code points both ways.
 */


#include "tap.h"
#include "utf8.h"


typedef struct {
    const char  *name;
    bytes_t      bytes;
    uint32_t     state;           /* UTF8_START, _REJECT, else "inside" */
} utf8_case_t;


#define UTF8_INSIDE  100


static const utf8_case_t  cases[] = {
    { "nothing", bytes_literal(""), UTF8_START },
    { "ASCII", bytes_literal("the quick brown fox"), UTF8_START },
    { "U+0000", bytes_literal("\x00"), UTF8_START },
    { "U+007F", bytes_literal("\x7f"), UTF8_START },
    { "U+0080", bytes_literal("\xc2\x80"), UTF8_START },
    { "U+07FF", bytes_literal("\xdf\xbf"), UTF8_START },
    { "U+0800", bytes_literal("\xe0\xa0\x80"), UTF8_START },
    { "U+D7FF", bytes_literal("\xed\x9f\xbf"), UTF8_START },
    { "U+E000", bytes_literal("\xee\x80\x80"), UTF8_START },
    { "U+FFFF", bytes_literal("\xef\xbf\xbf"), UTF8_START },
    { "U+10000", bytes_literal("\xf0\x90\x80\x80"), UTF8_START },
    { "U+10FFFF", bytes_literal("\xf4\x8f\xbf\xbf"), UTF8_START },
    { "high after long ASCII", bytes_literal("0123456789abcde\xc3\xa9"),
      UTF8_START },
    { "a lone tail", bytes_literal("\x80"), UTF8_REJECT },
    { "overlong slash, 2", bytes_literal("\xc0\xaf"), UTF8_REJECT },
    { "C1", bytes_literal("\xc1\xbf"), UTF8_REJECT },
    { "overlong, 3", bytes_literal("\xe0\x9f\xbf"), UTF8_REJECT },
    { "overlong, 4", bytes_literal("\xf0\x8f\xbf\xbf"), UTF8_REJECT },
    { "first surrogate", bytes_literal("\xed\xa0\x80"), UTF8_REJECT },
    { "last surrogate", bytes_literal("\xed\xbf\xbf"), UTF8_REJECT },
    { "over U+10FFFF", bytes_literal("\xf4\x90\x80\x80"), UTF8_REJECT },
    { "F5", bytes_literal("\xf5\x80\x80\x80"), UTF8_REJECT },
    { "FF", bytes_literal("\xff"), UTF8_REJECT },
    { "tail missing, then ASCII", bytes_literal("\xe2\x82" "a"),
      UTF8_REJECT },
    { "bad, then good", bytes_literal("\xff" "abcdefghijkl"), UTF8_REJECT },
    { "bad after long ASCII", bytes_literal("0123456789abcdef\xff"),
      UTF8_REJECT },
    { "1 of 2", bytes_literal("\xc3"), UTF8_INSIDE },
    { "2 of 3", bytes_literal("\xe2\x82"), UTF8_INSIDE },
    { "3 of 4", bytes_literal("\xf0\x9f\x98"), UTF8_INSIDE }
};


static uint32_t
fold_state(uint32_t state)
{
    return (state == UTF8_START || state == UTF8_REJECT) ? state
                                                         : UTF8_INSIDE;
}


static const char *
name_state(uint32_t state)
{
    return (state == UTF8_START) ? "valid"
           : (state == UTF8_REJECT) ? "refused" : "unfinished";
}


static void
test_cases_whole_and_byte_by_byte(void)
{
    size_t    i, n;
    uint32_t  state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        state = utf8_feed(UTF8_START, cases[i].bytes);
        tap_ok(fold_state(state) == cases[i].state, "%s is %s",
               cases[i].name, name_state(cases[i].state));

        state = UTF8_START;

        for (n = 0; n < cases[i].bytes.len; n++) {
            state = utf8_feed(state,
                              bytes_make(cases[i].bytes.data + n, 1));
        }

        tap_ok(fold_state(state) == cases[i].state, "%s is %s, byte by byte",
               cases[i].name, name_state(cases[i].state));

        tap_ok(utf8_valid(cases[i].bytes)
               == (cases[i].state == UTF8_START),
               "%s is %s text", cases[i].name,
               (cases[i].state == UTF8_START) ? "a" : "no");
    }
}


static void
test_all_code_points(void)
{
    unsigned        refused, wrong;
    uint8_t         buf[4];
    uint32_t        code;
    bytes_writer_t  w;

    refused = 0;
    wrong = 0;

    for (code = 0; code < 0x110400; code++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        utf8_write(&w, code);

        if (w.failed) {
            refused++;
            continue;
        }

        wrong += !utf8_valid(bytes_writer_view(&w))
                 || utf8_length(bytes_writer_view(&w)) != 1;
    }

    tap_ok(wrong == 0, "every code point that is written is valid");
    tap_ok(refused == 0x800 + 0x400,
           "surrogates and what is over U+10FFFF are not written");
}


static void
test_all_sequences_of_three(void)
{
    unsigned  n;
    uint8_t   b[3];
    uint32_t  i;

    /* from 0x800 on, without the surrogates */

    n = 0;

    for (i = 0xc00000; i < 0x1000000; i++) {
        b[0] = (uint8_t) (i >> 16);
        b[1] = (uint8_t) (i >> 8);
        b[2] = (uint8_t) i;

        n += b[1] >= 0x80 && b[2] >= 0x80 && utf8_valid(bytes_make(b, 3));
    }

    tap_ok(n == 0x10000 - 0x800 - 0x800,
           "of all sequences of three as many are valid as there are");
}


static void
test_length_and_room(void)
{
    uint8_t         buf[2];
    bytes_writer_t  w;

    tap_ok(utf8_length(bytes_of("h\xc3\xa9llo \xf0\x9f\x98\x80")) == 7,
           "code points are counted");

    bytes_writer_open(&w, buf, sizeof(buf));
    utf8_write(&w, 0x20ac);
    tap_ok(w.failed && bytes_writer_view(&w).len == 0,
           "a code point that does not fit is not begun");
}


int
main(void)
{
    test_cases_whole_and_byte_by_byte();
    test_all_code_points();
    test_all_sequences_of_three();
    test_length_and_room();

    return tap_done();
}
