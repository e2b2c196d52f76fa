/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys and signatures of every type: RSA keys in DER, points, R || S, lines
 * of key files.  Inputs up to 8 kB make sense:
 *
 *     0 .. 5   type | 2 bytes length | key | signature | message
 *     6        a line of a key file
 */


#include <stdlib.h>

#include <openssl/err.h>
#include <sodium.h>

#include "did_rsa.h"
#include "signature_curve.h"
#include "signature_signer.h"


#define FUZZ_SIZE_MAX  8192


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_signature(did_algorithm_t algorithm, bytes_reader_t *r);
static void check_der(bytes_t der);
static void write_integer(bytes_t number, bytes_writer_t *w);
static void write_head(uint8_t tag, size_t len, bytes_writer_t *w);
static void check_numbers(bytes_t sig);
static void check_line(bytes_t line);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t         type;
    bytes_reader_t  r;

    if (size == 0 || size > FUZZ_SIZE_MAX || sodium_init() < 0) {
        return 0;
    }

    bytes_reader_open(&r, bytes_make(data, size));
    type = bytes_reader_byte(&r);

    if (type < DID_ALGORITHM_COUNT) {
        check_signature((did_algorithm_t) type, &r);

    } else {
        check_line(bytes_reader_take(&r, bytes_reader_left(&r)));
    }

    if (ERR_peek_error() != 0) {
        abort();
    }

    return 0;
}


static void
check_signature(did_algorithm_t algorithm, bytes_reader_t *r)
{
    size_t     len;
    bytes_t    bytes, sig, message;
    did_key_t  key;

    len = (size_t) bytes_reader_byte(r) << 8;
    len |= bytes_reader_byte(r);
    bytes = bytes_reader_take(r, len);

    if (r->failed || len > DID_KEY_MAX) {
        return;
    }

    memset(&key, 0, sizeof(key));
    key.algorithm = algorithm;
    key.len = len;

    if (len != 0) {
        memcpy(key.key, bytes.data, len);
    }

    if (algorithm == DID_RSA) {
        check_der(bytes);
    }

    len = signature_len(&key);

    if (len == 0) {

        if (signature_key_valid(&key)) {
            abort();
        }

        return;
    }

    sig = bytes_reader_take(r, len);

    if (r->failed) {
        (void) signature_key_valid(&key);
        return;
    }

    message = bytes_reader_take(r, bytes_reader_left(r));
    check_numbers(sig);

    /* what verifies is a key, and says the same of the same bytes again */

    if (signature_verify(&key, message, sig)
        && (!signature_key_valid(&key)
            || !signature_verify(&key, message, sig)
            || signature_verify(&key, message,
                                bytes_make(sig.data, len - 1))
            || signature_verify(&key, bytes_of("another message"), sig)))
    {
        abort();
    }
}


/* A key that is taken has one encoding, the one that it came in. */
static void
check_der(bytes_t der)
{
    uint8_t         body[2 * DID_KEY_MAX], all[2 * DID_KEY_MAX];
    did_rsa_t       rsa;
    bytes_writer_t  b, w;

    if (did_rsa_parse(der, &rsa) != 0) {
        return;
    }

    bytes_writer_open(&b, body, sizeof(body));
    write_integer(rsa.modulus, &b);
    write_integer(rsa.exponent, &b);

    bytes_writer_open(&w, all, sizeof(all));
    write_head(0x30, bytes_writer_view(&b).len, &w);
    bytes_writer_bytes(&w, bytes_writer_view(&b));

    if (!bytes_equal(bytes_writer_view(&w), der)) {
        abort();
    }
}


static void
write_integer(bytes_t number, bytes_writer_t *w)
{
    size_t  sign;

    sign = (number.data[0] & 0x80) != 0;

    write_head(0x02, number.len + sign, w);

    if (sign) {
        bytes_writer_byte(w, 0);
    }

    bytes_writer_bytes(w, number);
}


static void
write_head(uint8_t tag, size_t len, bytes_writer_t *w)
{
    bytes_writer_byte(w, tag);

    if (len >= 0x100) {
        bytes_writer_byte(w, 0x82);
        bytes_writer_byte(w, (uint8_t) (len >> 8));

    } else if (len >= 0x80) {
        bytes_writer_byte(w, 0x81);
    }

    bytes_writer_byte(w, (uint8_t) len);
}


/* Two numbers of the same length go through DER and come back. */
static void
check_numbers(bytes_t sig)
{
    uint8_t         der[SIGNATURE_CURVE_DER_MAX];
    uint8_t         back[2 * SIGNATURE_CURVE_COORDINATE_MAX];
    bytes_writer_t  d, w;

    if (sig.len > sizeof(back)) {
        return;
    }

    bytes_writer_open(&d, der, sizeof(der));
    bytes_writer_open(&w, back, sizeof(back));

    if (signature_curve_encode(sig, &d) != 0
        || signature_curve_decode(bytes_writer_view(&d), sig.len / 2, &w)
           != 0
        || !bytes_equal(bytes_writer_view(&w), sig))
    {
        abort();
    }
}


/* A line that is a key is written as the same line, and signs. */
static void
check_line(bytes_t line)
{
    uint8_t              text[SIGNATURE_SIGNER_TEXT_MAX + 1];
    uint8_t              sig[SIGNATURE_SIGNER_SIG_MAX];
    bytes_t              message, again;
    did_key_t            key;
    bytes_writer_t       w;
    signature_signer_t   signer;

    if (signature_signer_parse(&signer, line) != 0) {
        return;
    }

    if (line.data[line.len - 1] == '\n') {
        line.len--;
    }

    bytes_writer_open(&w, text, sizeof(text));

    if (signature_signer_write(&signer, &w) != 0) {
        abort();
    }

    again = bytes_writer_view(&w);
    again.len--;

    if (!bytes_equal(again, line)) {
        abort();
    }

    message = bytes_of("message");
    bytes_writer_open(&w, sig, sizeof(sig));

    if (signature_signer_sign(&signer, message, &w) != 0
        || did_parse(signature_signer_did(&signer), &key) != 0
        || !signature_verify(&key, message, bytes_writer_view(&w)))
    {
        abort();
    }

    signature_signer_destroy(&signer);
}
