/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The worker's clock: looks at each connection once a second, a tenth of
 * them each time.  Is the session alive, does each room still open to it, is
 * a deadline over, does it answer pings?  When the worker is told to quit,
 * the clock closes what is open, softly, and then stops: a worker without
 * timers ends.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_check.h"
#include "ngx_mesh_room_clock.h"
#include "ngx_mesh_room_presence.h"
#include "ngx_mesh_room_wait.h"


#define NGX_MESH_ROOM_CLOCK_TICK   100     /* ms */
#define NGX_MESH_ROOM_CLOCK_TICKS  10      /* look at all */
#define NGX_MESH_ROOM_CLOCK_LEAVE  15      /* ticks that close all */


static void ngx_mesh_room_clock_tick_handler(ngx_event_t *ev);
static void ngx_mesh_room_clock_look(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_clock_ping(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_clock_leave(ngx_mesh_room_hub_t *hub);


void
ngx_mesh_room_clock_init(ngx_mesh_room_hub_t *hub)
{
    hub->tick.handler = ngx_mesh_room_clock_tick_handler;
    hub->tick.data = hub;
    hub->tick.log = hub->log;
}


void
ngx_mesh_room_clock_watch(ngx_mesh_room_hub_t *hub)
{
    /* not cancelable: an exiting worker stays until the last one is gone */

    if (!hub->tick.timer_set) {
        ngx_add_timer(&hub->tick, NGX_MESH_ROOM_CLOCK_TICK);
    }
}


static void
ngx_mesh_room_clock_tick_handler(ngx_event_t *ev)
{
    ngx_uint_t            n;
    ngx_mesh_room_hub_t  *hub = ev->data;

    n = hub->count / NGX_MESH_ROOM_CLOCK_TICKS + 1;

    while (n-- && hub->count != 0) {

        if (hub->turn >= hub->count) {
            hub->turn = 0;
        }

        ngx_mesh_room_clock_look(hub->connections[hub->turn++]);
    }

    if (ngx_exiting) {
        ngx_mesh_room_clock_leave(hub);
    }

    if (hub->count != 0 || !ngx_queue_empty(&hub->waiters)) {
        ngx_add_timer(ev, NGX_MESH_ROOM_CLOCK_TICK);

    } else if (ngx_exiting) {

        /* at the exit itself the ring is closed already */

        ngx_mesh_room_presence_flush(hub);
    }
}


static void
ngx_mesh_room_clock_look(ngx_mesh_room_connection_t *mc)
{
    ngx_msec_t      now;
    ucan_verdict_t  verdict;

    now = ngx_current_msec;

    if (mc->failed || mc->fresh) {
        return;
    }

    if (mc->closing) {

        if ((ngx_msec_int_t) (now - mc->deadline) >= 0) {
            ngx_mesh_room_connection_break(mc);
        }

        return;
    }

    if (!mc->open) {

        if (now - mc->opened >= mc->lcf->auth_timeout) {
            ngx_mesh_room_connection_error(mc, PROBLEM_UNAUTHENTICATED,
                                           "no token in time",
                                           bytes_make(NULL, 0), NULL);
            ngx_mesh_room_connection_fail(mc, WS_CLOSE_POLICY,
                                          "authentication timeout");
        }

        return;
    }

    verdict = mc->mcf->principal->alive(mc->principal);

    if (verdict != UCAN_OK) {
        mc->mcf->principal->refuse(mc->principal, mc->connection->log,
                                   verdict, bytes_make(NULL, 0));
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_POLICY,
                                      ucan_verdict_slug(verdict));
        return;
    }

    ngx_mesh_room_check_rights(mc);
    ngx_mesh_room_check_members(mc);
    ngx_mesh_room_clock_ping(mc);
}


static void
ngx_mesh_room_clock_ping(ngx_mesh_room_connection_t *mc)
{
    ngx_msec_t              now;
    ngx_mesh_room_frame_t  *frame;

    now = ngx_current_msec;

    if (mc->asked && mc->heard - mc->pinged < NGX_MAX_INT_T_VALUE / 2) {
        mc->asked = 0;
    }

    if (mc->asked) {

        if (now - mc->pinged >= mc->lcf->ping_interval) {
            ngx_log_error(NGX_LOG_INFO, mc->hub->log, 0,
                          "room: a connection does not answer pings");
            ngx_mesh_room_connection_break(mc);
        }

        return;
    }

    if (now - mc->heard < mc->lcf->ping_interval) {
        return;
    }

    frame = ngx_mesh_room_queue_frame(mc->hub->log, WS_FRAME_PING,
                                      bytes_make(NULL, 0));
    if (frame == NULL) {
        return;
    }

    mc->asked = 1;
    mc->pinged = now;

    ngx_mesh_room_connection_send_frame(mc, frame);
    ngx_mesh_room_queue_release(frame);

#if (NGX_SSL)

    /* 16 kilobytes that an idle connection has no use for */

    if (mc->connection->ssl && !mc->connection->buffered) {
        ngx_ssl_free_buffer(mc->connection);
    }

#endif
}


/* The worker is to quit: connections are closed over a second or two, from a
   random one on, so that their clients do not all come back at once. */
static void
ngx_mesh_room_clock_leave(ngx_mesh_room_hub_t *hub)
{
    ngx_uint_t                   i, n;
    ngx_mesh_room_connection_t  *mc;

    ngx_mesh_room_wait_wake(hub, bytes_make(NULL, 0));

    if (hub->count == 0) {
        return;
    }

    if (hub->leaving == 0) {
        hub->leaving = hub->count / NGX_MESH_ROOM_CLOCK_LEAVE + 1;
        hub->turn = (ngx_uint_t) ngx_random() % hub->count;
    }

    n = hub->leaving;

    for (i = 0; i < hub->count && n != 0; i++) {

        mc = hub->connections[(hub->turn + i) % hub->count];

        if (mc->fresh || mc->closing || mc->failed) {
            continue;
        }

        ngx_mesh_room_connection_fail(mc, WS_CLOSE_RESTART, "restart");
        n--;
    }
}
