/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Containers: all forms out and in, and what is not exactly one.
 */


#include "base64.h"
#include "tap.h"
#include "ucan_make.h"


static ucan_limits_t
limits(void)
{
    ucan_limits_t  out;

    ucan_limits_init(&out);

    return out;
}


static ucan_verdict_t
decode(bytes_t text, bytes_t **list, size_t *count)
{
    ucan_limits_t  bounds;

    bounds = limits();

    return ucan_container_decode(text, list, count, &bounds, &make_memory);
}


/* The bytes inside a container of form 'C' or 'P', for raw forms. */
static bytes_t
raw_form(char form, bytes_t text)
{
    uint8_t        *buf;
    bytes_writer_t  w;

    buf = make_alloc(NULL, text.len + 1);
    buf[0] = (uint8_t) form;

    bytes_writer_open(&w, buf + 1, text.len);

    if (base64_decode(BASE64_URL, bytes_make(text.data + 1, text.len - 1),
                      &w) != 0)
    {
        abort();
    }

    return bytes_make(buf, (size_t) (w.pos - buf));
}


static void
test_forms(void)
{
    size_t       i, count;
    bytes_t      tokens[3], *list, text;
    const char  *form;

    tokens[0] = make_delegation("mesh", "alice", "/b");
    tokens[1] = make_delegation("mesh", "alice", "/a");
    tokens[2] = make_session("alice");

    for (form = "BCOP"; *form != '\0'; form++) {
        text = make_container(*form, tokens, 3);

        tap_ok(text.data[0] == (uint8_t) *form, "form %c begins with it",
               *form);
        tap_ok(decode(text, &list, &count) == UCAN_OK && count == 3,
               "form %c reads back", *form);

        for (i = 1; i < count; i++) {
            if (memcmp(list[i - 1].data, list[i].data,
                       list[i].len < list[i - 1].len
                       ? list[i].len : list[i - 1].len) >= 0)
            {
                break;
            }
        }

        tap_ok(i == count, "form %c is sorted", *form);
    }

    text = raw_form('@', make_container('C', tokens, 3));
    tap_ok(decode(text, &list, &count) == UCAN_OK && count == 3,
           "the raw form reads");

    text = raw_form('M', make_container('P', tokens, 3));
    tap_ok(decode(text, &list, &count) == UCAN_OK && count == 3,
           "the raw compressed form reads");
}


static void
test_duplicates(void)
{
    size_t   count;
    bytes_t  tokens[3], *list;

    tokens[0] = make_session("alice");
    tokens[1] = make_session("bob");
    tokens[2] = tokens[0];

    tap_ok(decode(make_container('C', tokens, 3), &list, &count) == UCAN_OK
           && count == 2, "what is there twice is there once");
}


static void
test_cut(void)
{
    size_t       i, count;
    bytes_t      tokens[1], *list, text;
    unsigned     accepted;
    const char  *form;

    tokens[0] = make_session("alice");

    for (form = "BCOP"; *form != '\0'; form++) {
        text = make_container(*form, tokens, 1);
        accepted = 0;

        for (i = 0; i < text.len; i++) {
            accepted += decode(bytes_make(text.data, i), &list, &count)
                        == UCAN_OK;
        }

        tap_ok(accepted == 0, "no beginning of form %c is one", *form);
    }
}


static void
test_refusals(void)
{
    size_t    count;
    bytes_t   tokens[2], *list, text;
    uint8_t  *copy;

    tokens[0] = make_session("alice");

    text = raw_form('M', make_container('P', tokens, 1));
    copy = make_alloc(NULL, text.len * 2);

    memcpy(copy, text.data, text.len);
    copy[text.len - 6] ^= 1;
    tap_ok(decode(bytes_make(copy, text.len), &list, &count)
           == UCAN_MALFORMED, "a wrong checksum");
    copy[text.len - 6] ^= 1;

    copy[text.len - 4] ^= 1;
    tap_ok(decode(bytes_make(copy, text.len), &list, &count)
           == UCAN_MALFORMED, "a wrong length");
    copy[text.len - 4] ^= 1;

    memcpy(copy + text.len, text.data + 1, text.len - 1);
    tap_ok(decode(bytes_make(copy, text.len * 2 - 1), &list, &count)
           == UCAN_MALFORMED, "two members");

    copy[text.len] = 0;
    tap_ok(decode(bytes_make(copy, text.len + 1), &list, &count)
           == UCAN_MALFORMED, "a byte behind");

    tap_ok(decode(bytes_of("C"), &list, &count) == UCAN_MALFORMED,
           "a letter alone");
    tap_ok(decode(bytes_of("Xabc"), &list, &count) == UCAN_MALFORMED,
           "another letter");
    tap_ok(decode(bytes_of("CoWZjdG4tdjGA"), &list, &count)
           == UCAN_MALFORMED, "an empty list");
    tap_ok(list == NULL && count == 0, "give nothing");
}


static void
test_limits(void)
{
    size_t          i, count;
    bytes_t         tokens[4], *list, text;
    ucan_limits_t   bounds;

    for (i = 0; i < 4; i++) {
        tokens[i] = make_delegation("mesh", i & 1 ? "alice" : "bob",
                                    i & 2 ? "/a" : "/b");
    }

    text = make_container('P', tokens, 4);

    bounds = limits();
    bounds.count_max = 4;
    tap_ok(ucan_container_decode(text, &list, &count, &bounds, &make_memory)
           == UCAN_OK, "as many tokens as the limit");

    bounds.count_max = 3;
    tap_ok(ucan_container_decode(text, &list, &count, &bounds, &make_memory)
           == UCAN_TOO_LARGE, "and not one more");

    bounds = limits();
    bounds.inflated_max = 256;
    tap_ok(ucan_container_decode(text, &list, &count, &bounds, &make_memory)
           == UCAN_TOO_LARGE, "no more bytes than allowed come out");

    bounds = limits();
    bounds.bytes_max = text.len - 1;
    tap_ok(ucan_container_decode(text, &list, &count, &bounds, &make_memory)
           == UCAN_TOO_LARGE, "nor go in");
}


/* A megabyte of zeros: the trailer admits it, or it lies. */
static void
test_bomb(void)
{
    size_t    count, used;
    bytes_t   tokens[1], *list, text;
    uint8_t  *plain, *copy;

    plain = make_alloc(NULL, 1024 * 1024);
    memset(plain, 0, 1024 * 1024);
    tokens[0] = bytes_make(plain, 1024 * 1024);

    text = raw_form('M', make_container('P', tokens, 1));
    used = make_arena.used;

    tap_ok(text.len < 8192
           && decode(text, &list, &count) == UCAN_TOO_LARGE,
           "a bomb that admits it is refused");
    tap_ok(make_arena.used - used < 65536, "before it costs anything");

    copy = make_alloc(NULL, text.len);
    memcpy(copy, text.data, text.len);
    copy[text.len - 2] = 0;
    used = make_arena.used;

    tap_ok(decode(bytes_make(copy, text.len), &list, &count)
           == UCAN_MALFORMED, "one that lies is caught");
    tap_ok(make_arena.used - used < 65536, "by what it said");
}


static void
test_no_memory(void)
{
    size_t    i, count, allocations;
    bytes_t   tokens[1], *list, text;
    unsigned  wrong;

    tokens[0] = make_session("alice");
    text = make_container('P', tokens, 1);

    make_arena.count = 0;
    (void) decode(text, &list, &count);
    allocations = make_arena.count;
    wrong = 0;

    for (i = 1; i < allocations; i++) {
        make_arena.count = 0;
        make_arena.fail_after = i;
        wrong += decode(text, &list, &count) != UCAN_NO_MEMORY;
    }

    make_arena.fail_after = 0;

    tap_ok(allocations > 1 && wrong == 0, "without memory it says so");
}


static void
test_encode(void)
{
    uint8_t         buf[64];
    bytes_t         tokens[1];
    bytes_writer_t  w;

    tokens[0] = make_session("alice");

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(ucan_container_encode('C', tokens, 1, &w, &make_memory) == -1,
           "without room there is none");
    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(ucan_container_encode('X', tokens, 1, &w, &make_memory) == -1,
           "nor of a form that is none");
    tap_ok(ucan_container_encode('C', tokens, 0, &w, &make_memory) == -1,
           "nor of nothing");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_forms();
    test_duplicates();
    test_cut();
    test_refusals();
    test_limits();
    test_bomb();
    test_no_memory();
    test_encode();

    return tap_done();
}
