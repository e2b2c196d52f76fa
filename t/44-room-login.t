#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A connection whose token is checked in a thread: frames wait for their turn,
# a refusal is said, and whoever leaves meanwhile leaves nothing behind.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full(directives => {
    ucan_inline      => 0,
    ucan_cache       => 'off',
    ucan_thread_pool => 'store',
});

my $ada = $node->register('ada');
my $room = $node->post('/api/rooms', { name => 'den' }, token => $ada->token)
                ->json->{id};

ok($room, 'a request is let in by a thread');


# Frames that come meanwhile.

my @frames = map { Mesh::Test::Socket::frame_bytes(
                       1, Mesh::Test->json_encode($_)) }
             { type => 'authenticate', token => $ada->token },
             { type => 'join_room', roomId => $room },
             { type => 'send_message', roomId => $room, content => 'hello',
               clientId => 'c1' };

my $ws = $node->ws('/ws', early => join '', @frames);

is($ws->recv_json(type => 'auth_ok')->{participantId}, $ada->id,
   'a token in a frame authenticates');
ok($ws->recv_json(type => 'ack'), '... and the frames behind it are run');
is($ws->close(1000), 1000, '... in order');

$ws = $node->ws('/ws', token => $ada->token);

is($ws->recv_json(type => 'auth_ok')->{participantId}, $ada->id,
   'a token in the header as well');


# Refused.

my $text = $ada->token;
substr $text, 40, 1, substr($text, 40, 1) eq 'A' ? 'B' : 'A';

my $bad = $node->ws('/ws');
$bad->send_json({ type => 'authenticate', token => $text });

is($bad->recv_json(type => 'error')->{error}, 'unauthenticated',
   'a bad token is told so');
is($bad->wait_close, 1008, '... and the connection is closed');

is($node->post('/api/auth/logout', {}, token => $ada->token)->status, 204,
   'the session is ended');

my $late = $node->ws('/ws');
$late->send_json({ type => 'authenticate', token => $ada->token });

is($late->recv_json(type => 'error')->{error}, 'unauthenticated',
   'a session that was ended opens no connection');
is($ws->wait_close, 1008, '... and closes the one that is open');


# Leaving while it is being checked.

my $again = $node->login('ada');

my $first = Mesh::Test::Socket::frame_bytes(
    1, Mesh::Test->json_encode({ type => 'authenticate',
                                 token => $again->token }));

for (1 .. 100) {
    my $gone = $node->ws('/ws', early => $first);
    $gone->abort;
}

my $end = $node->ws('/ws', token => $again->token);

is($end->recv_json(type => 'auth_ok')->{participantId}, $again->id,
   'behind a hundred that left, one is let in');

$node->reload;

is($end->wait_close, 1012, 'a reload closes it in good order');

done_testing;
