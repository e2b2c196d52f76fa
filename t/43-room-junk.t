#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Junk and storms: random bytes in every place, clients that come, talk and are
# cut off at any moment while others talk.  Nothing breaks, nothing leaks, and
# who behaves is served.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { JUNK => 200, STORM => 250 };

my $seed = $ENV{MESH_TEST_SEED} || 20261124;

srand $seed;

my $node = Mesh::Test->full(workers => 2, directives => {
    mesh_room_rate        => 0,
    mesh_room_connections => 1000,
});

my $ada = $node->register('ada');
my $bob = $node->register('bob');
my $room = $ada->create_room('kitchen');

$bob->join_room($room);

# Sockets of all workers.
sub sockets {
    return scalar grep { (readlink // '') =~ /^socket:/ }
           map { glob "/proc/$_/fd/*" } $node->workers;
}

sub bytes { return join '', map { chr int rand 256 } 1 .. 1 + int rand $_[0] }

# Text that is nearly a frame of ours, with something wrong in it.
sub nearly {
    my $text = $node->json_encode({
        type => (qw(join_room send_message leave_room ping authenticate
                    send_direct))[rand 6],
        roomId => rand() < 0.7 ? $room : 'r_' . '0' x 26,
        content => 'x' x rand 200,
        to => $bob->id,
        since => int rand 10,
        clientId => 'c' . int rand 5,
    });

    for (1 .. rand 3) {
        my $at = rand length $text;

        rand() < 0.5 ? substr $text, $at, 1, chr 32 + rand 95
                     : substr $text, $at, 1 + rand 10, '';
    }

    return $text;
}

my $before = sockets();

# junk

for my $i (1 .. JUNK) {
    my $ws = rand() < 0.2 ? $node->ws('/ws')
                          : $node->ws('/ws', token => $ada->token);

    $ws->{silent} = 1 if rand() < 0.3;

    for (1 .. 1 + rand 5) {
        my $kind = rand;

        $kind < 0.3 ? $ws->send_bytes(bytes(300))
        : $kind < 0.5 ? $ws->send_frame(int rand 16, bytes(200),
                                        fin => int rand 2)
        : $ws->send_text(nearly());
    }

    rand() < 0.5 ? $ws->abort : $ws->recv_text(timeout => 0);
}

ok($node->get('/api/health')->status == 200, "junk breaks nothing ($seed)");

# a storm: while ada talks, others come and go

my $talker = $ada->ws;

$talker->send_json({ type => 'join_room', roomId => $room });
$talker->recv_json(type => 'room_joined');

my $begin = $ada->get("/api/rooms/$room/messages")->json->{seq};
my @crowd;

for my $i (1 .. STORM) {
    $talker->send_json({ type => 'send_message', roomId => $room,
                         content => "storm $i", clientId => "storm$i" });

    my $ws = $node->ws('/ws', token => $bob->token);

    $ws->send_json({ type => 'join_room', roomId => $room,
                     since => int rand $begin + $i });
    $ws->send_json({ type => 'send_message', roomId => $room,
                     content => 'me too' }) if rand() < 0.3;
    push @crowd, $ws;

    while (@crowd > 20) {
        my ($gone) = splice @crowd, rand @crowd, 1;

        rand() < 0.7 ? $gone->abort
                     : $gone->send_frame(8, pack 'n', 1000);
    }
}

my @acks = map { $talker->recv_json(type => 'ack', timeout => 20) } 1 .. STORM;

is(scalar(grep { defined } @acks), STORM,
   'who talks through the storm is acknowledged');

my %acked = map { $_->{id} => 1 } @acks;
my ($since, $found, $last) = ($begin, 0, 0);

while (1) {
    my $page = $ada->get("/api/rooms/$room/messages?since=$since&limit=200")
                   ->json->{messages};

    last unless @$page;

    $found += grep { $acked{ $_->{id} } } @$page;
    $since = $page->[-1]{seq};
}

is($found, STORM, 'each is in history once');

my @heard;

while (!@heard || $heard[-1] < $since) {
    my $message = $talker->recv_json(type => 'message') or last;
    push @heard, $message->{seq};
}

is("@heard", join(' ', $heard[0] .. $since), 'and was heard in order');

# what they left behind

$_->abort for @crowd;
$talker->abort;

$node->wait_for(sub { sockets() <= $before + 2 }, 30,
                'connections to be given back');
ok(1, 'no connection is left behind');

is($ada->get("/api/rooms/$room/members")->json->{members}[0]{online} ? 1 : 0,
   0, 'nobody is thought to be here');

done_testing();
