#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A worker that falls behind by more than the ring holds is told so and reads
# the store instead: those who listen through it miss nothing.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant MESSAGES => 700;
use constant BYTES    => 8000;    # 5.6 MB on a ring of 4 MB

my $node = Mesh::Test->full(
    workers    => 2,
    directives => {
        mesh_storage_wake_size => '4m',
        mesh_room_queue_size   => '16m',
        mesh_room_rate         => 0,
    });

my $room = $node->owner->create_room('hall');
my $ada = $node->register('ada')->join_room($room);
my ($slow, $quick) = $node->workers;

END { kill CONT => grep { defined } $slow, $quick }


sub stop {
    my ($worker) = @_;

    kill STOP => $worker;

    $node->wait_for(
        sub { Mesh::Test::slurp("/proc/$worker/stat") =~ /\) T / }, 20,
        "worker $worker to stop");

    return;
}


# Each connection goes to the worker that is not stopped.

sub connect_without {
    my ($worker, $who) = @_;

    stop($worker);

    my $ws = $who->ws;

    $ws->send_json({ type => 'join_room', roomId => $room });
    $ws->recv_json(type => 'room_joined') or die "not joined\n";

    kill CONT => $worker;

    return $ws;
}

my $listener = connect_without($quick, $ada);
my $speaker = connect_without($slow, $node->owner);


# One worker sleeps while the other has much to tell.

stop($slow);

my ($sent, $acks) = (0, 0);

$node->wait_for(sub {
    while ($sent < MESSAGES && $sent - $acks < 50) {
        $speaker->send_json({
            type    => 'send_message',
            roomId  => $room,
            content => 'x' x BYTES,
        });
        $sent++;
    }

    Mesh::Test::Socket->pump(0.1, $speaker);
    $acks += grep { $_->{type} eq 'ack' } $speaker->take_json;

    return $acks == MESSAGES;
}, 60, 'all messages on disk');

kill CONT => $slow;

ok($node->wait_for_log(qr/wake: this worker was overrun/),
   'a worker that was overrun knows it');

my @seqs;

$node->wait_for(sub {
    Mesh::Test::Socket->pump(0.1, $listener);
    push @seqs, map { $_->{seq} }
                grep { $_->{type} eq 'message' } $listener->take_json;

    return @seqs >= MESSAGES || !$listener->is_open;
}, 60, 'all messages at the other end');

is_deeply(\@seqs, [ 1 .. MESSAGES ],
          'who listens through it gets everything, once and in order');

$speaker->send_json({
    type => 'send_message', roomId => $room, content => 'and on' });

ok($listener->recv_json(type => 'message', content => 'and on'),
   'and what comes after');

done_testing;
