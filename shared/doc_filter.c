/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Filters: read into a flat list of nodes, then asked of documents in place.
 * A document is walked once for all paths.
 *
 * Pure: any thread, no heap; recursion is bounded by DOC_FILTER_DEPTH_MAX.
 */


#include "doc_filter.h"
#include "json_letters.h"


_Static_assert(DOC_FILTER_TERMS_MAX <= DOC_PATH_SET_MAX,
               "each term may have a path of its own");


typedef struct {
    const char       *name;
    doc_filter_op_t   op;
} doc_filter_word_t;


static int parse_filter(doc_filter_t *f, const json_scan_t *object,
    unsigned depth);
static int parse_member(doc_filter_t *f, const json_scan_t *key,
    const json_scan_t *value, unsigned depth);
static int parse_group(doc_filter_t *f, doc_filter_op_t op,
    const json_scan_t *value, unsigned depth);
static int parse_list(doc_filter_t *f, const json_scan_t *list,
    unsigned depth);
static int parse_field(doc_filter_t *f, const json_scan_t *key,
    const json_scan_t *value);
static int parse_term(doc_filter_t *f, size_t path, doc_filter_op_t op,
    const json_scan_t *value);
static const char *check_value(doc_filter_op_t op, const json_scan_t *value);
static int add_path(doc_filter_t *f, const json_scan_t *key, size_t *at);
static doc_filter_node_t *add_node(doc_filter_t *f, doc_filter_op_t op);
static int refuse_filter(doc_filter_t *f, const char *fault);
static void push_key(doc_filter_t *f, const json_scan_t *key);
static void push_text(doc_filter_t *f, const char *text);
static void push_index(doc_filter_t *f, size_t i);
static const doc_filter_word_t *find_word(const doc_filter_word_t *words,
    const json_scan_t *key);
static int match_node(const doc_filter_t *f, size_t i, uint32_t found,
    const json_scan_t *values);
static int match_term(const doc_filter_node_t *node, int found,
    const json_scan_t *value);
static int match_list(const json_scan_t *list, const json_scan_t *value);
static int match_prefix(const json_scan_t *prefix, const json_scan_t *value);
static int compare_strings(const json_scan_t *a, const json_scan_t *b);


static const doc_filter_word_t  groups[] = {
    { "and", DOC_FILTER_AND },
    { "or", DOC_FILTER_OR },
    { "not", DOC_FILTER_NOT },
    { NULL, DOC_FILTER_AND }
};

static const doc_filter_word_t  terms[] = {
    { "eq", DOC_FILTER_EQ },
    { "ne", DOC_FILTER_NE },
    { "lt", DOC_FILTER_LT },
    { "lte", DOC_FILTER_LTE },
    { "gt", DOC_FILTER_GT },
    { "gte", DOC_FILTER_GTE },
    { "in", DOC_FILTER_IN },
    { "exists", DOC_FILTER_EXISTS },
    { "prefix", DOC_FILTER_PREFIX },
    { NULL, DOC_FILTER_AND }
};


int
doc_filter_parse(doc_filter_t *filter, const json_scan_t *value,
    const char *base)
{
    filter->count = 0;
    filter->terms = 0;
    filter->paths.count = 0;
    filter->fault = NULL;
    filter->pointer_len = 0;

    push_text(filter, base);

    if (value->type != JSON_SCAN_OBJECT) {
        return refuse_filter(filter, "a filter is an object");
    }

    (void) add_node(filter, DOC_FILTER_AND);

    if (parse_filter(filter, value, 0) != 0) {
        return -1;
    }

    filter->nodes[0].end = filter->count;

    return 0;
}


static int
parse_filter(doc_filter_t *f, const json_scan_t *object, unsigned depth)
{
    size_t       pos, len;
    json_scan_t  key, value;

    pos = 0;
    len = f->pointer_len;

    while (json_scan_next(object, &pos, &key, &value) == 0) {
        push_key(f, &key);

        if (parse_member(f, &key, &value, depth) != 0) {
            return -1;
        }

        f->pointer_len = len;
    }

    return 0;
}


static int
parse_member(doc_filter_t *f, const json_scan_t *key,
    const json_scan_t *value, unsigned depth)
{
    const doc_filter_word_t  *word;

    word = find_word(groups, key);

    return word ? parse_group(f, word->op, value, depth + 1)
                : parse_field(f, key, value);
}


static int
parse_group(doc_filter_t *f, doc_filter_op_t op, const json_scan_t *value,
    unsigned depth)
{
    int                 rc;
    size_t              pos;
    json_scan_t         first;
    doc_filter_node_t  *node;

    pos = 0;

    if (value->type
        != (op == DOC_FILTER_NOT ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY))
    {
        return refuse_filter(f, op == DOC_FILTER_NOT
                                ? "\"not\" takes a filter, an object"
                                : "\"and\" and \"or\" take a list of "
                                  "filters");
    }

    if (json_scan_next(value, &pos, NULL, &first) != 0) {
        return refuse_filter(f, "there is nothing in it");
    }

    if (depth > DOC_FILTER_DEPTH_MAX) {
        return refuse_filter(f, "\"and\", \"or\" and \"not\" are nested more "
                                "than 4 deep");
    }

    node = add_node(f, op);

    if (node == NULL) {
        return refuse_filter(f, "the filter has too many parts");
    }

    rc = (op == DOC_FILTER_NOT) ? parse_filter(f, value, depth)
                                : parse_list(f, value, depth);

    node->end = f->count;

    return rc;
}


static int
parse_list(doc_filter_t *f, const json_scan_t *list, unsigned depth)
{
    size_t              i, pos, inner, len;
    json_scan_t         value, member;
    doc_filter_node_t  *node;

    pos = 0;
    len = f->pointer_len;

    for (i = 0; json_scan_next(list, &pos, NULL, &value) == 0; i++) {
        inner = 0;
        push_index(f, i);

        if (value.type != JSON_SCAN_OBJECT
            || json_scan_next(&value, &inner, NULL, &member) != 0)
        {
            return refuse_filter(f, "a filter in a list is an object that is "
                                    "not empty");
        }

        node = add_node(f, DOC_FILTER_AND);

        if (node == NULL) {
            return refuse_filter(f, "the filter has too many parts");
        }

        if (parse_filter(f, &value, depth) != 0) {
            return -1;
        }

        node->end = f->count;
        f->pointer_len = len;
    }

    return 0;
}


static int
parse_field(doc_filter_t *f, const json_scan_t *key, const json_scan_t *value)
{
    size_t                    path, pos, len;
    json_scan_t               name, operand;
    const doc_filter_word_t  *word;

    if (add_path(f, key, &path) != 0) {
        return -1;
    }

    if (value->type != JSON_SCAN_OBJECT) {
        return parse_term(f, path, DOC_FILTER_EQ, value);
    }

    pos = 0;
    len = f->pointer_len;

    while (json_scan_next(value, &pos, &name, &operand) == 0) {
        push_key(f, &name);
        word = find_word(terms, &name);

        if (word == NULL) {
            return refuse_filter(f, "no such comparison: eq ne lt lte gt gte "
                                    "in exists prefix");
        }

        if (parse_term(f, path, word->op, &operand) != 0) {
            return -1;
        }

        f->pointer_len = len;
    }

    return (pos == 0) ? refuse_filter(f, "there is nothing in it") : 0;
}


static int
parse_term(doc_filter_t *f, size_t path, doc_filter_op_t op,
    const json_scan_t *value)
{
    const char         *fault;
    doc_filter_node_t  *node;

    fault = check_value(op, value);

    if (fault != NULL) {
        return refuse_filter(f, fault);
    }

    if (f->terms == DOC_FILTER_TERMS_MAX) {
        return refuse_filter(f, "the filter has more than 32 comparisons");
    }

    node = add_node(f, op);

    if (node == NULL) {
        return refuse_filter(f, "the filter has too many parts");
    }

    f->terms++;
    node->path = path;
    node->value = *value;
    node->end = f->count;

    return 0;
}


/* NULL, or what is wrong with it. */
static const char *
check_value(doc_filter_op_t op, const json_scan_t *value)
{
    size_t       n, pos;
    json_scan_t  element;

    switch (op) {

    case DOC_FILTER_EXISTS:
        return (value->type == JSON_SCAN_BOOL)
               ? NULL : "\"exists\" takes true or false";

    case DOC_FILTER_PREFIX:
        return (value->type == JSON_SCAN_STRING)
               ? NULL : "\"prefix\" takes a string";

    case DOC_FILTER_IN:
        if (value->type != JSON_SCAN_ARRAY) {
            return "\"in\" takes a list";
        }

        pos = 0;

        for (n = 0; json_scan_next(value, &pos, NULL, &element) == 0; n++) {

            if (n == DOC_FILTER_VALUES_MAX) {
                return "\"in\" has more than 32 values";
            }

            if (!doc_filter_scalar(&element)) {
                return "\"in\" takes null, true, false, strings, and numbers "
                       "that a double can hold";
            }
        }

        return NULL;

    default:
        return doc_filter_scalar(value)
               ? NULL : "compared is with null, true, false, a string, or a "
                        "number that a double can hold";
    }
}


static int
add_path(doc_filter_t *f, const json_scan_t *key, size_t *at)
{
    uint8_t             text[DOC_PATH_MAX];
    const char         *fault;
    bytes_writer_t      w;
    doc_path_t  *path;

    bytes_writer_open(&w, text, sizeof(text));

    if (json_scan_string(key, &w) != 0) {
        return refuse_filter(f, "a path has more than 128 bytes");
    }

    if (f->paths.count == DOC_FILTER_TERMS_MAX) {
        return refuse_filter(f, "the filter has more than 32 comparisons");
    }

    path = &f->paths.paths[f->paths.count];
    fault = doc_path_parse(path, bytes_writer_view(&w));

    if (fault != NULL) {
        return refuse_filter(f, fault);
    }

    path->text = key->text;

    for (*at = 0; *at < f->paths.count; (*at)++) {

        if (doc_path_equal(&f->paths.paths[*at], path)) {
            return 0;
        }
    }

    f->paths.count++;

    return 0;
}


static doc_filter_node_t *
add_node(doc_filter_t *f, doc_filter_op_t op)
{
    doc_filter_node_t  *node;

    if (f->count == DOC_FILTER_NODES_MAX) {
        return NULL;
    }

    node = &f->nodes[f->count++];
    node->op = op;
    node->end = f->count;
    node->path = 0;

    return node;
}


static int
refuse_filter(doc_filter_t *f, const char *fault)
{
    f->fault = fault;
    f->count = 0;

    return -1;
}


/* "/" and the key, as RFC 6901, 3 writes it; what is too long is cut. */
static void
push_key(doc_filter_t *f, const json_scan_t *key)
{
    int             c;
    json_letters_t  l;

    push_text(f, "/");
    json_letters_open(&l, key->text.data, key->text.data + key->text.len);

    while ((c = json_letters_next(&l)) >= 0) {

        if (c == '~') {
            push_text(f, "~0");

        } else if (c == '/') {
            push_text(f, "~1");

        } else if (f->pointer_len < DOC_FILTER_POINTER_MAX) {
            f->pointer[f->pointer_len++] = (uint8_t) c;
        }
    }
}


static void
push_text(doc_filter_t *f, const char *text)
{
    while (*text != '\0' && f->pointer_len < DOC_FILTER_POINTER_MAX) {
        f->pointer[f->pointer_len++] = (uint8_t) *text++;
    }
}


static void
push_index(doc_filter_t *f, size_t i)
{
    char    text[24];
    size_t  at;

    at = sizeof(text) - 1;
    text[at] = '\0';

    do {
        text[--at] = (char) ('0' + i % 10);
        i /= 10;

    } while (i != 0 && at > 1);

    text[--at] = '/';
    push_text(f, text + at);
}


static const doc_filter_word_t *
find_word(const doc_filter_word_t *words, const json_scan_t *key)
{
    for (/* void */; words->name != NULL; words++) {

        if (json_scan_equal(key, words->name)) {
            return words;
        }
    }

    return NULL;
}


int
doc_filter_match(const doc_filter_t *filter, const json_scan_t *document)
{
    uint32_t     found;
    json_scan_t  values[DOC_FILTER_TERMS_MAX];

    if (filter->count == 0) {
        return 0;
    }

    found = doc_path_find(&filter->paths, document, values);

    return match_node(filter, 0, found, values);
}


static int
match_node(const doc_filter_t *f, size_t i, uint32_t found,
    const json_scan_t *values)
{
    int                       one;
    size_t                    k;
    const doc_filter_node_t  *node;

    node = &f->nodes[i];

    if (node->op > DOC_FILTER_NOT) {
        return match_term(node, (int) (found >> node->path & 1),
                          &values[node->path]);
    }

    for (k = i + 1; k < node->end; k = f->nodes[k].end) {
        one = match_node(f, k, found, values);

        if (one != (node->op != DOC_FILTER_OR)) {
            return (node->op == DOC_FILTER_AND) ? 0 : 1;
        }
    }

    return node->op == DOC_FILTER_AND;
}


static int
match_term(const doc_filter_node_t *node, int found, const json_scan_t *value)
{
    int  order;

    if (node->op == DOC_FILTER_EXISTS) {
        return found == node->value.truth;
    }

    if (!found || !doc_filter_scalar(value)) {
        return node->op == DOC_FILTER_NE;
    }

    if (node->op == DOC_FILTER_IN) {
        return match_list(&node->value, value);
    }

    if (node->op == DOC_FILTER_PREFIX) {
        return match_prefix(&node->value, value);
    }

    order = doc_filter_compare(value, &node->value);

    switch (node->op) {

    case DOC_FILTER_EQ:
        return order == 0;

    case DOC_FILTER_NE:
        return order != 0;

    case DOC_FILTER_LT:
        return order < 0;

    case DOC_FILTER_LTE:
        return order <= 0;

    case DOC_FILTER_GT:
        return order > 0;

    default:
        return order >= 0;
    }
}


static int
match_list(const json_scan_t *list, const json_scan_t *value)
{
    size_t       pos;
    json_scan_t  element;

    pos = 0;

    while (json_scan_next(list, &pos, NULL, &element) == 0) {

        if (doc_filter_compare(&element, value) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
match_prefix(const json_scan_t *prefix, const json_scan_t *value)
{
    int             c;
    json_letters_t  l, m;

    if (value->type != JSON_SCAN_STRING) {
        return 0;
    }

    json_letters_open(&l, prefix->text.data,
                      prefix->text.data + prefix->text.len);
    json_letters_open(&m, value->text.data,
                      value->text.data + value->text.len);

    while ((c = json_letters_next(&l)) >= 0) {

        if (c != json_letters_next(&m)) {
            return 0;
        }
    }

    return 1;
}


/* Values. */

int
doc_filter_compare(const json_scan_t *a, const json_scan_t *b)
{
    double  m, n;

    if (a->type != b->type) {
        return (a->type < b->type) ? -1 : 1;
    }

    switch (a->type) {

    case JSON_SCAN_BOOL:
        return a->truth - b->truth;

    case JSON_SCAN_NUMBER:
        if (json_scan_number(a, &m) != 0 || json_scan_number(b, &n) != 0) {
            return 1;
        }

        return (m > n) - (m < n);

    case JSON_SCAN_STRING:
        return compare_strings(a, b);

    default:
        return 0;
    }
}


static int
compare_strings(const json_scan_t *a, const json_scan_t *b)
{
    int             c, d;
    json_letters_t  l, m;

    json_letters_open(&l, a->text.data, a->text.data + a->text.len);
    json_letters_open(&m, b->text.data, b->text.data + b->text.len);

    do {
        c = json_letters_next(&l);
        d = json_letters_next(&m);

    } while (c == d && c >= 0);

    return c - d;
}


int
doc_filter_scalar(const json_scan_t *value)
{
    double  n;

    if (value->type == JSON_SCAN_NUMBER) {
        return json_scan_number(value, &n) == 0;
    }

    return value->type < JSON_SCAN_ARRAY;
}
