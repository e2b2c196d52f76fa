#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A client that does not read: its queue is bounded, it is closed by 1013, its
# memory is given back, and nobody else waits for it.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { READERS => 6, MESSAGES => 1000, BYTES => 20000 };

my $node = Mesh::Test->full(directives => {
    mesh_room_queue_size    => '64k',
    mesh_room_rate          => 0,
    mesh_room_ping_interval => '60s',
    mesh_storage_cache_size => '256k',
});

my $ada = $node->register('ada');
my $bob = $node->register('bob');
my $room = $ada->create_room('kitchen');

sub enter {
    my ($person, %opt) = @_;

    my $ws = $person->ws;

    # so that the kernel does not take megabytes in place of the node

    setsockopt $ws->handle, SOL_SOCKET, SO_RCVBUF, 32768 if $opt{slow};

    $ws->send_json({ type => 'join_room', roomId => $room });
    $ws->recv_json(type => 'room_joined') or die "not joined\n";

    return $ws;
}

# Private memory of the worker in kilobytes.
sub memory {
    my ($pid) = $node->workers;
    my $text = Mesh::Test::slurp("/proc/$pid/smaps_rollup");
    my $sum = 0;

    $sum += $1 while $text =~ /^Private_\w+:\s+(\d+) kB/mg;

    return $sum;
}

my $talker = enter($ada);

# The seq of the next message, found without decoding all of it.
sub hear {
    my ($ws) = @_;

    while (defined(my $text = $ws->recv_text)) {
        return $1 if $text =~ /"type":"message","seq":(\d+)/;
    }

    die "deaf\n";
}

# Says things until the condition holds; the talker and the others given read
# each at once.  The seqs that the last of those got.
sub talk {
    my ($until, @readers) = @_;

    my @seqs;

    for my $i (1 .. MESSAGES) {
        $talker->send_json({ type => 'send_message', roomId => $room,
                             content => "$i " . 'x' x BYTES });

        for my $ws ($talker, @readers) {
            my $seq = hear($ws);
            push @seqs, $seq if $ws == $readers[-1];
        }

        last if $until->();
    }

    return \@seqs;
}

# How many connections were closed because of lag.
sub lagging {
    my $log = $node->error_log;
    my $n = () = $log =~ /is closed with 1013/g;

    return $n;
}

my $before = memory();
my $quick = enter($bob);
my @slow = map { enter($bob, slow => 1) } 1 .. READERS;

my $heard = talk(sub { lagging() == READERS }, $quick);

is_deeply($heard, [ 1 .. @$heard ],
          'those who read are not held up by those who do not');

# the slow ones read at last: what the kernel held, then the close frame

setsockopt $_->handle, SOL_SOCKET, SO_RCVBUF, 1 << 22 for @slow;

my @codes = map { $_->wait_close(timeout => 10) // 'none' } @slow;

is_deeply(\@codes, [ (1013) x READERS ], 'who does not read is closed: 1013')
    or diag("@codes");
like($slow[0]->close_reason, qr/lag/, 'with the reason');

my @got = map { /"type":"message","seq":(\d+)/ ? $1 : () }
          @{ $slow[0]{texts} };

is_deeply(\@got, [ 1 .. @got ], 'what it got is whole and in order');

my $back = $bob->ws;

$back->send_json({ type => 'join_room', roomId => $room,
                   since => scalar @got });
$back->recv_json(type => 'room_joined');
is($back->recv_json(type => 'message')->{seq}, @got + 1,
   'and it can go on where it was');

# silent and deaf: the connection goes at its time, the memory too

$_->abort for @slow;
undef @slow;

my @memory = memory();

for my $round (2 .. 3) {
    my @deaf = map { enter($bob, slow => 1) } 1 .. READERS;

    talk(sub { lagging() == READERS * $round }, $quick);
    $_->abort for @deaf;
    push @memory, memory();
}

SKIP: {
    skip 'the sanitizer keeps what is freed', 1 if Mesh::Test::is_asan();

    cmp_ok($memory[2] - $memory[1], '<', 1024,
           "memory is given back ($before; @memory kB)");
}

done_testing();
