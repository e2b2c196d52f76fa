/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Secrets under a password: what opens, and that nothing else does.
 */


#include <sodium.h>

#include "seal.h"
#include "tap.h"


static uint8_t  secret[SEAL_SECRET_LEN];
static uint8_t  record[SEAL_RECORD_LEN];


static bytes_t
sealed(void)
{
    return bytes_make(record, sizeof(record));
}


static void
test_round_trip(void)
{
    uint8_t  again[SEAL_RECORD_LEN], out[SEAL_SECRET_LEN];

    randombytes_buf(secret, sizeof(secret));

    tap_ok(seal_close(record, secret, bytes_of("hunter2"), bytes_of("p_1"))
           == 0, "a secret is sealed");
    tap_ok(seal_open(out, sealed(), bytes_of("hunter2"), bytes_of("p_1"))
           == 0 && memcmp(out, secret, sizeof(out)) == 0,
           "its password opens it");
    tap_ok(seal_close(again, secret, bytes_of("hunter2"), bytes_of("p_1"))
           == 0 && memcmp(again, record, sizeof(again)) != 0,
           "sealed twice it looks different");
    tap_ok(memmem(record, sizeof(record), secret, 8) == NULL,
           "the record does not show it");
}


static void
test_refusals(void)
{
    uint8_t  out[SEAL_SECRET_LEN];

    memset(out, 7, sizeof(out));

    tap_ok(seal_open(out, sealed(), bytes_of("hunter3"), bytes_of("p_1"))
           == -1, "another password does not open it");
    tap_ok(sodium_is_zero(out, sizeof(out)), "and nothing comes out");
    tap_ok(seal_open(out, sealed(), bytes_of("hunter2"), bytes_of("p_2"))
           == -1, "nor for another owner");
    tap_ok(seal_open(out, bytes_make(record, sizeof(record) - 1),
                     bytes_of("hunter2"), bytes_of("p_1")) == -1,
           "nor a byte short");
}


/* One bit turned in each field. */
static void
test_damage(void)
{
    size_t   i;
    uint8_t  out[SEAL_SECRET_LEN];

    static const size_t  offsets[] = { 0, 8, 16, 17, 33, 57, 88, 104 };

    for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        record[offsets[i]] ^= 1;
        tap_ok(seal_open(out, sealed(), bytes_of("hunter2"),
                         bytes_of("p_1")) != 0,
               "byte %zu turned: does not open", offsets[i]);
        record[offsets[i]] ^= 1;
    }

    /* a cost that would take the machine down is no cost of ours */

    record[1] = 0x7f;
    tap_ok(seal_open(out, sealed(), bytes_of("hunter2"), bytes_of("p_1"))
           == -1, "an absurd number of passes is refused at once");
    record[1] = 0;

    record[9] = 0x7f;
    tap_ok(seal_open(out, sealed(), bytes_of("hunter2"), bytes_of("p_1"))
           == -1, "so is an absurd amount of memory");
    record[9] = 0;
}


static void
test_limits(void)
{
    uint8_t  out[SEAL_RECORD_LEN];

    static uint8_t  longest[SEAL_PASSWORD_MAX + 1];

    memset(longest, 'x', sizeof(longest));

    tap_ok(seal_close(out, secret, bytes_make(longest, SEAL_PASSWORD_MAX),
                      bytes_of("p_1")) == 0, "a long password is one");
    tap_ok(seal_close(out, secret, bytes_make(longest, sizeof(longest)),
                      bytes_of("p_1")) == -1, "a longer one is refused");
    tap_ok(seal_close(out, secret, bytes_make(NULL, 0), bytes_of("p_1"))
           == 0, "an empty one is the caller's matter");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_round_trip();
    test_refusals();
    test_damage();
    test_limits();

    return tap_done();
}
