/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * digest.c: SHA-256 of FIPS 180-4, of every length around its blocks, and by
 * many threads from the first call on.
 */


#include <pthread.h>
#include <stdatomic.h>

#include <sodium.h>

#include "digest.h"
#include "tap.h"


#define THREADS  4


static atomic_uint  failures;


static int
match(const void *data, size_t len)
{
    uint8_t  a[DIGEST_SHA256_LEN], b[crypto_hash_sha256_BYTES];

    digest_sha256(bytes_make(data, len), a);
    (void) crypto_hash_sha256(b, data, len);

    return memcmp(a, b, sizeof(a)) == 0;
}


static void *
run_thread(void *data)
{
    size_t   i;
    uint8_t  buf[300];

    memset(buf, (int) (uintptr_t) data, sizeof(buf));

    for (i = 0; i < 2000; i++) {
        buf[i % sizeof(buf)] ^= (uint8_t) i;

        if (!match(buf, i % sizeof(buf))) {
            atomic_fetch_add(&failures, 1);
        }
    }

    return NULL;
}


/* Any portions of any length have the digest of the whole. */
static void
test_portions(void)
{
    size_t    i, len, done, n;
    uint8_t   buf[300], a[DIGEST_SHA256_LEN], b[DIGEST_SHA256_LEN];
    digest_t  d;
    unsigned  bad;

    bad = 0;

    for (i = 0; i < sizeof(buf); i++) {
        buf[i] = (uint8_t) (i * 7);
    }

    for (len = 0; len <= sizeof(buf); len++) {
        for (n = 1; n <= 130; n += 43) {
            digest_open(&d);

            for (done = 0; done < len; done += n) {
                digest_feed(&d, bytes_make(buf + done,
                                           len - done < n ? len - done : n));
            }

            bad += digest_write(&d, a) != 0;
            digest_sha256(bytes_make(buf, len), b);
            bad += memcmp(a, b, sizeof(a)) != 0;
        }
    }

    tap_ok(bad == 0, "a digest that is fed in portions is that of the whole");

    digest_open(&d);
    digest_feed(&d, bytes_make(buf, 1));
    digest_close(&d);
    digest_close(&d);
    tap_ok(d.context == NULL, "one that is given up is closed");
}


static void
test_threads(void)
{
    size_t     i, started;
    pthread_t  threads[THREADS];

    started = 0;

    for (i = 0; i < THREADS; i++) {
        started += pthread_create(&threads[i], NULL, run_thread,
                                  (void *) (uintptr_t) i) == 0;
    }

    for (i = 0; i < started; i++) {
        (void) pthread_join(threads[i], NULL);
    }

    tap_ok(started == THREADS && atomic_load(&failures) == 0,
           "threads that are first together agree");
}


static void
test_known_answers(void)
{
    size_t   i, wrong;
    char     hex[2 * DIGEST_SHA256_LEN + 1];
    uint8_t  out[DIGEST_SHA256_LEN], buf[5000];

    static const struct {
        const char  *text;
        const char  *hex;
    } cases[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
              "55" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f2"
                 "0015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        digest_sha256(bytes_of(cases[i].text), out);
        (void) sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
        tap_ok(strcmp(hex, cases[i].hex) == 0, "FIPS 180-4, example %zu", i);
    }

    digest_sha256(bytes_make(NULL, 0), out);
    (void) sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
    tap_ok(strcmp(hex, cases[0].hex) == 0, "no bytes at all");

    randombytes_buf(buf, sizeof(buf));
    wrong = 0;

    for (i = 0; i < 1000; i++) {
        wrong += !match(buf + i % 7, i);
    }

    wrong += !match(buf, sizeof(buf));

    tap_ok(wrong == 0, "every length agrees with libsodium");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_threads();
    test_portions();
    test_known_answers();

    return tap_done();
}
