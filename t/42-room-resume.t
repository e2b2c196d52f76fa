#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Joining with "since": what was missed comes first, then what is said, each
# message once; a place that history does not have is told as a gap.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full(
    workers    => 2,
    directives => { mesh_room_queue_size => '16k', mesh_room_rate => 0 });

my $ada = $node->register('ada');
my $bob = $node->register('bob');
my $room = $ada->create_room('kitchen');

$bob->join_room($room);
$ada->say($room, "line $_") for 1 .. 250;

sub seqs {
    my ($ws, $last) = @_;

    my @seqs;

    while (!@seqs || $seqs[-1] < $last) {
        my $message = $ws->recv_json(type => 'message') or last;
        push @seqs, $message->{seq};
    }

    return \@seqs;
}

# what was missed

my $ws = $bob->ws;

$ws->send_json({ type => 'join_room', roomId => $room, since => 100 });

is($ws->recv_json(type => 'room_joined')->{seq}, 250,
   'one who comes back hears where the room is');
is_deeply(seqs($ws, 250), [ 101 .. 250 ],
          'and gets what was missed, more than a page of it, in order');

$ada->say($room, 'now');
is($ws->recv_json(type => 'message')->{content}, 'now',
   'and then what is new');

$ws->send_json({ type => 'join_room', roomId => $room, since => 249 });
$ws->recv_json(type => 'room_joined');
is_deeply(seqs($ws, 251), [ 250, 251 ],
          'a client that asks again gets what it asks for');

my $fresh = $bob->ws;

$fresh->send_json({ type => 'join_room', roomId => $room });
$fresh->recv_json(type => 'room_joined');
$ada->say($room, 'hello');
is_deeply(seqs($fresh, 252), [ 252 ], 'without since it begins with the next');

my $all = $bob->ws;

$all->send_json({ type => 'join_room', roomId => $room, since => 0 });
$all->recv_json(type => 'room_joined');
is_deeply(seqs($all, 252), [ 1 .. 252 ], 'since 0 is from the beginning');

# nothing between what was missed and what is said at that time

my @late = map { $bob->ws } 1 .. 4;
my $talker = $ada->ws;

for my $i (1 .. 200) {
    $talker->send_json({ type => 'send_message', roomId => $room,
                         content => "talk $i" });

    if ($i % 50 == 10) {
        $late[$i / 50]->send_json({ type => 'join_room', roomId => $room,
                                    since => 200 });
    }
}

for my $ws (@late) {
    is_deeply(seqs($ws, 452), [ 201 .. 452 ],
              'one who joins while others talk misses nothing, hears '
              . 'nothing twice');
}

# what cannot be had

my $future = $bob->ws;

$future->send_json({ type => 'join_room', roomId => $room, since => 1000 });
$future->recv_json(type => 'room_joined');

my $gap = $future->recv_json(type => 'gap');

is($gap->{from}, 453, 'a place beyond the end is a gap');
is($gap->{to}, 1000, 'up to where the client thought to be');

$ada->say($room, 'on we go');
is($future->recv_json(type => 'message')->{seq}, 453,
   'from which on it goes on');

# a client that reads slowly is served slowly, and not cut off

my $slow = $bob->ws;

$slow->send_json({ type => 'join_room', roomId => $room, since => 0 });
$slow->recv_json(type => 'room_joined');
is_deeply(seqs($slow, 453), [ 1 .. 453 ],
          'more than the queue holds is read as the queue drains');

done_testing();
