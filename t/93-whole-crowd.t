#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Four workers, 200 sockets in 20 rooms: nothing lost, doubled or out of order,
# while all is well, when a worker is killed, and across a reload.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use Mesh::Test::Crowd;

use constant { PEOPLE => 20, ROOMS => 20, SEATS => 10 };

my $node = Mesh::Test->full(workers => 4);
my @people = map { $node->register("person$_") } 1 .. PEOPLE;

my @events = (
    [ 'in peace' ],
    [ 'when a worker is killed', sub { $node->kill_worker } ],
    [ 'across a reload', sub { $node->reload } ],
);

for my $event (@events) {
    my ($when, $code) = @$event;

    my @rooms = map {
        $people[0]->post('/api/rooms', { name => "$_ $when" })->json->{id};
    } 1 .. ROOMS;

    my $crowd = Mesh::Test::Crowd->new(
        node => $node, people => \@people, rooms => \@rooms,
        per_room => SEATS, messages => 5);

    $crowd->run($code ? (0.4 => $code) : ());
    $crowd->check_history;

    is_deeply([ $crowd->faults ], [],
              "nothing is lost, doubled or out of order $when");

    ok($crowd->reconnects > 0, "and connections had to come back $when")
        if $code;

    $crowd->leave;
}

done_testing;
