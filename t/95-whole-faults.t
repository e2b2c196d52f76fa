#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A worker is killed while people register, speak and poll, and the node is
# reloaded under waiting polls: what was answered holds, what was not is there
# whole or not at all, and nobody waits in vain.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { MANY => 12, PASSWORD => 'correct horse battery staple' };

my $node = Mesh::Test->full(workers => 2);
my $owner = $node->owner;


# Killed while people register: each of them can, in the end.

for my $victim (0, 1) {
    my @names = map { "person $victim $_" } 1 .. MANY;
    my @begun = map {
        $node->begin(POST => '/api/auth/register', timeout => 20,
                     json => { name => $_, password => PASSWORD })
    } @names;

    # some are done by then, others are being hashed or written

    $node->wait_for(sub { $begun[0]->read; length $begun[0]->received }, 20,
                    'the first of them');
    $node->kill_worker(($node->workers)[$victim]);

    my @replies = map { $_->reply } @begun;
    my @lost = grep { $replies[$_]->status != 201 } 0 .. $#names;

    note(scalar(@lost) . ' were not answered');

    is((grep { $replies[$_]->status !~ /^(?:0|50\d)$/ } @lost), 0,
       'who is not answered hears nothing wrong');

    for my $i (0 .. $#names) {
        my %login = (name => $names[$i], password => PASSWORD);
        my $again = $replies[$i]->status == 201
                    ? undef : $node->post('/api/auth/register', \%login);
        my $whole = $node->post('/api/auth/login', \%login);

        is($whole->status, 200, "$names[$i]: the account is whole"
           . ($again ? ', at the second try' : ''))
            or diag $again ? $again->raw : '', $whole->raw;

        is($node->get('/api/rooms', token => $whole->json->{token})->status,
           200, 'and may do what a member may');
    }
}


# Killed while a room is made and people join and speak.

my $bot = $node->bot('helper');
my $room = $owner->create_room('hall');

$bot->join_room($room);

my @said = map {
    $node->begin(POST => "/api/rooms/$room/messages", timeout => 20,
                 token => $owner->token,
                 json => { content => "word $_", clientId => "c$_" })
} 1 .. 40;
my @rooms = map {
    $node->begin(POST => '/api/rooms', token => $owner->token,
                 json => { name => "room $_" }, timeout => 20)
} 1 .. 20;

$node->kill_worker;

my @acked = grep { $_->status == 201 } map { $_->reply } @said;
my @made = grep { $_->status == 201 } map { $_->reply } @rooms;
my @history = @{ $owner->get("/api/rooms/$room/messages?limit=100")
                 ->json->{messages} };
my %found = map { $_->{id} => 1 } @history;

is((grep { !$found{ $_->json->{id} } } @acked), 0,
   'what was acknowledged is in history');
is_deeply([ map { $_->{seq} } @history ], [ 1 .. @history ],
          'without a hole');

my @broken = grep {
    my $id = $_->json->{id};
    $owner->get("/api/rooms/$id/members")->status != 200
        || $owner->say($id, 'x')->{seq} != 1;
} @made;

is(scalar @broken, 0, 'rooms that were answered for work');

my %names = map { $_->{name} => 1 }
            @{ $owner->get('/api/rooms?limit=100')->json->{rooms} };
my @taken = grep {
    my $status = $owner->post('/api/rooms', { name => "room $_" })->status;
    $status != ($names{"room $_"} ? 409 : 201);
} 1 .. 20;

is(scalar @taken, 0, 'a name is taken by a room that is there, or free');


# Reloaded while polls wait: they are answered, and what is said goes on.

my $cursor = $bot->post('/api/poll', {})->json->{cursor};

$cursor = $bot->post('/api/poll', { cursor => $cursor })->json->{cursor}
    for 1 .. 2;

my @polls = map {
    $node->begin(POST => '/api/poll', token => $bot->token, timeout => 20,
                 json => { wait => 25, cursor => $cursor })
} 1 .. 20;

$node->reload;

my %statuses;
my @cursors;

for my $reply (map { $_->reply } @polls) {
    $statuses{ $reply->status }++;
    push @cursors, $reply->json->{cursor} if $reply->status == 200;
}

is_deeply(\%statuses, { 200 => 20 }, 'a reload answers polls that wait');

$owner->say($room, 'after the reload');

my $next = $bot->post('/api/poll', { wait => 20, cursor => $cursors[-1] });

is_deeply([ map { $_->{content} } @{ $next->json->{messages} } ],
          ['after the reload'], 'and their cursors go on');

ok($node->wait_for(sub { !$node->leaving_workers }, 30, 'old workers'),
   'the old workers leave');

done_testing;
