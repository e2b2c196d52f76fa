/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * id.c: the form, the order by time, and what is no id.
 */


#include <sodium.h>

#include "id.h"
#include "tap.h"


static const uint8_t  zeros[ID_RANDOM_LEN];
static const uint8_t  ones[ID_RANDOM_LEN] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
};


static void
test_known_ids(void)
{
    char  out[ID_LEN];

    id_write(out, 'p', 0, zeros);
    tap_ok(bytes_equal_text(bytes_make(out, ID_LEN),
                            "p_00000000000000000000000000"),
           "nothing is all zeros");

    id_write(out, 'm', 0xffffffffffffLL, ones);
    tap_ok(bytes_equal_text(bytes_make(out, ID_LEN),
                            "m_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
           "everything is seven and z");

    id_write(out, 'r', 1, zeros);
    tap_ok(bytes_equal_text(bytes_make(out, ID_LEN),
                            "r_00000000010000000000000000"),
           "the time ends with the tenth digit");

    id_write(out, 'r', 1LL << 48, zeros);
    tap_ok(bytes_equal_text(bytes_make(out, ID_LEN),
                            "r_00000000000000000000000000"),
           "what is over 48 bits of it does not count");
}


static void
test_order(void)
{
    char      early[ID_LEN], late[ID_LEN];
    int64_t   ms;
    unsigned  wrong;

    wrong = 0;

    for (ms = 1; ms < 1LL << 47; ms = ms * 3 + 1) {
        id_write(early, 'm', ms, ones);
        id_write(late, 'm', ms + 1, zeros);

        wrong += memcmp(early, late, ID_LEN) >= 0;
    }

    tap_ok(wrong == 0, "a later id sorts behind an earlier one");
}


static void
test_created(void)
{
    char      a[ID_LEN], b[ID_LEN];
    unsigned  i, wrong;

    wrong = 0;

    for (i = 0; i < 1000; i++) {
        id_create(a, 'b', 1795525509042LL);
        id_create(b, 'b', 1795525509042LL);

        wrong += !id_valid(bytes_make(a, ID_LEN), 'b')
                 || memcmp(a, b, 12) != 0
                 || memcmp(a, b, ID_LEN) == 0;
    }

    tap_ok(wrong == 0, "ids of one millisecond share it and still differ");
}


static void
test_refused(void)
{
    size_t  i;

    static const char  *cases[] = {
        "", "p", "p_", "r_00000000000000000000000000",
        "p-00000000000000000000000000", "p_0000000000000000000000000",
        "p_000000000000000000000000000", "p_80000000000000000000000000",
        "p_0000000000000000000000000A", "p_0000000000000000000000000i",
        "p_0000000000000000000000000l", "p_0000000000000000000000000o",
        "p_0000000000000000000000000u", "p_000000000000000000000000/0",
        "p_z0000000000000000000000000", "P_00000000000000000000000000"
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(!id_valid(bytes_of(cases[i]), 'p'), "\"%s\" is no id of a"
               " participant", cases[i]);
    }

    tap_ok(!id_valid(bytes_make("p_0000000000000000000000000\0", ID_LEN),
                     'p'), "nor is one with a NUL");
    tap_ok(id_valid(bytes_of("p_7123456789abcdefghjkmnpqrs"), 'p'),
           "a well-formed one is");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_known_ids();
    test_order();
    test_created();
    test_refused();

    return tap_done();
}
