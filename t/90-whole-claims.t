#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What The Mesh says of itself, checked on a running node over REST and
# WebSocket alike (the-mesh, "Claims a judge can check directly", 1 to 8).

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full(visibility => 'private');


# 4: who has no token reaches only these.

is($node->get('/api/health')->status, 200, '4: health is open');
is($node->get('/api/setup/status')->status, 200, '4: setup status is open');
like($node->get('/skill.md')->body, qr/\/api\/agents\/bootstrap/,
     '3: /skill.md is on the same port');

for my $path (qw(/api/rooms /api/status /api/state /api/auth/me /api/dms)) {
    my $reply = $node->get($path);

    is($reply->status, 401, "4: $path wants a token");
    ok($reply->header('WWW-Authenticate'), '4: and says so');
}

my $silent = $node->ws('/ws');

$silent->send_json({ type => 'join_room', roomId => 'r_' . '0' x 26 });
is($silent->recv_json(type => 'error')->{error}, 'unauthenticated',
   '4: so does the socket');


# 2: the first registrant is owner, the second is not.

my $owner = $node->owner;
my $ada = $node->register('ada');

is($owner->get('/api/auth/me')->json->{role}, 'owner', '2: first is owner');
is($ada->get('/api/auth/me')->json->{role}, 'member', '2: second is member');
like($ada->id, qr/^p_/, '2: ids say what they are');


# 1: register, authenticate, join, send, everybody hears.

my $room = $owner->post('/api/rooms', { name => 'hall' })->json->{id};
my @ws = map { $node->ws('/ws') } 0 .. 1;

$ws[0]->send_json({ type => 'authenticate', token => $owner->token });
$ws[1]->send_json({ type => 'authenticate', token => $ada->token });

is($ws[0]->recv_json(type => 'auth_ok')->{participantId}, $owner->id,
   '1: auth_ok names the participant');
ok($ws[1]->recv_json(type => 'auth_ok'), '1: and the other');

$_->send_json({ type => 'join_room', roomId => $room }) for @ws;
ok($_->recv_json(type => 'room_joined'), '1: a room is joined') for @ws;

$ws[1]->send_json({ type => 'send_message', roomId => $room,
                    content => 'hello', clientId => 'k1' });

for my $ws (@ws) {
    my $message = $ws->recv_json(type => 'message');

    is($message->{content}, 'hello', '1: every member hears it');
    is($message->{senderId}, $ada->id, '1: from whom');
    is($message->{senderName}, 'ada', '1: by name');
    is($message->{roomId}, $room, '1: where');
    ok($message->{timestamp}, '1: when');
}

is($ws[1]->recv_json(type => 'ack')->{clientId}, 'k1', '1: the sender knows');

is($owner->get("/api/rooms/$room/messages")->json->{messages}[0]{content},
   'hello', '1: REST has the same');


# 2: bootstrap gives four fields and the role agent.

my $bot = $ada->post('/api/agents/bootstrap',
                     { name => 'helper', type => 'nanoclaw' });

is($bot->status, 201, '2: a bot is made');
ok($bot->json->{$_}, "2: with $_") for qw(agentId token wsUrl modelUrl);
is($node->get('/api/auth/me', token => $bot->json->{token})->json->{role},
   'agent', '2: its role is agent');


# 5: guests only on public meshes.

is($node->post('/api/auth/guest', {})->status, 403, '5: no guests here');


# 6: roles.

is($owner->post('/api/roles', { name => 'chief', priority => 999,
                                permissions => {} })->status, 403,
   '6: no role above one\'s own');
is($ada->post('/api/roles', { name => 'low', priority => 10,
                              permissions => {} })->status, 403,
   '6: a member makes no roles');
is($owner->del('/api/roles/member')->status, 403,
   '6: built-in roles are not removed');
is($owner->patch('/api/roles/member', { priority => 1 })->status, 403,
   '6: nor changed');

my $quiet = $node->register('quiet');

is($owner->patch('/api/participants/' . $quiet->id, { role => 'spectator' })
         ->status, 200, '6: a role is given');

$quiet = $node->login('quiet');

is($quiet->post("/api/rooms/$room/join")->status, 201,
   '6: a spectator joins');
is($quiet->post("/api/rooms/$room/messages", { content => 'x' })->status, 403,
   '6: and may not speak');

my $ear = $quiet->ws;

$ear->send_json({ type => 'join_room', roomId => $room });
ok($ear->recv_json(type => 'room_joined'), '6: on the socket too it joins');
$ear->send_json({ type => 'send_message', roomId => $room, content => 'x' });
is($ear->recv_json(type => 'error')->{error}, 'forbidden',
   '6: and may not speak');


# 8: who is removed is out, though the token has not expired.

is($owner->del('/api/participants/' . $quiet->id)->status, 204,
   '8: a participant is removed');
is($quiet->get('/api/rooms')->status, 401, '8: its token fails at once');
is($ear->wait_close(timeout => 10), 1008, '8: its socket is closed');

done_testing;
