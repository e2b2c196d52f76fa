#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# conf/protocol.json is what is on the wire: every frame the server sends fits
# it, all of its frames are sent, and what it refuses the server refuses too.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use Mesh::Test::Schema;

my $schema = Mesh::Test::Schema->new(Mesh::Test->top
                                     . '/conf/protocol.json');
my $node = Mesh::Test->full;
my $ada = $node->register('ada');
my $bob = $node->register('bob');
my $room = $ada->create_room('kitchen');
my $said = $ada->say($room, 'first');

# a conversation with every frame in it, each checked on both ways

my (%seen, %said, @faults);

sub say_all {
    my ($ws, @frames) = @_;

    for my $frame (@frames) {
        push @faults, map { "client: $_" } $schema->faults('client', $frame);
        $said{ $frame->{type} } = 1;
        $ws->send_json($frame);
    }

    return;
}

# Reads until a frame of that type came.
sub hear {
    my ($ws, $type) = @_;

    while (defined(my $text = $ws->recv_text)) {
        my $frame = Mesh::Test->json_decode($text);

        push @faults, map { "$frame->{type}: $_" }
                      $schema->faults('server', $frame);
        $seen{ $frame->{type} } = 1;

        return $frame if $frame->{type} eq $type;
    }

    die "no $type came\n";
}

my $a = $node->ws('/ws');
my $b = $node->ws('/ws');

say_all($a, { type => 'authenticate', token => $ada->token });
hear($a, 'auth_ok');
say_all($b, { type => 'authenticate', token => $bob->token });
hear($b, 'auth_ok');

say_all($a, { type => 'join_room', roomId => $room, since => 0 });
hear($a, 'message');
say_all($b, { type => 'join_room', roomId => $room });
hear($b, 'room_joined');
hear($a, 'presence');

say_all($a, { type => 'send_message', roomId => $room, content => 'hi',
              clientId => 'c1', replyTo => $said->{id} },
            { type => 'send_message', roomId => $room, content => 'again' });
hear($a, 'ack') for 1 .. 2;
hear($b, 'message') for 1 .. 2;

say_all($a, { type => 'send_direct', to => $bob->id, content => 'psst',
              clientId => 'c2' });
hear($a, 'ack');
hear($b, 'message');

say_all($a, { type => 'ping' });
hear($a, 'pong');
say_all($a, { type => 'join_room', roomId => $room, since => 99 });
hear($a, 'gap');
say_all($a, { type => 'send_message', roomId => 'r_' . '0' x 26,
              content => 'x', clientId => 'c3' });
hear($a, 'error');
say_all($b, { type => 'leave_room', roomId => $room });
hear($b, 'room_left');
hear($a, 'presence');

is_deeply(\@faults, [], 'every frame of a conversation fits the schema');

my %types = map {
    my $side = $_;
    $side => { map { $schema->{root}{'$defs'}{$_}{properties}{type}{const}
                     => 1 } $schema->alternatives($side) }
} qw(client server);

is_deeply(\%said, $types{client}, 'all that a client may say was said');
is_deeply(\%seen, $types{server}, 'all that the server says was heard');

# what the schema refuses

my %good = (
    authenticate => { token => 'x' },
    join_room    => { roomId => $room },
    leave_room   => { roomId => $room },
    send_message => { roomId => $room, content => 'x' },
    send_direct  => { to => $bob->id, content => 'x' },
);

for my $type (sort keys %good) {
    my %frame = (%{ $good{$type} }, type => $type);

    for my $member (sort keys %{ $good{$type} }) {
        for my $value (undef, 5, '', [ 'x' ], { x => 1 }, 'MISSING') {
            my %bad = (%frame, $member => $value);

            delete $bad{$member}
                if defined $value && !ref $value && $value eq 'MISSING';

            my $ws = $type eq 'authenticate' ? $node->ws('/ws') : $a;

            $ws->send_json(\%bad);

            my $error = $ws->recv_json(type => 'error') || {};
            my @schema = $schema->faults('client', \%bad);

            push @faults, "$type $member "
                          . Mesh::Test->json_encode([ $value ])
                if !@schema || ($error->{error} // '') ne 'bad-request';
        }
    }
}

is_deeply(\@faults, [], 'what the schema refuses the server refuses');

done_testing();
