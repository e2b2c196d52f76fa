/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Selectors (reference 5.6):
 *
 *     selector  = "." / 1*step
 *     step      = ( "." name / [ "." ] "[" inside "]" ) *"?"
 *     name      = letter or "_", then letters, digits, "_", "$", "-"
 *     inside    = "" / index / [ index ] ":" [ index ] / quoted
 *
 * "Letter" is any code point beyond ASCII too.  In a quoted name a backslash
 * stands before a quote or a backslash, and nowhere else.
 *
 * Resolution goes step by step.  A key that a map has not is null; a step
 * that does not fit its value, or an index out of range, fails, and is null
 * when it is followed by "?".  Bytes are lists of numbers 0 to 255.
 *
 * Pure: any thread, no heap; values are views into the arguments.
 */


#include "ucan_selector.h"


typedef enum {
    UCAN_SELECTOR_FIELD = 0,
    UCAN_SELECTOR_INDEX,
    UCAN_SELECTOR_SLICE,
    UCAN_SELECTOR_COLLECT
} ucan_selector_type_t;


typedef struct {
    ucan_selector_type_t  type;
    bytes_t               name;       /* FIELD; with escapes when quoted */
    int                   escaped;
    int64_t               from;       /* INDEX, SLICE; negative: from end */
    int64_t               to;
    int                   has_from;
    int                   has_to;
    int                   optional;
} ucan_selector_step_t;


static int parse_step(bytes_reader_t *r, ucan_selector_step_t *step);
static int parse_name(bytes_reader_t *r, ucan_selector_step_t *step);
static int parse_bracket(bytes_reader_t *r, ucan_selector_step_t *step);
static int parse_quoted(bytes_reader_t *r, ucan_selector_step_t *step);
static int parse_range(bytes_reader_t *r, ucan_selector_step_t *step);
static int parse_index(bytes_reader_t *r, int64_t *n);
static int match_name(uint8_t c, int first);
static int take_if(bytes_reader_t *r, uint8_t c);

static size_t step_cost(const ucan_selector_step_t *step,
    const ucan_selector_value_t *value);
static int spend(size_t *work, size_t steps);
static int apply_step(const ucan_selector_step_t *step,
    ucan_selector_value_t *value);
static int apply_field(const ucan_selector_step_t *step,
    ucan_selector_value_t *value);
static int apply_index(const ucan_selector_step_t *step,
    ucan_selector_value_t *value);
static int apply_slice(const ucan_selector_step_t *step,
    ucan_selector_value_t *value);
static int apply_collect(ucan_selector_value_t *value);
static bytes_t unescape(const ucan_selector_step_t *step, uint8_t *buf);
static void set_item(ucan_selector_value_t *value, const cbor_item_t *item);
static void set_null(ucan_selector_value_t *value);


int
ucan_selector_validate(bytes_t text)
{
    bytes_reader_t        r;
    ucan_selector_step_t  step;

    if (bytes_equal_text(text, ".")) {
        return 0;
    }

    if (text.len == 0) {
        return -1;
    }

    bytes_reader_open(&r, text);

    while (bytes_reader_left(&r) != 0) {
        if (parse_step(&r, &step) != 0) {
            return -1;
        }
    }

    return 0;
}


int
ucan_selector_begins(bytes_t text, const char *name)
{
    uint8_t               buf[UCAN_SELECTOR_NAME_MAX];
    bytes_reader_t        r;
    ucan_selector_step_t  step;

    bytes_reader_open(&r, text);

    return parse_step(&r, &step) == 0
           && step.type == UCAN_SELECTOR_FIELD
           && bytes_equal_text(unescape(&step, buf), name);
}


ucan_selector_rc_t
ucan_selector_resolve(bytes_t text, const cbor_item_t *root,
    ucan_selector_value_t *value)
{
    size_t  work;

    work = SIZE_MAX;

    return ucan_selector_resolve_within(text, root, value, &work);
}


ucan_selector_rc_t
ucan_selector_resolve_within(bytes_t text, const cbor_item_t *root,
    ucan_selector_value_t *value, size_t *work)
{
    int                   rc;
    bytes_reader_t        r;
    ucan_selector_rc_t    last;
    ucan_selector_step_t  step;

    set_item(value, root);

    last = UCAN_SELECTOR_FOUND;

    if (bytes_equal_text(text, ".")) {
        return last;
    }

    bytes_reader_open(&r, text);

    while (bytes_reader_left(&r) != 0) {

        if (parse_step(&r, &step) != 0
            || !spend(work, step_cost(&step, value)))
        {
            set_null(value);
            return UCAN_SELECTOR_FAILED;
        }

        rc = apply_step(&step, value);

        if (rc < 0 && !step.optional) {
            set_null(value);
            return UCAN_SELECTOR_FAILED;
        }

        if (rc != 0) {
            set_null(value);
            last = UCAN_SELECTOR_NULL;

        } else {
            last = UCAN_SELECTOR_FOUND;
        }
    }

    return last;
}


int
ucan_selector_count(const ucan_selector_value_t *value, size_t *count)
{
    if (value->sliced) {
        *count = value->count;
        return 0;
    }

    switch (value->item.type) {

    case CBOR_LIST:
    case CBOR_MAP:
        *count = value->item.count;
        return 0;

    case CBOR_BYTES:
        *count = value->item.bytes.len;
        return 0;

    default:
        *count = 0;
        return -1;
    }
}


void
ucan_selector_walk(const ucan_selector_value_t *value, bytes_reader_t *r)
{
    size_t       i;
    cbor_item_t  skipped;

    if (value->item.type == CBOR_BYTES) {
        bytes_reader_open(r, value->item.bytes);

    } else if (value->item.type == CBOR_LIST
               || value->item.type == CBOR_MAP)
    {
        bytes_reader_open(r, value->item.body);

    } else {
        bytes_reader_open(r, bytes_make(NULL, 0));
    }

    for (i = 0; value->sliced && i < value->first; i++) {
        if (ucan_selector_next(value, r, &skipped) != 0) {
            return;
        }
    }
}


/* The caller stops at ucan_selector_count(). */
int
ucan_selector_next(const ucan_selector_value_t *value, bytes_reader_t *r,
    cbor_item_t *element)
{
    if (bytes_reader_left(r) == 0) {
        return -1;
    }

    if (value->item.type == CBOR_BYTES) {
        memset(element, 0, sizeof(cbor_item_t));
        element->type = CBOR_INTEGER;
        element->integer = bytes_reader_byte(r);
        return 0;
    }

    if (value->item.type == CBOR_MAP && cbor_next(r, element) != 0) {
        return -1;
    }

    return cbor_next(r, element);
}


static int
parse_step(bytes_reader_t *r, ucan_selector_step_t *step)
{
    int  rc;

    memset(step, 0, sizeof(ucan_selector_step_t));

    if (take_if(r, '[')) {
        rc = parse_bracket(r, step);

    } else if (!take_if(r, '.')) {
        rc = -1;

    } else if (take_if(r, '[')) {
        rc = parse_bracket(r, step);

    } else {
        rc = parse_name(r, step);
    }

    if (rc != 0) {
        return -1;
    }

    while (take_if(r, '?')) {
        step->optional = 1;
    }

    return 0;
}


static int
parse_name(bytes_reader_t *r, ucan_selector_step_t *step)
{
    step->type = UCAN_SELECTOR_FIELD;
    step->name = bytes_make(r->pos, 0);

    while (bytes_reader_left(r) != 0
           && match_name(*r->pos, step->name.len == 0))
    {
        r->pos++;
        step->name.len++;
    }

    return (step->name.len != 0) ? 0 : -1;
}


/* Behind the opening bracket. */
static int
parse_bracket(bytes_reader_t *r, ucan_selector_step_t *step)
{
    if (take_if(r, ']')) {
        step->type = UCAN_SELECTOR_COLLECT;
        return 0;
    }

    if (take_if(r, '"')) {
        return parse_quoted(r, step);
    }

    return parse_range(r, step);
}


static int
parse_quoted(bytes_reader_t *r, ucan_selector_step_t *step)
{
    step->type = UCAN_SELECTOR_FIELD;
    step->name = bytes_make(r->pos, 0);

    for ( ;; ) {

        if (bytes_reader_left(r) == 0) {
            return -1;
        }

        if (*r->pos == '"') {
            break;
        }

        if (*r->pos == '\\') {
            step->escaped = 1;
            r->pos++;

            if (bytes_reader_left(r) == 0
                || (*r->pos != '"' && *r->pos != '\\'))
            {
                return -1;
            }
        }

        r->pos++;
    }

    step->name.len = (size_t) (r->pos - step->name.data);
    r->pos++;

    if (step->escaped && step->name.len > UCAN_SELECTOR_NAME_MAX) {
        return -1;
    }

    return take_if(r, ']') ? 0 : -1;
}


/* [i], [a:b], [a:], [:b]; a bare colon is nothing. */
static int
parse_range(bytes_reader_t *r, ucan_selector_step_t *step)
{
    if (bytes_reader_left(r) != 0 && *r->pos != ':') {

        if (parse_index(r, &step->from) != 0) {
            return -1;
        }

        step->has_from = 1;

        if (take_if(r, ']')) {
            step->type = UCAN_SELECTOR_INDEX;
            return 0;
        }
    }

    if (!take_if(r, ':')) {
        return -1;
    }

    step->type = UCAN_SELECTOR_SLICE;

    if (bytes_reader_left(r) != 0 && *r->pos != ']') {

        if (parse_index(r, &step->to) != 0) {
            return -1;
        }

        step->has_to = 1;
    }

    if (!step->has_from && !step->has_to) {
        return -1;
    }

    return take_if(r, ']') ? 0 : -1;
}


static int
parse_index(bytes_reader_t *r, int64_t *n)
{
    int      negative;
    size_t   digits;
    int64_t  value;

    negative = take_if(r, '-');
    value = 0;

    for (digits = 0; bytes_reader_left(r) != 0; digits++) {

        if (*r->pos < '0' || *r->pos > '9') {
            break;
        }

        value = value * 10 + (*r->pos - '0');

        if (value > CBOR_INTEGER_MAX) {
            return -1;
        }

        r->pos++;
    }

    if (digits == 0) {
        return -1;
    }

    *n = negative ? -value : value;

    return 0;
}


static int
match_name(uint8_t c, int first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || c == '_' || c >= 0x80)
    {
        return 1;
    }

    return !first && ((c >= '0' && c <= '9') || c == '$' || c == '-');
}


static int
take_if(bytes_reader_t *r, uint8_t c)
{
    if (bytes_reader_left(r) == 0 || *r->pos != c) {
        return 0;
    }

    r->pos++;

    return 1;
}


/* At most what apply_step() walks, as if bytes were compared: a field passes
   over values, an index reads each; a slice and a "[]" are only numbers. */
static size_t
step_cost(const ucan_selector_step_t *step, const ucan_selector_value_t *value)
{
    size_t  cost;

    cost = 4 + step->name.len;

    if (step->type == UCAN_SELECTOR_FIELD) {
        cost += value->item.raw.len / 2;

    } else if (step->type == UCAN_SELECTOR_INDEX) {
        cost += value->item.raw.len * 2;
    }

    return cost;
}


static int
spend(size_t *work, size_t steps)
{
    if (*work < steps) {
        *work = 0;
        return 0;
    }

    *work -= steps;

    return 1;
}


/* 0: done; 1: null, the key is absent; -1: the step failed. */
static int
apply_step(const ucan_selector_step_t *step, ucan_selector_value_t *value)
{
    switch (step->type) {

    case UCAN_SELECTOR_FIELD:
        return apply_field(step, value);

    case UCAN_SELECTOR_INDEX:
        return apply_index(step, value);

    case UCAN_SELECTOR_SLICE:
        return apply_slice(step, value);

    default:
        return apply_collect(value);
    }
}


static int
apply_field(const ucan_selector_step_t *step, ucan_selector_value_t *value)
{
    uint8_t      buf[UCAN_SELECTOR_NAME_MAX];
    cbor_item_t  item;

    if (value->sliced || value->item.type != CBOR_MAP) {
        return -1;
    }

    if (cbor_map_find(&value->item, unescape(step, buf), &item) != 0) {
        return 1;
    }

    set_item(value, &item);

    return 0;
}


static int
apply_index(const ucan_selector_step_t *step, ucan_selector_value_t *value)
{
    size_t          count, i;
    int64_t         at;
    cbor_item_t     item;
    bytes_reader_t  r;

    /* a map is a collection only behind "[]" */

    if (ucan_selector_count(value, &count) != 0
        || (value->item.type == CBOR_MAP && !value->sliced))
    {
        return -1;
    }

    at = step->from;

    if (at < 0) {
        at += (int64_t) count;
    }

    if (at < 0 || at >= (int64_t) count) {
        return -1;
    }

    ucan_selector_walk(value, &r);

    for (i = 0; i <= (size_t) at; i++) {
        if (ucan_selector_next(value, &r, &item) != 0) {
            return -1;
        }
    }

    set_item(value, &item);

    return 0;
}


static int
apply_slice(const ucan_selector_step_t *step, ucan_selector_value_t *value)
{
    size_t   count;
    int64_t  from, to, end;

    if (ucan_selector_count(value, &count) != 0
        || (value->item.type == CBOR_MAP && !value->sliced))
    {
        return -1;
    }

    end = (int64_t) count;

    from = step->has_from ? step->from : 0;
    to = step->has_to ? step->to : end;

    from = (from < 0) ? from + end : from;
    to = (to < 0) ? to + end : to;

    from = (from < 0) ? 0 : (from > end) ? end : from;
    to = (to < from) ? from : (to > end) ? end : to;

    value->first = (value->sliced ? value->first : 0) + (size_t) from;
    value->count = (size_t) (to - from);
    value->sliced = 1;

    return 0;
}


static int
apply_collect(ucan_selector_value_t *value)
{
    if (value->item.type == CBOR_LIST) {
        return 0;
    }

    if (value->item.type != CBOR_MAP) {
        return -1;
    }

    if (!value->sliced) {
        value->sliced = 1;
        value->first = 0;
        value->count = value->item.count;
    }

    return 0;
}


static bytes_t
unescape(const ucan_selector_step_t *step, uint8_t *buf)
{
    size_t  i, n;

    if (!step->escaped) {
        return step->name;
    }

    n = 0;

    for (i = 0; i < step->name.len; i++) {
        if (step->name.data[i] == '\\') {
            i++;
        }

        buf[n++] = step->name.data[i];
    }

    return bytes_make(buf, n);
}


static void
set_item(ucan_selector_value_t *value, const cbor_item_t *item)
{
    memset(value, 0, sizeof(ucan_selector_value_t));
    value->item = *item;
}


static void
set_null(ucan_selector_value_t *value)
{
    memset(value, 0, sizeof(ucan_selector_value_t));
    value->item.type = CBOR_NULL;
}
