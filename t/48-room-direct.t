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


# What one says oneself.

my $own = $ada->ws;
my $mouth = $ada->ws;

for my $to ($bob, $eve) {
    $mouth->send_json({ type => 'send_direct', to => $to->id,
                        content => 'to ' . $to->name, clientId => 'c2' });
}

is_deeply([ map { ($own->recv_json(type => 'message') || {})->{content} }
            1, 2 ], [ 'to bob', 'to eve' ],
          'a clientId counts for each of those written to: the sockets of '
          . 'the sender hear both');

undef $own;
undef $mouth;


# Sockets that come while it rains.

my @wrong;

for my $round (1 .. 8) {
    my @noise;
    my @sockets = map { $node->ws('/ws') } 1 .. 6;

    for my $socket (@sockets) {
        push @noise, $node->begin(POST => '/api/dms', token => $eve->token,
                                  json => { to      => $bob->id,
                                            content => 'rain' });
        $socket->send_json({ type => 'authenticate', token => $bob->token });
    }

    $_->recv_json(type => 'auth_ok') for @sockets;
    $_->reply for @noise;

    $eve->post('/api/dms', { to => $bob->id, content => "sun $round" });

    for my $socket (@sockets) {
        my $message;

        do {
            $message = $socket->recv_json(type => 'message');
        } while ($message && $message->{content} eq 'rain');

        push @wrong, $round
            if !$message || $message->{content} ne "sun $round";
    }

    last if @wrong;
}

is_deeply(\@wrong, [], 'every socket that was let in hears what is said then');


# Afterwards.

my $history = $ada->get("/api/rooms/$room/messages")->json->{messages};

is_deeply([ map { $_->{content} } @$history ],
          [ 'psst', 'what?', 'to bob' ], 'both parties read it');

is($eve->get("/api/rooms/$room/messages")->status, 404,
   'nobody else finds it');
is($eve->post("/api/rooms/$room/messages", { content => 'hi' })->status, 404,
   'or speaks in it');
is($eve->post("/api/rooms/$room/join")->status, 404, 'or joins');
is($node->owner->get("/api/rooms/$room/messages")->status, 404,
   'not even who owns the mesh');

my $dms = $ada->get('/api/dms')->json->{dms};

is_deeply([ sort map { $_->{with}{name} } @$dms ], [ 'bob', 'eve' ],
          'a participant lists with whom it talked');
is_deeply([ grep { $_->{roomId} eq $room }
            @{ $eve->get('/api/dms')->json->{dms} } ], [],
          'another does not list it');
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


# A session without /dm/send does not even see that somebody wrote.

my $narrow = $node->bot('narrow', maker => $ada,
                        commands => [ '/room/list', '/room/read' ]);

is($eve->post('/api/dms', { to => $narrow->id, content => 'x' })->status, 201,
   'a bot that may only read is written to');
is_deeply($narrow->get('/api/status')->json->{rooms}, [],
          'and its digest keeps that from it');

done_testing;
