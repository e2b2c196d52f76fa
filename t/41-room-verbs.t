#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What clients may say: every verb with its limits, and what happens to a frame
# that is no good.  A refused frame changes nothing and closes nothing.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full(directives => {
    mesh_room_message_size => '1k',
    mesh_room_join_max     => 2,
    mesh_room_rate         => 200,
});

my $ada = $node->register('ada');
my $bob = $node->register('bob');
my $room = $ada->create_room('kitchen');

# claim 1: everybody in the room, the sender too, gets what was said

my $a = $ada->ws;
my $b = $bob->ws;

$a->send_json({ type => 'join_room', roomId => $room });

my $joined = $a->recv_json(type => 'room_joined');

is($joined->{seq}, 0, 'a room begins at 0');
is_deeply([ map { $_->{name} } @{ $joined->{members} } ], [ 'ada' ],
          'with its members');

$b->send_json({ type => 'join_room', roomId => $room });
$joined = $b->recv_json(type => 'room_joined');

is_deeply([ sort map { $_->{name} } @{ $joined->{members} } ],
          [ 'ada', 'bob' ], 'joining makes a member');
is($bob->get("/api/rooms/$room/members")->status, 200, 'that REST knows');

$a->send_json({ type => 'send_message', roomId => $room,
                content => "h\x{e9}llo \x{1f600} \"\\\n", clientId => 'c1' });

my $ack = $a->recv_json(type => 'ack');

is($ack->{clientId}, 'c1', 'the sender gets an ack');
is($ack->{seq}, 1, 'with the seq');

my @got = map { $_->recv_json(type => 'message') } $a, $b;

is_deeply($got[0], $got[1], 'sender and member get the same');
is($got[0]{id}, $ack->{id}, 'the message of the ack');
is($got[0]{content}, "h\x{e9}llo \x{1f600} \"\\\n", 'every character of it');
is($got[0]{senderId}, $ada->id, 'with its sender');
is($got[0]{senderName}, 'ada', 'by name');
is($got[0]{roomId}, $room, 'and its room');
like($got[0]{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
     'and its time');
ok(!exists $got[0]{clientId}, 'the clientId is the sender\'s alone');

$a->send_json({ type => 'send_message', roomId => $room, content => 'other',
                clientId => 'c1' });
is_deeply($a->recv_json(type => 'ack'), $ack,
          'a repeat of a clientId is answered by the stored message');

$b->send_json({ type => 'send_message', roomId => $room, content => 'yes',
                clientId => 'c1', replyTo => $ack->{id} });

my $reply = $a->recv_json(type => 'message');

is($reply->{seq}, 2, 'and stored once; a clientId is its sender\'s');
is($reply->{replyTo}, $ack->{id}, 'an answer says to what');

$a->send_json({ type => 'ping' });
ok($a->recv_json(type => 'pong'), 'a ping in JSON is answered');

# direct messages

$a->send_json({ type => 'send_direct', to => $bob->id, content => 'psst',
                clientId => 'd1' });

my $direct = $a->recv_json(type => 'ack', clientId => 'd1');

is($b->recv_json(type => 'message', content => 'psst')->{to}, $bob->id,
   'a direct message reaches the other party');
is($a->recv_json(type => 'message', content => 'psst')->{id}, $direct->{id},
   'and its sender\'s connections');

# leaving

$b->send_json({ type => 'leave_room', roomId => $room });
ok($b->recv_json(type => 'room_left', roomId => $room), 'a room is left');

$a->send_json({ type => 'send_message', roomId => $room, content => 'gone?' });
$a->recv_json(type => 'message', content => 'gone?');

$b->send_json({ type => 'ping' });
$b->recv_json(type => 'pong');
ok(!(grep { ($_->{content} // '') eq 'gone?' } $b->take_json),
   'and nothing more comes from it');
is($bob->post("/api/rooms/$room/messages", { content => 'still' })->status,
   201, 'the membership lasts');

# what is no good

sub refused {
    my ($ws, $frame, $error, $what, %more) = @_;

    ref $frame ? $ws->send_json($frame) : $ws->send_text($frame);

    my $got = $ws->recv_json(type => 'error') || {};

    is($got->{error}, $error, $what);
    is($got->{$_}, $more{$_}, "$what: $_") for sort keys %more;
}

my $deep = '[' x 200 . ']' x 200;

refused($a, '', 'invalid-json', 'nothing at all');
refused($a, '{', 'invalid-json', 'half an object');
refused($a, '[]', 'invalid-json', 'no object');
refused($a, '{"type":"ping"} x', 'invalid-json', 'something behind it');
refused($a, '{"type":"ping","type":"ping"}', 'invalid-json', 'a key twice');
refused($a, qq({"type":"ping","x":$deep}), 'invalid-json', 'deep nesting');
refused($a, '{"type":"ping","x":"\ud800"}', 'invalid-json',
        'half a surrogate');
refused($a, {}, 'bad-request', 'no type');
refused($a, { type => 'dance' }, 'bad-request', 'an unknown type');
refused($a, { type => 5 }, 'bad-request', 'a type that is no string');
refused($a, { type => 'join_room' }, 'bad-request', 'a missing member');
refused($a, { type => 'join_room', roomId => 'kitchen' }, 'bad-request',
        'no id of a room');
refused($a, { type => 'join_room', roomId => $room, since => -1 },
        'bad-request', 'a negative since');
refused($a, { type => 'join_room', roomId => $room, since => '1' },
        'bad-request', 'a since that is no number');
refused($a, { type => 'send_message', roomId => $room, content => '' },
        'bad-request', 'an empty content');
refused($a, { type => 'send_message', roomId => $room, content => [ 'x' ] },
        'bad-request', 'a content that is no string');
refused($a, { type => 'send_message', roomId => $room, clientId => 'big',
              content => 'x' x 1025 }, 'too-large', 'a content too long',
        ref => 'big');
refused($a, { type => 'send_message', roomId => $room, content => 'x',
              clientId => 'x' x 129 }, 'bad-request', 'a clientId too long');
refused($a, { type => 'send_message', roomId => $room, content => 'x',
              replyTo => 'that one' }, 'bad-request', 'no id of a message');
refused($a, { type => 'send_direct', to => $ada->id, content => 'me' },
        'bad-request', 'oneself');
refused($a, { type => 'send_direct', to => 'p_' . '0' x 26, content => 'x' },
        'not-found', 'nobody');
refused($a, { type => 'send_message', roomId => $direct->{roomId},
              content => 'x' }, 'bad-request', 'a room of two');
refused($a, { type => 'leave_room', roomId => $direct->{roomId} },
        'not-found', 'a room one is not in');
refused($a, { type => 'send_message', roomId => 'r_' . '0' x 26,
              content => 'x', clientId => 'n' }, 'not-found',
        'a room that is not there', ref => 'n');

my $other = $bob->create_room('cellar');
my $secret = $bob->create_room('vault', visibility => 'private');

refused($a, { type => 'send_message', roomId => $other, content => 'x' },
        'not-a-member', 'a room one has not joined');
refused($a, { type => 'send_message', roomId => $secret, content => 'x' },
        'not-found', 'a private room looks as if it were not there');
refused($a, { type => 'join_room', roomId => $secret }, 'not-found',
        'to who would join it too', ref => $secret);

$a->send_json({ type => 'join_room', roomId => $other });
ok($a->recv_json(type => 'room_joined', roomId => $other), 'a second room');
refused($a, { type => 'join_room', roomId => $ada->create_room('attic') },
        'rate-limited', 'and no third on this connection');

# no token, no action

my $ws = $node->ws('/ws');

refused($ws, { type => 'join_room', roomId => $room }, 'unauthenticated',
        'nothing before authentication');
refused($ws, { type => 'ping' }, 'unauthenticated', 'not even a ping');

# too fast

$a->send_bytes(Mesh::Test::Socket::frame_bytes(1, '{"type":"ping"}') x 500);
is($a->recv_json(type => 'error')->{error}, 'rate-limited',
   'who talks too fast is told');
ok($a->is_open, 'nothing of this closed the connection');

done_testing();
