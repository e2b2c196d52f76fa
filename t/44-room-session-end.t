#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A session that ends, a right that is taken away, a membership that is over:
# open connections feel it within about a second.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use Time::HiRes ();

my $node = Mesh::Test->full(
    workers    => 2,
    directives => { mesh_identity_session_time => '12h' });

my $owner = $node->owner;
my $ada = $node->register('ada');
my $room = $ada->create_room('kitchen');

sub enter {
    my ($person, $where) = @_;

    my $ws = $person->ws;

    $ws->send_json({ type => 'join_room', roomId => $where });
    $ws->recv_json(type => 'room_joined') or die "not joined\n";

    return $ws;
}

# The close code, and whether it came in time.
sub ends {
    my ($ws, $what) = @_;

    my $begin = Time::HiRes::time();

    is($ws->wait_close(timeout => 10), 1008, "$what ends its connections");
    cmp_ok(Time::HiRes::time() - $begin, '<', 5, 'soon');

    return;
}

# sessions

my $bob = $node->register('bob');
my @bobs = map { enter($bob, $room) } 1 .. 4;

$bob->post('/api/auth/logout');
ends($_, 'a logout') for @bobs;
like($bobs[0]->close_reason, qr/revoked/, 'and says why');
is($node->ws('/ws', token => $bob->token)->reply->status, 401,
   'the token opens nothing any more');

my $eve = $node->register('eve');
my $bot = $node->bot('eves', maker => $eve);
my @hers = map { enter($_, $room) } $eve, $bot;

$owner->del('/api/participants/' . $eve->id);
ends($hers[0], 'a removal');
ends($hers[1], 'a maker that is removed');

my $max = $node->register('max');
my $ws = enter($max, $room);

$owner->patch('/api/participants/' . $max->id, { role => 'spectator' });
ends($ws, 'a change of role');

# membership

my $tom = $node->register('tom');
my $private = $ada->create_room('vault', visibility => 'private');

is($ada->post("/api/rooms/$private/members",
              { participantId => $tom->id })->status, 201, 'one is invited');

$ws = enter($tom, $private);
$ada->say($private, 'hello tom');
ok($ws->recv_json(type => 'message', content => 'hello tom'),
   'and hears what is said');

$ada->del("/api/rooms/$private/members/" . $tom->id);
is(($ws->recv_json(type => 'room_left') || {})->{reason}, 'removed',
   'one who is removed is told');
$ada->say($private, 'without tom');
$ws->send_json({ type => 'ping' });
$ws->recv_json(type => 'pong');
ok(!(grep { ($_->{type} // '') eq 'message' } $ws->take_json),
   'and hears nothing more');
ok($ws->is_open, 'other rooms are not touched');

$ws = enter($tom, $room);
$tom->post("/api/rooms/$room/leave");
is(($ws->recv_json(type => 'room_left') || {})->{roomId}, $room,
   'who leaves by REST leaves everywhere');

my $gone = $ada->create_room('tent');

$ws = enter($tom, $gone);
$ada->del("/api/rooms/$gone");
is(($ws->recv_json(type => 'room_left') || {})->{reason}, 'deleted',
   'a room that is deleted is told');

# capabilities

my $narrow = $node->bot('narrow', maker => $ada, rooms => [ $room ],
                        commands => [ '/room/read' ]);

$ws = enter($narrow, $room);
$ada->say($room, 'for reading');
ok($ws->recv_json(type => 'message', content => 'for reading'),
   'a bot that may read one room reads it');
$ws->send_json({ type => 'send_message', roomId => $room, content => 'me',
                 clientId => 'x' });

my $error = $ws->recv_json(type => 'error');

is($error->{error}, 'forbidden', 'and cannot speak there');
is($error->{command}, '/room/send', 'which the error says');
is($error->{ref}, 'x', 'of that message');

$ws->send_json({ type => 'join_room', roomId => $private });
is($ws->recv_json(type => 'error')->{error}, 'forbidden',
   'nor read another room');
$ws->send_json({ type => 'send_direct', to => $ada->id, content => 'me' });
is($ws->recv_json(type => 'error')->{command}, '/dm/send',
   'nor write to anybody');

$ada->post('/api/dms', { to => $narrow->id, content => 'secret' });
$ws->send_json({ type => 'ping' });
$ws->recv_json(type => 'pong');
ok(!(grep { ($_->{content} // '') eq 'secret' } $ws->take_json),
   'and does not hear what is written to it');
like($node->error_log, qr{room/send}, 'the log says what was refused');

done_testing();
