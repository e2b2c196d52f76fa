#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Direct messages: made on first use, read by their two parties only, sent to
# every socket of both (design, section 6).

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full;
my $ada = $node->register('ada');
my $bob = $node->register('bob');
my $eve = $node->register('eve');

my $ear = $bob->ws;

my $reply = $ada->post('/api/dms', { to => $bob->id, content => 'psst',
                                     clientId => 'c1' });

is($reply->status, 201, 'one participant writes to another');

my $room = $reply->json->{roomId};

is($ear->recv_json(type => 'message')->{content}, 'psst',
   'whose socket hears it without joining anything');
is($ada->post('/api/dms', { to => $bob->id, content => 'x',
                            clientId => 'c1' })->status, 200,
   'a repeat is no second message');
is($bob->post('/api/dms', { to => $ada->id, content => 'what?' })
       ->json->{roomId}, $room, 'the answer is in the same place');

my $history = $ada->get("/api/rooms/$room/messages")->json->{messages};

is_deeply([ map { $_->{content} } @$history ], [ 'psst', 'what?' ],
          'both parties read it');

is($eve->get("/api/rooms/$room/messages")->status, 404,
   'nobody else finds it');
is($eve->post("/api/rooms/$room/messages", { content => 'hi' })->status, 404,
   'or speaks in it');
is($eve->post("/api/rooms/$room/join")->status, 404, 'or joins');
is($node->owner->get("/api/rooms/$room/messages")->status, 404,
   'not even who owns the mesh');

my $dms = $ada->get('/api/dms')->json->{dms};

is_deeply($dms, [ { roomId => $room,
                    with => { id => $bob->id, name => 'bob' } } ],
          'a participant lists with whom it talked');
is_deeply($eve->get('/api/dms')->json->{dms}, [], 'another lists nothing');
ok(!(grep { $_->{id} eq $room } @{ $ada->get('/api/rooms')->json->{rooms} }),
   'they are not among the rooms');

is($ada->post('/api/dms', { to => $ada->id, content => 'x' })->status, 400,
   'nobody writes to itself');
is($ada->post('/api/dms', { to => 'p_' . '0' x 26, content => 'x' })->status,
   404, 'or to nobody');
is($ada->post("/api/rooms/$room/leave")->status, 409,
   'a direct room is not left');
is($ada->post("/api/rooms/$room/members",
              { participantId => $eve->id })->status, 409,
   'and nobody is added to it');

done_testing;
