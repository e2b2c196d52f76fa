#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Presence: who is here, on whichever worker; told when the first connection
# comes and the last one goes, also when a worker dies or is reloaded.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full(workers => 2);

my $ada = $node->register('ada');
my $bob = $node->register('bob');
my $room = $ada->create_room('kitchen');

sub enter {
    my ($person) = @_;

    my $ws = $person->ws;

    $ws->send_json({ type => 'join_room', roomId => $room });
    $ws->{joined} = $ws->recv_json(type => 'room_joined')
        or die "not joined\n";

    return $ws;
}

# Members of the room that are here, by REST.
sub here {
    my $members = $ada->get("/api/rooms/$room/members")->json->{members};

    return join ' ', sort map { $_->{name} } grep { $_->{online} } @$members;
}

# The worker that serves the most.
sub busiest {
    my %sockets = map {
        $_ => scalar grep { (readlink // '') =~ /^socket:/ }
              glob "/proc/$_/fd/*"
    } $node->workers;

    return (sort { $sockets{$b} <=> $sockets{$a} } keys %sockets)[0];
}

my $ear = enter($ada);

is($ear->{joined}{members}[0]{online}, 1, 'one is here oneself');

$bob->join_room($room);
is(here(), 'ada', 'a member without a connection is not here');

my @bobs = map { enter($bob) } 1 .. 6;

is($ear->recv_json(type => 'presence', state => 'online')->{participantId},
   $bob->id, 'one who comes is told to others');
is(here(), 'ada bob', 'and is here for everybody');

$bobs[$_]->close for 0 .. 4;
$ada->say($room, 'marker');
$ear->recv_json(type => 'message', content => 'marker');
ok(!(grep { $_->{type} eq 'presence' } $ear->take_json),
   'one with several connections comes once, and goes with the last');

$bobs[5]->abort;
is($ear->recv_json(type => 'presence', state => 'offline')->{participantId},
   $bob->id, 'when that is cut off too');
is(here(), 'ada', 'one is not here any more');

# a worker dies, with connections of bob

my @many = map { enter($bob) } 1 .. 16;

$ear->recv_json(type => 'presence', state => 'online');
$node->kill_worker(busiest());

my @left = grep { $_->send_json({ type => 'ping' });
                  $_->recv_json(type => 'pong', timeout => 5) } @many;

cmp_ok(scalar @left, '<', 16, 'a worker dies with its connections');

$_->abort for @many;

$node->wait_for(sub { here() !~ /bob/ }, 10, 'the dead to be forgotten');
ok(1, 'what it counted is forgotten');

# a reload: who comes back at once has never been away

$ear->abort;
$ear = enter($ada);

my $back = enter($bob);

$node->reload;
is($back->wait_close, 1012, 'a reload closes connections by 1012');
is($ear->wait_close, 1012, 'all of them');
$back = enter($bob);
$ear = enter($ada);

my ($seen) = grep { $_->{name} eq 'bob' } @{ $ear->{joined}{members} };

ok($seen->{online}, 'who comes back is here');
$node->wait_for(sub { !$node->leaving_workers }, 20, 'old workers to go');
ok(1, 'and the old workers go');
is(here(), 'ada bob', 'nobody is left behind by them');

done_testing();
