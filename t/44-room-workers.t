#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Several workers are one mesh: every member hears every message once and in
# the same order, wherever they are, whoever dies, and across a reload.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use Mesh::Test::Crowd;

use constant { ROOMS => 3, PEOPLE => 8 };

my $node = Mesh::Test->full(workers => 4,
                            directives => { mesh_room_rate => 0 });

my @people = map { $node->register("person$_") } 1 .. PEOPLE;

sub crowd {
    my ($what, @events) = @_;

    my @rooms = map { $people[0]->create_room("$what $_") } 1 .. ROOMS;
    my $crowd = Mesh::Test::Crowd->new(
        node => $node, people => \@people, rooms => \@rooms, messages => 20);

    $crowd->run(@events);
    $crowd->check_history;
    is_deeply([ $crowd->faults ], [], "$what: nothing lost, doubled, "
              . 'reordered, and history has what was acknowledged');
    $crowd->leave;

    return $crowd;
}

crowd('peace');

my $crowd = crowd('a worker dies', 0.3 => sub { $node->kill_worker },
                  0.6 => sub { $node->kill_worker });

ok($crowd->reconnects, 'those it served came back');

$crowd = crowd('a reload', 0.3 => sub { $node->reload },
               0.6 => sub { $node->reload });

ok($crowd->reconnects, 'everybody came back');

# What is stored but was never told, as by a worker that dies between the two:
# another node on the same store, whose notices stay its own, makes such.

my $twin = Mesh::Test::Node->new(
    directives => { mesh_storage => $node->data . '/mesh.db' });

$twin->write_file("data/$_", $node->read_file("data/$_"))
    for qw(mesh.key mesh.did);
$twin->start;

my $room = $people[0]->create_room('afterwards');
my @ears = map {
    my $ws = $_->ws;
    $ws->send_json({ type => 'join_room', roomId => $room });
    $ws->recv_json(type => 'room_joined') or die "not joined\n";
    $ws;
} (@people) x 2;

# The worker that serves the fewest.
sub idlest {
    my %sockets = map {
        $_ => scalar grep { (readlink // '') =~ /^socket:/ }
              glob "/proc/$_/fd/*"
    } $node->workers;

    return (sort { $sockets{$a} <=> $sockets{$b} } keys %sockets)[0];
}

sub heard {
    my ($ws, $last) = @_;

    my @seqs;

    while (my $message = $ws->recv_json(type => 'message', timeout => 10)) {
        push @seqs, $message->{seq};
        last if $message->{seq} == $last;
    }

    return "@seqs";
}

sub say_untold {
    my ($content) = @_;

    return $twin->post("/api/rooms/$room/messages", { content => $content },
                       token => $people[0]->token)->json->{seq};
}

is(say_untold('untold'), 1, 'a message is stored and nobody is told');
$_->send_json({ type => 'ping' }) for @ears;
$_->recv_json(type => 'pong') for @ears;
ok(!(grep { $_->{type} eq 'message' } map { $_->take_json } @ears),
   'nobody hears it');

$people[0]->say($room, 'told');
is_deeply([ map { heard($_, 2) } @ears ], [ ('1 2') x @ears ],
          'the next one brings it, in order');

is(say_untold('untold'), 3, 'another one');
$node->kill_worker(idlest());

my @left = grep { !$_->wait_eof(timeout => 0.2) } @ears;

cmp_ok(@left, '>', 0, 'a worker dies, not everybody with it');
is_deeply([ map { heard($_, 3) } @left ], [ ('3') x @left ],
          'its death brings it, without a next one');

$_->abort for @ears;

# the same between two, who have joined nothing

my @inbox = map { $people[1]->ws } 1 .. 8;

sub direct {
    my ($on, $content) = @_;

    return $on->post('/api/dms', { to => $people[1]->id,
                                   content => $content },
                     token => $people[0]->token)->status;
}

sub letters {
    my ($ws, $n) = @_;

    return join ' ', map {
        ($ws->recv_json(type => 'message', timeout => 10) || {})->{content}
        // 'none'
    } 1 .. $n;
}

is(direct($twin, 'one'), 201, 'a direct message is stored, nobody is told');
is(direct($node, 'two'), 201, 'the next one is');
is_deeply([ map { letters($_, 2) } @inbox ], [ ('one two') x @inbox ],
          'every connection gets both, in order');

direct($twin, 'three');
$node->kill_worker(idlest());
@left = grep { !$_->wait_eof(timeout => 0.2) } @inbox;
cmp_ok(@left, '>', 0, 'a worker dies, not everybody with it');
is_deeply([ map { letters($_, 1) } @left ], [ ('three') x @left ],
          'its death brings the third');

$_->abort for @inbox;

$node->wait_for(sub { !$node->leaving_workers }, 30, 'old workers to go');
ok(1, 'no worker stays behind');

done_testing();
