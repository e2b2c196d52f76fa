/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Policies of UCAN 1.0 (reference 5.6): a list of statements, all of which
 * must hold.
 *
 *     ["==" | "!=", selector, anything]     deep; numbers by value
 *     ["<" | "<=" | ">" | ">=", selector, number]
 *     ["like", selector, glob]              "*" any run, "\*" a star
 *     ["and" | "or", [statement, ...]]      both true when empty
 *     ["not", statement]
 *     ["all" | "any", selector, statement]  over a collection; "." is the
 *                                           item; any of nothing is false
 *
 * A selector that cannot be resolved makes its statement false, "!=" as well;
 * so "not" over it is true.  ("!=" and any-of-nothing are ours: the text of
 * the specification is of two minds, and false refuses.)
 *
 * A match that runs out of work is false as a whole, not false where it ran
 * out, since that may be under a "not".
 *
 * Pure: any thread, no heap; recursion up to UCAN_POLICY_DEPTH_MAX.
 */


#include "cbor.h"
#include "ucan_policy.h"
#include "ucan_selector.h"


typedef enum {
    UCAN_POLICY_EQUAL = 0,
    UCAN_POLICY_NOT_EQUAL,
    UCAN_POLICY_LESS,
    UCAN_POLICY_LESS_EQUAL,
    UCAN_POLICY_GREATER,
    UCAN_POLICY_GREATER_EQUAL,
    UCAN_POLICY_LIKE,
    UCAN_POLICY_AND,
    UCAN_POLICY_OR,
    UCAN_POLICY_NOT,
    UCAN_POLICY_ALL,
    UCAN_POLICY_ANY,
    UCAN_POLICY_UNKNOWN
} ucan_policy_operator_t;


static ucan_policy_operator_t find_operator(const cbor_item_t *name);
static ucan_policy_operator_t enter_statement(bytes_reader_t *r);
static int validate_list(bytes_reader_t *r, unsigned depth,
    size_t *statements);
static int validate_statement(bytes_reader_t *r, unsigned depth,
    size_t *statements);
static int validate_selector(bytes_reader_t *r);
static int validate_operand(bytes_reader_t *r, ucan_policy_operator_t op);

static int list_asks(bytes_reader_t *r, const char *name);
static int statement_asks(bytes_reader_t *r, const char *name);

static int match_statement(const cbor_item_t *statement,
    const cbor_item_t *root, size_t *work);
static int match_list(ucan_policy_operator_t op, const cbor_item_t *list,
    const cbor_item_t *root, size_t *work);
static int match_each(ucan_policy_operator_t op,
    const cbor_item_t *statement, const ucan_selector_value_t *value,
    size_t *work);
static int match_comparison(ucan_policy_operator_t op,
    const ucan_selector_value_t *value, const cbor_item_t *operand,
    size_t *work);
static int match_order(ucan_policy_operator_t op, const cbor_item_t *a,
    const cbor_item_t *b);
static int match_glob(bytes_t text, bytes_t glob, size_t *work);

static int equal_value(const ucan_selector_value_t *value,
    const cbor_item_t *operand, size_t *work);
static int equal_items(const cbor_item_t *a, const cbor_item_t *b,
    size_t *work);
static int equal_bodies(const cbor_item_t *a, const cbor_item_t *b,
    size_t *work);
static int match_number(const cbor_item_t *item);
static double number_of(const cbor_item_t *item);
static int spend(size_t *work, size_t steps);


/* in the order of ucan_policy_operator_t */

static const char *const  ucan_policy_operators[] = {
    "==", "!=", "<", "<=", ">", ">=", "like",
    "and", "or", "not", "all", "any"
};

_Static_assert(sizeof(ucan_policy_operators)
               / sizeof(ucan_policy_operators[0])
               == UCAN_POLICY_UNKNOWN, "operators");


int
ucan_policy_validate(bytes_t policy)
{
    size_t          statements;
    bytes_reader_t  r;

    if (cbor_validate(policy) != 0) {
        return -1;
    }

    statements = 0;
    bytes_reader_open(&r, policy);

    return validate_list(&r, 0, &statements);
}


int
ucan_policy_match(bytes_t policy, bytes_t args, size_t *work)
{
    cbor_item_t  root;

    return cbor_read(args, &root) == 0
           && ucan_policy_match_item(policy, &root, work);
}


int
ucan_policy_match_item(bytes_t policy, const cbor_item_t *args,
    size_t *work)
{
    cbor_item_t  list;

    return cbor_read(policy, &list) == 0
           && match_list(UCAN_POLICY_AND, &list, args, work)
           && *work != 0;
}


int
ucan_policy_asks(bytes_t policy, const char *name)
{
    bytes_reader_t  r;

    bytes_reader_open(&r, policy);

    return list_asks(&r, name);
}


static ucan_policy_operator_t
find_operator(const cbor_item_t *name)
{
    size_t  i;

    if (name->type != CBOR_TEXT) {
        return UCAN_POLICY_UNKNOWN;
    }

    for (i = 0; i < UCAN_POLICY_UNKNOWN; i++) {
        if (bytes_equal_text(name->bytes, ucan_policy_operators[i])) {
            break;
        }
    }

    return (ucan_policy_operator_t) i;
}


/* Moves to what follows the operator of a statement that has as many items as
   the operator takes. */
static ucan_policy_operator_t
enter_statement(bytes_reader_t *r)
{
    size_t                  count;
    cbor_item_t             statement, name;
    ucan_policy_operator_t  op;

    if (cbor_enter(r, &statement) != 0
        || statement.type != CBOR_LIST
        || statement.count == 0
        || cbor_next(r, &name) != 0)
    {
        return UCAN_POLICY_UNKNOWN;
    }

    op = find_operator(&name);

    switch (op) {

    case UCAN_POLICY_AND:
    case UCAN_POLICY_OR:
    case UCAN_POLICY_NOT:
        count = 2;
        break;

    default:
        count = 3;
        break;
    }

    return (statement.count == count) ? op : UCAN_POLICY_UNKNOWN;
}


/* One way through: whatever is nested how deep, each byte is read once. */
static int
validate_list(bytes_reader_t *r, unsigned depth, size_t *statements)
{
    size_t       i;
    cbor_item_t  list;

    if (cbor_enter(r, &list) != 0 || list.type != CBOR_LIST) {
        return -1;
    }

    for (i = 0; i < list.count; i++) {
        if (validate_statement(r, depth + 1, statements) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
validate_statement(bytes_reader_t *r, unsigned depth, size_t *statements)
{
    ucan_policy_operator_t  op;

    if (depth > UCAN_POLICY_DEPTH_MAX
        || ++*statements > UCAN_POLICY_STATEMENTS_MAX)
    {
        return -1;
    }

    op = enter_statement(r);

    switch (op) {

    case UCAN_POLICY_UNKNOWN:
        return -1;

    case UCAN_POLICY_AND:
    case UCAN_POLICY_OR:
        return validate_list(r, depth, statements);

    case UCAN_POLICY_NOT:
        return validate_statement(r, depth + 1, statements);

    case UCAN_POLICY_ALL:
    case UCAN_POLICY_ANY:
        return (validate_selector(r) == 0)
               ? validate_statement(r, depth + 1, statements) : -1;

    default:
        return (validate_selector(r) == 0) ? validate_operand(r, op) : -1;
    }
}


static int
validate_selector(bytes_reader_t *r)
{
    cbor_item_t  selector;

    if (cbor_next(r, &selector) != 0 || selector.type != CBOR_TEXT) {
        return -1;
    }

    return ucan_selector_validate(selector.bytes);
}


static int
validate_operand(bytes_reader_t *r, ucan_policy_operator_t op)
{
    cbor_item_t  operand;

    if (cbor_next(r, &operand) != 0) {
        return -1;
    }

    switch (op) {

    case UCAN_POLICY_EQUAL:
    case UCAN_POLICY_NOT_EQUAL:
        return 0;

    case UCAN_POLICY_LIKE:
        return (operand.type == CBOR_TEXT
                && operand.bytes.len <= UCAN_POLICY_GLOB_MAX)
               ? 0 : -1;

    default:
        return match_number(&operand) ? 0 : -1;
    }
}


static int
list_asks(bytes_reader_t *r, const char *name)
{
    size_t       i;
    cbor_item_t  list;

    if (cbor_enter(r, &list) != 0) {
        return 1;
    }

    for (i = 0; i < list.count; i++) {
        if (statement_asks(r, name)) {
            return 1;
        }
    }

    return 0;
}


/* What stands inside "all" and "any" is about the items, not about args. */
static int
statement_asks(bytes_reader_t *r, const char *name)
{
    cbor_item_t  selector, operand;

    switch (enter_statement(r)) {

    case UCAN_POLICY_UNKNOWN:
        return 1;

    case UCAN_POLICY_AND:
    case UCAN_POLICY_OR:
        return list_asks(r, name);

    case UCAN_POLICY_NOT:
        return statement_asks(r, name);

    default:
        return cbor_next(r, &selector) != 0
               || cbor_next(r, &operand) != 0
               || ucan_selector_begins(selector.bytes, name);
    }
}


static int
match_statement(const cbor_item_t *statement, const cbor_item_t *root,
    size_t *work)
{
    cbor_item_t             name, second, operand;
    bytes_reader_t          r;
    ucan_policy_operator_t  op;
    ucan_selector_value_t   value;

    /* all of it is walked here, once more at each level of nesting */

    if (!spend(work, statement->raw.len)) {
        return 0;
    }

    bytes_reader_open(&r, statement->body);

    if (cbor_next(&r, &name) != 0 || cbor_next(&r, &second) != 0) {
        return 0;
    }

    op = find_operator(&name);

    if (op == UCAN_POLICY_AND || op == UCAN_POLICY_OR) {
        return match_list(op, &second, root, work);
    }

    if (op == UCAN_POLICY_NOT) {
        return !match_statement(&second, root, work);
    }

    if (op == UCAN_POLICY_UNKNOWN
        || cbor_next(&r, &operand) != 0
        || ucan_selector_resolve_within(second.bytes, root, &value, work)
           == UCAN_SELECTOR_FAILED)
    {
        return 0;
    }

    if (op == UCAN_POLICY_ALL || op == UCAN_POLICY_ANY) {
        return match_each(op, &operand, &value, work);
    }

    return match_comparison(op, &value, &operand, work);
}


static int
match_list(ucan_policy_operator_t op, const cbor_item_t *list,
    const cbor_item_t *root, size_t *work)
{
    int             holds;
    cbor_item_t     statement;
    bytes_reader_t  r;

    bytes_reader_open(&r, list->body);

    while (bytes_reader_left(&r) != 0) {

        if (cbor_next(&r, &statement) != 0) {
            return 0;
        }

        holds = match_statement(&statement, root, work);

        if (holds == (op == UCAN_POLICY_OR)) {
            return holds;
        }
    }

    return op == UCAN_POLICY_AND || list->count == 0;
}


static int
match_each(ucan_policy_operator_t op, const cbor_item_t *statement,
    const ucan_selector_value_t *value, size_t *work)
{
    int             holds;
    size_t          i, count;
    cbor_item_t     element;
    bytes_reader_t  r;

    if (ucan_selector_count(value, &count) != 0) {
        return 0;
    }

    if (value->sliced && !spend(work, value->item.raw.len)) {
        return 0;
    }

    ucan_selector_walk(value, &r);

    for (i = 0; i < count; i++) {

        if (ucan_selector_next(value, &r, &element) != 0
            || !spend(work, element.raw.len))
        {
            return 0;
        }

        holds = match_statement(statement, &element, work);

        if (holds == (op == UCAN_POLICY_ANY)) {
            return holds;
        }
    }

    return op == UCAN_POLICY_ALL;
}


static int
match_comparison(ucan_policy_operator_t op,
    const ucan_selector_value_t *value, const cbor_item_t *operand,
    size_t *work)
{
    switch (op) {

    case UCAN_POLICY_EQUAL:
        return equal_value(value, operand, work);

    case UCAN_POLICY_NOT_EQUAL:
        return !equal_value(value, operand, work);

    case UCAN_POLICY_LIKE:
        return !value->sliced
               && value->item.type == CBOR_TEXT
               && match_glob(value->item.bytes, operand->bytes, work);

    default:
        return !value->sliced
               && match_number(&value->item)
               && match_order(op, &value->item, operand);
    }
}


/* Integers are within 53 bits, so a double holds each of them exactly. */
static int
match_order(ucan_policy_operator_t op, const cbor_item_t *a,
    const cbor_item_t *b)
{
    double  x, y;

    x = number_of(a);
    y = number_of(b);

    switch (op) {

    case UCAN_POLICY_LESS:
        return x < y;

    case UCAN_POLICY_LESS_EQUAL:
        return x <= y;

    case UCAN_POLICY_GREATER:
        return x > y;

    default:
        return x >= y;
    }
}


/*
 * Greedy: after a star the rest is tried at each place in turn, and only the
 * last star is ever gone back to, so the time is bounded by the product of
 * the lengths.
 */

static int
match_glob(bytes_t text, bytes_t glob, size_t *work)
{
    int     literal, star;
    size_t  t, g, star_t, star_g;

    t = 0;
    g = 0;
    star = 0;
    star_t = 0;
    star_g = 0;

    while (t < text.len || g < glob.len) {

        if (*work == 0) {
            return 0;
        }

        --*work;

        literal = g + 1 < glob.len
                  && glob.data[g] == '\\'
                  && glob.data[g + 1] == '*';

        if (g < glob.len && !literal && glob.data[g] == '*') {
            star = 1;
            star_t = t;
            star_g = ++g;
            continue;
        }

        if (t < text.len && g < glob.len
            && text.data[t] == glob.data[g + (literal ? 1 : 0)])
        {
            t++;
            g += literal ? 2 : 1;
            continue;
        }

        if (!star || star_t == text.len) {
            return 0;
        }

        t = ++star_t;
        g = star_g;
    }

    return 1;
}


static int
equal_value(const ucan_selector_value_t *value, const cbor_item_t *operand,
    size_t *work)
{
    size_t          i;
    cbor_item_t     a, b;
    bytes_reader_t  r, s;

    if (!value->sliced) {
        return equal_items(&value->item, operand, work);
    }

    if (value->item.type == CBOR_BYTES) {
        return operand->type == CBOR_BYTES
               && spend(work, value->count)
               && bytes_equal(bytes_make(value->item.bytes.data
                                         + value->first, value->count),
                              operand->bytes);
    }

    if (operand->type != CBOR_LIST
        || operand->count != value->count
        || !spend(work, value->item.raw.len))
    {
        return 0;
    }

    ucan_selector_walk(value, &r);
    bytes_reader_open(&s, operand->body);

    for (i = 0; i < value->count; i++) {
        if (ucan_selector_next(value, &r, &a) != 0
            || cbor_next(&s, &b) != 0
            || !equal_items(&a, &b, work))
        {
            return 0;
        }
    }

    return 1;
}


static int
equal_items(const cbor_item_t *a, const cbor_item_t *b, size_t *work)
{
    if (match_number(a) && match_number(b)) {
        return spend(work, 0) && number_of(a) == number_of(b);
    }

    if (a->type != b->type || !spend(work, a->raw.len + b->raw.len)) {
        return 0;
    }

    switch (a->type) {

    case CBOR_NULL:
        return 1;

    case CBOR_BOOL:
        return a->integer == b->integer;

    case CBOR_LIST:
    case CBOR_MAP:
        return a->count == b->count && equal_bodies(a, b, work);

    default:
        return bytes_equal(a->bytes, b->bytes);
    }
}


/* Maps too: canonical order is the same on both sides. */
static int
equal_bodies(const cbor_item_t *a, const cbor_item_t *b, size_t *work)
{
    cbor_item_t     x, y;
    bytes_reader_t  r, s;

    bytes_reader_open(&r, a->body);
    bytes_reader_open(&s, b->body);

    while (bytes_reader_left(&r) != 0) {
        if (cbor_next(&r, &x) != 0
            || cbor_next(&s, &y) != 0
            || !equal_items(&x, &y, work))
        {
            return 0;
        }
    }

    return bytes_reader_left(&s) == 0;
}


static int
match_number(const cbor_item_t *item)
{
    return item->type == CBOR_INTEGER || item->type == CBOR_FLOAT;
}


static double
number_of(const cbor_item_t *item)
{
    return (item->type == CBOR_INTEGER) ? (double) item->integer
                                        : item->number;
}


static int
spend(size_t *work, size_t steps)
{
    steps += 16;

    if (*work < steps) {
        *work = 0;
        return 0;
    }

    *work -= steps;

    return 1;
}
