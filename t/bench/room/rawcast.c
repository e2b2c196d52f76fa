/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * rawcast: the lower bound of what fan-out to sockets costs on one core.
 *
 *     rawcast PORT send    one send() for each member and message
 *     rawcast PORT cork    all messages of one turn of the loop together
 *
 * As little of a server as wsload can talk to: an epoll loop on 127.0.0.1, a
 * fixed answer to its fixed handshake key, rooms by the number at the end of
 * the path.  A publisher is a WebSocket on /pub... or a POST; the payload is
 * framed once and the same bytes go to every member.  Nothing is checked,
 * stored or queued: a socket that does not take its bytes loses them, and
 * wsload says so.  SIGTERM ends it.
 */


#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>


#define EVENTS      512
#define INPUT_SIZE  262144
#define BACKLOG     4096
#define ROOM_MAX    1000000


typedef enum {
    KIND_NEW = 0,
    KIND_MEMBER,
    KIND_PUBLISHER
} kind_t;


typedef struct {
    int           fd;
    kind_t        kind;
    long          room;
    size_t        index;          /* in the room */
    uint8_t      *kept;           /* owned: input that is not whole */
    size_t        kept_len;
} peer_t;


typedef struct {
    peer_t      **members;
    size_t        count;
    size_t        size;
    uint8_t      *frames;         /* to be sent in this turn */
    size_t        len;
    size_t        frames_size;
    int           dirty;
} room_t;


static void serve(int listener);
static void take_peers(int listener);
static void read_peer(peer_t *peer);
static size_t take(peer_t *peer, uint8_t *data, size_t len);
static size_t take_request(peer_t *peer, uint8_t *data, size_t len);
static size_t take_frame(peer_t *peer, uint8_t *data, size_t len);
static long room_number(const char *head);
static room_t *find_room(long number);
static void add_member(peer_t *peer);
static void drop(peer_t *peer);
static void publish(long number, const uint8_t *payload, size_t len);
static void cast(room_t *room);
static void *grow(void *p, size_t size);
static void put(int fd, const char *text);
static void stop(int signal);


static int                    epoll_fd, corked;
static long                   room_count, dirty_count, dirty_size;
static room_t                *rooms;
static long                  *dirty;
static volatile sig_atomic_t  stopped;


int
main(int argc, char **argv)
{
    int                 listener, one;
    struct rlimit       limit;
    struct sigaction    action;
    struct epoll_event  event;
    struct sockaddr_in  address;

    if (argc != 3) {
        fprintf(stderr, "usage: rawcast PORT send|cork\n");
        return 2;
    }

    one = 1;
    corked = (strcmp(argv[2], "cork") == 0);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }

    memset(&action, 0, sizeof(struct sigaction));
    action.sa_handler = stop;
    sigaction(SIGTERM, &action, NULL);

    memset(&address, 0, sizeof(struct sockaddr_in));
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t) strtoul(argv[1], NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    listener = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));

    if (bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0
        || listen(listener, BACKLOG) != 0)
    {
        perror("rawcast");
        return 1;
    }

    memset(&event, 0, sizeof(struct epoll_event));
    event.events = EPOLLIN;

    epoll_fd = epoll_create1(0);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);

    serve(listener);

    return 0;
}


static void
serve(int listener)
{
    int                 i, n;
    struct epoll_event  events[EVENTS];

    while (!stopped) {

        n = epoll_wait(epoll_fd, events, EVENTS, 1000);

        for (i = 0; i < n; i++) {

            if (events[i].data.ptr == NULL) {
                take_peers(listener);

            } else {
                read_peer(events[i].data.ptr);
            }
        }

        for (i = 0; i < dirty_count; i++) {
            cast(&rooms[dirty[i]]);
        }

        dirty_count = 0;
    }
}


static void
take_peers(int listener)
{
    int                 fd, one;
    peer_t             *peer;
    struct epoll_event  event;

    one = 1;

    for ( ;; ) {

        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

        peer = grow(NULL, sizeof(peer_t));
        memset(peer, 0, sizeof(peer_t));
        peer->fd = fd;

        memset(&event, 0, sizeof(struct epoll_event));
        event.events = EPOLLIN;
        event.data.ptr = peer;

        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}


static void
read_peer(peer_t *peer)
{
    size_t          have, used, n;
    ssize_t         got;
    static uint8_t  input[INPUT_SIZE];

    have = peer->kept_len;

    if (have != 0) {
        memcpy(input, peer->kept, have);
    }

    got = recv(peer->fd, input + have, sizeof(input) - have - 1, 0);

    if (got < 0 && errno == EAGAIN) {
        return;
    }

    if (got <= 0) {
        drop(peer);
        return;
    }

    have += (size_t) got;
    used = 0;

    do {
        n = take(peer, input + used, have - used);
        used += n;
    } while (n != 0 && used < have);

    free(peer->kept);
    peer->kept = NULL;
    peer->kept_len = have - used;

    if (peer->kept_len != 0) {
        peer->kept = grow(NULL, peer->kept_len);
        memcpy(peer->kept, input + used, peer->kept_len);
    }
}


/* The bytes of one whole request or frame, or 0. */
static size_t
take(peer_t *peer, uint8_t *data, size_t len)
{
    return (peer->kind == KIND_NEW) ? take_request(peer, data, len)
                                    : take_frame(peer, data, len);
}


static size_t
take_request(peer_t *peer, uint8_t *data, size_t len)
{
    long      room;
    char     *p, *head;
    size_t    head_len, body_len;
    uint8_t  *end;

    end = memmem(data, len, "\r\n\r\n", 4);

    if (end == NULL) {
        return 0;
    }

    *end = '\0';
    head = (char *) data;
    head_len = (size_t) (end - data) + 4;
    room = room_number(head);

    if (strncmp(head, "POST", 4) == 0) {

        p = strcasestr(head, "content-length:");
        body_len = (p != NULL) ? strtoul(p + 15, NULL, 10) : 0;

        if (len < head_len + body_len) {
            *end = '\r';
            return 0;
        }

        publish(room, data + head_len, body_len);
        put(peer->fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");

        return head_len + body_len;
    }

    put(peer->fd, "HTTP/1.1 101 Switching Protocols\r\n"
                  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                  "\r\n\r\n");

    peer->room = room;
    peer->kind = KIND_PUBLISHER;

    if (strncmp(head, "GET /pub", 8) != 0) {
        add_member(peer);
    }

    return head_len;
}


/* wsload sends no frame of more than 64 kilobytes and none in pieces. */
static size_t
take_frame(peer_t *peer, uint8_t *data, size_t len)
{
    size_t    i, n, head;
    uint8_t  *mask, *payload;

    if (len < 8) {
        return 0;
    }

    n = data[1] & 0x7f;
    head = 2;

    if (n == 126) {
        n = (size_t) data[2] << 8 | data[3];
        head = 4;
    }

    if (len < head + 4 + n) {
        return 0;
    }

    mask = data + head;
    payload = mask + 4;

    for (i = 0; i < n; i++) {
        payload[i] ^= mask[i & 3];
    }

    if ((data[0] & 0x0f) <= 2) {
        publish(peer->room, payload, n);
    }

    return head + 4 + n;
}


/* "GET /sub/room-17 HTTP/1.1": 17. */
static long
room_number(const char *head)
{
    long         room;
    const char  *p, *end;

    p = strchr(head, ' ');
    end = (p != NULL) ? strchr(p + 1, ' ') : NULL;

    if (end == NULL) {
        return 0;
    }

    for (p = end; p > head && p[-1] >= '0' && p[-1] <= '9'; p--) {
        /* back to the first digit */
    }

    room = strtol(p, NULL, 10);

    return (room >= 0 && room < ROOM_MAX) ? room : 0;
}


static room_t *
find_room(long number)
{
    long  n;

    if (number >= room_count) {
        n = number + 64;

        rooms = grow(rooms, (size_t) n * sizeof(room_t));
        memset(rooms + room_count, 0,
               (size_t) (n - room_count) * sizeof(room_t));
        room_count = n;
    }

    return &rooms[number];
}


static void
add_member(peer_t *peer)
{
    room_t  *room;

    room = find_room(peer->room);

    if (room->count == room->size) {
        room->size = room->size * 2 + 64;
        room->members = grow(room->members, room->size * sizeof(peer_t *));
    }

    peer->kind = KIND_MEMBER;
    peer->index = room->count;
    room->members[room->count++] = peer;
}


static void
drop(peer_t *peer)
{
    room_t  *room;

    if (peer->kind == KIND_MEMBER) {
        room = &rooms[peer->room];
        room->members[peer->index] = room->members[--room->count];
        room->members[peer->index]->index = peer->index;
    }

    close(peer->fd);
    free(peer->kept);
    free(peer);
}


static void
publish(long number, const uint8_t *payload, size_t len)
{
    room_t   *room;
    uint8_t  *p;

    room = find_room(number);

    if (room->len + len + 4 > room->frames_size) {
        room->frames_size = (room->len + len) * 2 + 4096;
        room->frames = grow(room->frames, room->frames_size);
    }

    p = room->frames + room->len;
    *p++ = 0x81;

    if (len < 126) {
        *p++ = (uint8_t) len;

    } else {
        *p++ = 126;
        *p++ = (uint8_t) (len >> 8);
        *p++ = (uint8_t) len;
    }

    memcpy(p, payload, len);
    room->len = (size_t) (p + len - room->frames);

    if (!corked) {
        cast(room);
        return;
    }

    if (room->dirty) {
        return;
    }

    if (dirty_count == dirty_size) {
        dirty_size = dirty_size * 2 + 64;
        dirty = grow(dirty, (size_t) dirty_size * sizeof(long));
    }

    room->dirty = 1;
    dirty[dirty_count++] = number;
}


static void
cast(room_t *room)
{
    size_t  i;

    for (i = 0; i < room->count; i++) {

        if (send(room->members[i]->fd, room->frames, room->len,
                 MSG_NOSIGNAL|MSG_DONTWAIT)
            != (ssize_t) room->len)
        {
            fprintf(stderr, "rawcast: a socket is full\n");
        }
    }

    room->len = 0;
    room->dirty = 0;
}


static void *
grow(void *p, size_t size)
{
    p = realloc(p, size);

    if (p == NULL) {
        fprintf(stderr, "rawcast: no memory\n");
        exit(1);
    }

    return p;
}


static void
put(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
        fprintf(stderr, "rawcast: an answer was lost\n");
    }
}


static void
stop(int signal)
{
    (void) signal;

    stopped = 1;
}
