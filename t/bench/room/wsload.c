/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The program: options, the phases of a run, and one line of JSON about it.
 *
 *     open members, settle, hold     memory, CPU of an idle server
 *     open publishers, warm up       not measured
 *     publish                        CPU, deliveries, latency
 *
 * The status is 0 when all connections opened and all deliveries came, once
 * and in the order of each publisher; 1 when not; 2 when it could not be
 * tried.
 */


#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "wsload.h"


#define MS         1000000ULL
#define LINE_SIZE  16384          /* bytes of a line of a file */


typedef struct {
    uint64_t        open_ns;      /* until all members were ready */
    uint64_t        run_ns;
    uint64_t        divergent;
    wsload_counts_t counts;       /* of the measured phase */
    wsload_cost_t   before;       /* any connection */
    wsload_cost_t   opened;       /* members are ready */
    wsload_cost_t   settled;
    wsload_cost_t   held;
    wsload_cost_t   start;        /* the measured phase */
    wsload_cost_t   end;
    double          own;          /* s of CPU of this program meanwhile */
} run_t;


typedef enum {
    OPTION_URL = 256,
    OPTION_PUB,
    OPTION_HEADER,
    OPTION_PUB_HEADER,
    OPTION_HELLO,
    OPTION_PUB_HELLO,
    OPTION_ROOM_NAMES,
    OPTION_TOKENS,
    OPTION_PIDS,
    OPTION_NUMBER,                /* and on: index of a number */
    OPTION_TEXT = OPTION_NUMBER + 64
} option_t;


typedef struct {
    const char  *name;
    size_t       offset;          /* of a long in wsload_t */
    long         value;           /* by default */
    long         min;
    long         max;
} number_t;


typedef struct {
    const char  *name;
    size_t       offset;          /* of a const char * in wsload_t */
} text_t;


static void read_options(wsload_t *w, int argc, char **argv);
static void add_options(struct option *options);
static void read_option(wsload_t *w, int option, char *value);
static void read_url(wsload_target_t *target, const char *url);
static void read_pids(wsload_t *w, const char *text);
static void read_lines(wsload_lines_t *lines, const char *path);
static void add_template(wsload_templates_t *templates, const char *text);
static void check_options(wsload_t *w);
static void prepare(wsload_t *w);
static void open_members(wsload_t *w);
static void wait_ms(wsload_t *w, long ms);
static void measure(wsload_t *w, run_t *run);
static double own_cpu(void);
static void report_run(const wsload_t *w, const run_t *run);
static void report_load(const wsload_t *w, const run_t *run);
static void report_cost(const wsload_t *w, const run_t *run);
static int is_sound(const wsload_t *w, const run_t *run);


static const number_t  numbers[] = {
    { "connections", offsetof(wsload_t, connections), 100, 1, 1000000 },
    { "rooms",       offsetof(wsload_t, rooms),       1,   1, 1000000 },
    { "publishers",  offsetof(wsload_t, publishers),  1,   1, 100000 },
    { "size",        offsetof(wsload_t, size),        128,
                     WSLOAD_PAYLOAD_MIN, 1048576 },
    { "window",      offsetof(wsload_t, window),      1,   1, 100000 },
    { "concurrency", offsetof(wsload_t, concurrency), 128, 1, 10000 },
    { "messages",    offsetof(wsload_t, messages),    1000, 1, 1000000000 },
    { "warmup",      offsetof(wsload_t, warmup),      0,   0, 1000000000 },
    { "rate",        offsetof(wsload_t, rate),        0,   0, 1000000 },
    { "settle",      offsetof(wsload_t, settle),      300, 0, 600000 },
    { "drain",       offsetof(wsload_t, drain),       10000, 100, 600000 },
    { "hold",        offsetof(wsload_t, hold),        0,   0, 600000 },
    { "patience",    offsetof(wsload_t, patience),    60000, 100, 600000 },
    { "idle",        offsetof(wsload_t, idle),        0,   0, 1 }
};


static const text_t  texts[] = {
    { "message",   offsetof(wsload_t, message) },
    { "ready",     offsetof(wsload_t, url.ready) },
    { "pub-ready", offsetof(wsload_t, pub.ready) },
    { "error",     offsetof(wsload_t, error) },
    { "name",      offsetof(wsload_t, name) }
};


static const struct option  others[] = {
    { "url",        required_argument, NULL, OPTION_URL },
    { "pub",        required_argument, NULL, OPTION_PUB },
    { "header",     required_argument, NULL, OPTION_HEADER },
    { "pub-header", required_argument, NULL, OPTION_PUB_HEADER },
    { "hello",      required_argument, NULL, OPTION_HELLO },
    { "pub-hello",  required_argument, NULL, OPTION_PUB_HELLO },
    { "room-names", required_argument, NULL, OPTION_ROOM_NAMES },
    { "tokens",     required_argument, NULL, OPTION_TOKENS },
    { "pids",       required_argument, NULL, OPTION_PIDS }
};


#define COUNT(array)  (sizeof(array) / sizeof(array[0]))


int
main(int argc, char **argv)
{
    uint64_t         start;
    static run_t     run;
    static wsload_t  w;

    read_options(&w, argc, argv);
    check_options(&w);
    prepare(&w);

    wsload_cost_read(&w, &run.before);
    start = wsload_now();

    open_members(&w);

    run.open_ns = wsload_now() - start;
    wsload_cost_read(&w, &run.opened);

    wait_ms(&w, w.settle);
    wsload_cost_read(&w, &run.settled);

    wait_ms(&w, w.hold);
    wsload_cost_read(&w, &run.held);

    if (!w.idle) {
        measure(&w, &run);
    }

    report_run(&w, &run);
    report_load(&w, &run);
    report_cost(&w, &run);

    return is_sound(&w, &run) ? 0 : 1;
}


/* Options. */

static void
read_options(wsload_t *w, int argc, char **argv)
{
    int            option;
    size_t         i;
    struct option  options[COUNT(numbers) + COUNT(texts) + COUNT(others) + 1];

    for (i = 0; i < COUNT(numbers); i++) {
        *(long *) ((char *) w + numbers[i].offset) = numbers[i].value;
    }

    w->name = "";

    add_options(options);

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {

        if (option == '?') {
            wsload_fail("see README.md for the options");
        }

        read_option(w, option, optarg);
    }

    if (optind != argc) {
        wsload_fail("\"%s\" is no option", argv[optind]);
    }
}


static void
add_options(struct option *options)
{
    size_t          i;
    struct option  *o;

    memset(options, 0, (COUNT(numbers) + COUNT(texts) + COUNT(others) + 1)
                       * sizeof(struct option));
    o = options;

    for (i = 0; i < COUNT(numbers); i++, o++) {
        o->name = numbers[i].name;
        o->has_arg = required_argument;
        o->val = OPTION_NUMBER + (int) i;
    }

    for (i = 0; i < COUNT(texts); i++, o++) {
        o->name = texts[i].name;
        o->has_arg = required_argument;
        o->val = OPTION_TEXT + (int) i;
    }

    memcpy(o, others, sizeof(others));
}


static void
read_option(wsload_t *w, int option, char *value)
{
    char            *end;
    long             n;
    const number_t  *number;

    if (option >= OPTION_TEXT) {
        *(const char **) ((char *) w + texts[option - OPTION_TEXT].offset)
            = value;
        return;
    }

    if (option >= OPTION_NUMBER) {
        number = &numbers[option - OPTION_NUMBER];
        n = strtol(value, &end, 10);

        if (*value == '\0' || *end != '\0' || n < number->min
            || n > number->max)
        {
            wsload_fail("--%s takes a number from %ld to %ld, not \"%s\"",
                        number->name, number->min, number->max, value);
        }

        *(long *) ((char *) w + number->offset) = n;
        return;
    }

    switch (option) {

    case OPTION_URL:
        read_url(&w->url, value);
        break;

    case OPTION_PUB:
        read_url(&w->pub, value);
        break;

    case OPTION_HEADER:
        add_template(&w->url.headers, value);
        break;

    case OPTION_PUB_HEADER:
        add_template(&w->pub.headers, value);
        break;

    case OPTION_HELLO:
        add_template(&w->url.hello, value);
        break;

    case OPTION_PUB_HELLO:
        add_template(&w->pub.hello, value);
        break;

    case OPTION_ROOM_NAMES:
        read_lines(&w->rooms_named, value);
        break;

    case OPTION_TOKENS:
        read_lines(&w->tokens, value);
        break;

    default:
        read_pids(w, value);
    }
}


/* "ws://127.0.0.1:8080/path"; the traffic stays on this machine. */
static void
read_url(wsload_target_t *target, const char *url)
{
    char           address[64], *colon;
    size_t         n;
    const char    *p, *path;
    unsigned long  port;

    if (strncmp(url, "ws://", 5) != 0 && strncmp(url, "http://", 7) != 0) {
        wsload_fail("\"%s\" is neither ws:// nor http://", url);
    }

    target->is_http = (url[0] == 'h');

    p = strstr(url, "://") + 3;
    path = strchr(p, '/');
    n = (path != NULL) ? (size_t) (path - p) : strlen(p);

    if (n >= sizeof(target->host)
        || (path != NULL && strlen(path) >= sizeof(target->path)))
    {
        wsload_fail("\"%s\" is too long", url);
    }

    snprintf(target->host, sizeof(target->host), "%.*s", (int) n, p);
    snprintf(target->path, sizeof(target->path), "%s",
             (path != NULL) ? path : "/");
    snprintf(address, sizeof(address), "%s", target->host);

    colon = strchr(address, ':');
    port = 80;

    if (colon != NULL) {
        *colon = '\0';
        port = strtoul(colon + 1, NULL, 10);
    }

    target->address.sin_family = AF_INET;
    target->address.sin_port = htons((uint16_t) port);

    if (inet_pton(AF_INET, address, &target->address.sin_addr) != 1
        || (ntohl(target->address.sin_addr.s_addr) >> 24) != 127
        || port == 0 || port > 65535)
    {
        wsload_fail("\"%s\" is not in 127.0.0.0/8", url);
    }
}


static void
read_pids(wsload_t *w, const char *text)
{
    char        *end;
    const char  *p;

    for (p = text; *p != '\0'; p = (*end == ',') ? end + 1 : end) {

        if (w->pid_count == WSLOAD_PIDS_MAX) {
            wsload_fail("too many processes");
        }

        w->pids[w->pid_count++] = (int) strtol(p, &end, 10);

        if (end == p || (*end != ',' && *end != '\0')) {
            wsload_fail("\"%s\" is not a list of process ids", text);
        }
    }
}


static void
read_lines(wsload_lines_t *lines, const char *path)
{
    FILE         *file;
    size_t        len;
    static char   line[LINE_SIZE];

    file = fopen(path, "r");
    if (file == NULL) {
        wsload_fail("%s: %s", path, strerror(errno));
    }

    while (fgets(line, sizeof(line), file) != NULL) {

        len = strlen(line);

        if (len == 0 || line[len - 1] != '\n') {
            wsload_fail("%s: a line is too long", path);
        }

        line[len - 1] = '\0';

        lines->line = realloc(lines->line,
                              (size_t) (lines->count + 1) * sizeof(char *));
        if (lines->line == NULL) {
            wsload_fail("no memory");
        }

        lines->line[lines->count] = strdup(line);

        if (lines->line[lines->count++] == NULL) {
            wsload_fail("no memory");
        }
    }

    fclose(file);
}


static void
add_template(wsload_templates_t *templates, const char *text)
{
    if (templates->count == WSLOAD_TEMPLATES_MAX) {
        wsload_fail("too many of one kind: \"%s\"", text);
    }

    templates->text[templates->count++] = text;
}


static void
check_options(wsload_t *w)
{
    if (w->url.host[0] == '\0' || w->url.is_http) {
        wsload_fail("--url is a ws:// URL and needed");
    }

    if (w->pub.host[0] == '\0' && !w->idle) {
        wsload_fail("--pub is needed, or --idle 1");
    }

    if (w->connections < w->rooms) {
        wsload_fail("a room without members says nothing");
    }

    if (w->rooms_named.count != 0 && w->rooms_named.count < w->rooms) {
        wsload_fail("%d names for %ld rooms", w->rooms_named.count,
                    w->rooms);
    }

    if (!w->idle && !w->pub.is_http && w->rooms > 1
        && w->publishers % w->rooms != 0)
    {
        wsload_fail("publishers over WebSocket must be as many for each "
                    "room");
    }
}


/* The run. */

static void
prepare(wsload_t *w)
{
    long                  i;
    struct rlimit         limit;
    wsload_connection_t  *c;

    signal(SIGPIPE, SIG_IGN);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }

    w->epoll = epoll_create1(EPOLL_CLOEXEC);

    if (w->epoll < 0) {
        wsload_fail("epoll_create1: %s", strerror(errno));
    }

    w->roaming = w->pub.is_http;
    w->slots = w->roaming ? w->publishers
                          : (w->publishers + w->rooms - 1) / w->rooms;

    w->members = wsload_alloc((size_t) w->connections,
                              sizeof(wsload_connection_t));
    w->speakers = wsload_alloc((size_t) w->publishers,
                               sizeof(wsload_connection_t));
    w->seqs = wsload_alloc((size_t) w->publishers
                           * (w->roaming ? (size_t) w->rooms : 1),
                           sizeof(uint64_t));

    w->payload = wsload_alloc(1, (size_t) w->size + 1);
    w->text_size = (size_t) w->size + 4096
                   + (w->message != NULL ? strlen(w->message) : 0);
    w->text = wsload_alloc(1, w->text_size);

    for (i = 0; i < w->connections; i++) {
        c = &w->members[i];

        c->id = (int) i;
        c->room = (int) (i % w->rooms);
        c->target = &w->url;
        c->tracks = wsload_alloc((size_t) w->slots, sizeof(wsload_track_t));
    }
}


static void
open_members(wsload_t *w)
{
    long      i;
    uint64_t  end;

    i = 0;
    end = wsload_now() + (uint64_t) w->patience * MS;

    while (w->counts.ready + w->counts.failed + w->counts.ended
           < (uint64_t) w->connections)
    {
        /* those not yet ready cost the server as those not yet open do */

        while (i < w->connections
               && (uint64_t) i - w->counts.ready - w->counts.failed
                  < (uint64_t) w->concurrency)
        {
            wsload_connection_open(w, &w->members[i++]);
        }

        wsload_connection_poll(w, 10);

        if (wsload_now() > end) {
            break;
        }
    }

    if (w->counts.ready != (uint64_t) w->connections) {
        fprintf(stderr, "wsload: %llu of %ld connections are ready\n",
                (unsigned long long) w->counts.ready, w->connections);
    }
}


static void
wait_ms(wsload_t *w, long ms)
{
    uint64_t  end;

    end = wsload_now() + (uint64_t) ms * MS;

    while (wsload_now() < end) {
        wsload_connection_poll(w, 5);
    }
}


static void
measure(wsload_t *w, run_t *run)
{
    double           own;
    wsload_counts_t  before;

    wsload_publish_open(w);

    if (w->warmup != 0) {
        wsload_publish_run(w, w->warmup);
    }

    memset(&w->latency, 0, sizeof(wsload_histogram_t));

    before = w->counts;
    own = own_cpu();
    wsload_cost_read(w, &run->start);

    run->run_ns = wsload_publish_run(w, w->messages);

    wsload_cost_read(w, &run->end);
    run->own = own_cpu() - own;

    w->running = 0;

    run->counts = w->counts;
    run->counts.published -= before.published;
    run->counts.acks -= before.acks;
    run->counts.expected -= before.expected;
    run->counts.received -= before.received;
    run->counts.bytes -= before.bytes;
    run->counts.others -= before.others;

    run->divergent = wsload_count_divergent(w);
}


static double
own_cpu(void)
{
    struct rusage  u;

    getrusage(RUSAGE_SELF, &u);

    return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec)
           + (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}


/* The report. */

static void
report_run(const wsload_t *w, const run_t *run)
{
    const wsload_counts_t  *n;

    n = &w->counts;

    printf("{\"name\":\"%s\",\"connections\":%ld,\"rooms\":%ld,"
           "\"publishers\":%ld,\"window\":%ld,\"rate\":%ld,\"size\":%ld,"
           "\"by\":\"%s\"", w->name, w->connections, w->rooms, w->publishers,
           w->window, w->rate, w->size,
           w->idle ? "none" : w->pub.is_http ? "http" : "ws");

    printf(",\"opened\":%llu,\"failed\":%llu,\"ready\":%llu,\"ended\":%llu,"
           "\"openSeconds\":%.4f,\"openP50us\":%.0f,\"openP99us\":%.0f",
           (unsigned long long) n->opened, (unsigned long long) n->failed,
           (unsigned long long) n->ready, (unsigned long long) n->ended,
           (double) run->open_ns / 1e9,
           (double) wsload_histogram_find(&w->opening, 0.5) / 1e3,
           (double) wsload_histogram_find(&w->opening, 0.99) / 1e3);

    printf(",\"duplicates\":%llu,\"reordered\":%llu,\"misplaced\":%llu,"
           "\"broken\":%llu,\"refused\":%llu,\"divergent\":%llu",
           (unsigned long long) n->duplicates,
           (unsigned long long) n->reordered,
           (unsigned long long) n->misplaced, (unsigned long long) n->broken,
           (unsigned long long) n->refused,
           (unsigned long long) run->divergent);
}


static void
report_load(const wsload_t *w, const run_t *run)
{
    double                  seconds, deliveries;
    const wsload_counts_t  *n;

    n = &run->counts;
    seconds = (double) run->run_ns / 1e9;
    deliveries = (double) n->received;

    printf(",\"published\":%llu,\"acks\":%llu,\"expected\":%llu,"
           "\"received\":%llu,\"lost\":%lld,\"others\":%llu,"
           "\"runSeconds\":%.4f,\"deliveriesPerSecond\":%.0f,"
           "\"bytesPerDelivery\":%.1f",
           (unsigned long long) n->published, (unsigned long long) n->acks,
           (unsigned long long) n->expected,
           (unsigned long long) n->received,
           (long long) (n->expected - n->received),
           (unsigned long long) n->others, seconds,
           seconds > 0 ? deliveries / seconds : 0,
           deliveries > 0 ? (double) n->bytes / deliveries : 0);

    printf(",\"latencyP50us\":%.1f,\"latencyP90us\":%.1f,"
           "\"latencyP99us\":%.1f,\"latencyMaxUs\":%.1f,"
           "\"ownCpuSeconds\":%.3f",
           (double) wsload_histogram_find(&w->latency, 0.5) / 1e3,
           (double) wsload_histogram_find(&w->latency, 0.9) / 1e3,
           (double) wsload_histogram_find(&w->latency, 0.99) / 1e3,
           (double) w->latency.max / 1e3, run->own);
}


/* Per delivery: us; per connection: bytes, and us of opening. */
static void
report_cost(const wsload_t *w, const run_t *run)
{
    double               n, cpu, ticks, opened;
    const wsload_cost_t *a, *b;

    if (w->pid_count == 0) {
        printf("}\n");
        return;
    }

    a = &run->start;
    b = &run->end;
    n = (run->counts.received != 0) ? (double) run->counts.received : 1;
    opened = (w->counts.opened != 0) ? (double) w->counts.opened : 1;
    cpu = b->cpu - a->cpu;
    ticks = b->userland - a->userland + b->kernel - a->kernel;

    printf(",\"cpuSeconds\":%.4f,\"cpuUsPerDelivery\":%.3f,"
           "\"loopUsPerDelivery\":%.3f,\"userUsPerDelivery\":%.3f,"
           "\"switches\":%llu", cpu, cpu * 1e6 / n,
           (b->loop - a->loop) * 1e6 / n,
           ticks > 0 ? cpu * 1e6 / n * (b->userland - a->userland) / ticks : 0,
           (unsigned long long) (b->switches - a->switches));

    a = &run->before;
    b = &run->settled;

    printf(",\"openUsPerConnection\":%.1f,\"pssBefore\":%llu,"
           "\"pssIdle\":%llu,\"pssPerConnection\":%.0f,"
           "\"rssPerConnection\":%.0f,\"dirtyPerConnection\":%.0f,"
           "\"holdCpuSeconds\":%.4f}\n",
           (run->opened.cpu - a->cpu) * 1e6 / opened,
           (unsigned long long) a->pss, (unsigned long long) b->pss,
           ((double) b->pss - (double) a->pss) / opened,
           ((double) b->rss - (double) a->rss) / opened,
           ((double) b->dirty - (double) a->dirty) / opened,
           run->held.cpu - run->settled.cpu);
}


static int
is_sound(const wsload_t *w, const run_t *run)
{
    const wsload_counts_t  *n;

    n = &w->counts;

    return n->ready == (uint64_t) w->connections
                       + (w->idle ? 0 : (uint64_t) w->publishers)
           && n->failed == 0 && n->ended == 0 && n->expected == n->received
           && n->duplicates == 0 && n->reordered == 0 && n->misplaced == 0
           && n->broken == 0 && n->refused == 0
           && (w->idle || run->run_ns != 0);
}


/* What all files use. */

size_t
wsload_expand(const wsload_t *w, char *dst, size_t size,
    const char *template, const wsload_place_t *place)
{
    char         number[32];
    size_t       n, len;
    const char  *p, *text;

    n = 0;

    for (p = template; *p != '\0'; p++) {

        text = number;

        if (*p != '%' || p[1] == '\0') {
            number[0] = *p;
            number[1] = '\0';

        } else if (*++p == 'r' && w->rooms_named.count != 0) {
            text = w->rooms_named.line[place->room];

        } else if (*p == 'r' || *p == 'd') {
            snprintf(number, sizeof(number), "%d", place->room);

        } else if (*p == 'c') {
            snprintf(number, sizeof(number), "%d", place->connection);

        } else if (*p == 'n') {
            snprintf(number, sizeof(number), "%llu",
                     (unsigned long long) place->message);

        } else if (*p == 't' && w->tokens.count != 0) {
            text = w->tokens.line[place->connection % w->connections
                                  / w->rooms % w->tokens.count];

        } else if (*p == 'p' && place->payload != NULL) {
            text = place->payload;

        } else if (*p == '%') {
            text = "%";

        } else {
            wsload_fail("%%%c stands for nothing in \"%s\"", *p, template);
        }

        len = strlen(text);

        if (len >= size - n) {
            wsload_fail("\"%s\" becomes too long", template);
        }

        memcpy(dst + n, text, len);
        n += len;
    }

    dst[n] = '\0';

    return n;
}


void
wsload_fail(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    fprintf(stderr, "wsload: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);

    exit(2);
}


uint64_t
wsload_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}


void *
wsload_alloc(size_t count, size_t size)
{
    void  *p;

    p = calloc(count, size);
    if (p == NULL) {
        wsload_fail("no memory");
    }

    return p;
}


void
wsload_reserve(wsload_buffer_t *buffer, size_t len)
{
    if (buffer->size - buffer->len >= len) {
        return;
    }

    buffer->size = (buffer->len + len) * 2;
    buffer->data = realloc(buffer->data, buffer->size);

    if (buffer->data == NULL) {
        wsload_fail("no memory");
    }
}
