#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Many at once, over four workers, want what only one can have: a name, an
# invite, a room that is going away.  One gets it, the others hear why not, and
# nothing is half done.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { MANY => 8, PASSWORD => 'correct horse battery staple' };

my $node = Mesh::Test->full(workers => 4, registration => 'open',
    directives => { mesh_identity_hash_queue => 256 });


# Sends all of [ method, path, options ] before it reads an answer; the
# connections are made first, so that they are on several workers.

sub at_once {
    my (@requests) = @_;

    my @under_way = map {
        my ($method, $path, %opt) = @$_;
        $node->begin($method, $path, %opt);
    } @requests;

    return map { $_->reply } @under_way;
}

sub statuses {
    my %count;
    $count{ $_->status }++ for @_;
    return \%count;
}

sub post { my ($path, $json, %opt) = @_;
           return [ POST => $path, json => $json, %opt ] }


# The first registrant, and a name.

my @replies = at_once(map {
    post('/api/auth/register', { name => "first$_", password => PASSWORD })
} 1 .. MANY);

my @owners = grep { ($_->json->{role} // '') eq 'owner' } @replies;

is_deeply(statuses(@replies), { 201 => MANY }, 'all who come first register');
is(@owners, 1, 'one of them owns the mesh');

my $owner = $node->participant($owners[0], $owners[0]->json->{name}, PASSWORD);

@replies = at_once(map {
    post('/api/auth/register', { name => $_ % 2 ? 'twin' : 'TWIN',
                                 password => PASSWORD . $_ })
} 1 .. MANY);

is_deeply(statuses(@replies), { 201 => 1, 409 => MANY - 1 },
          'a name goes to one');

my ($winner) = grep { $replies[$_]->status == 201 } 0 .. MANY - 1;
my $twin = $node->login('twin', password => PASSWORD . ($winner + 1));

is($twin->id, $replies[$winner]->json->{participantId},
   'whose password it is that opens the account');

@replies = at_once(map {
    $_ % 2 ? post('/api/auth/register', { name => 'both',
                                          password => PASSWORD })
           : post('/api/agents/bootstrap', { name => 'both', type => 'x' },
                  token => $owner->token)
} 1 .. MANY);

is_deeply(statuses(@replies), { 201 => 1, 409 => MANY - 1 },
          'be it a person or a bot');


# An invite that is good for one.

my $code = $owner->post('/api/invites', { uses => 1 })->json->{code};

@replies = at_once(map {
    post($_ % 2 ? '/api/auth/register' : '/api/agents/bootstrap',
         { name => "guest$_", invite => $code,
           $_ % 2 ? (password => PASSWORD) : (type => 'x') })
} 1 .. MANY);

is_deeply(statuses(@replies), { 201 => 1, 403 => MANY - 1 },
          'an invite lets in as many as it says');

my $known = grep { $_->status == 200 } map {
    $node->post('/api/auth/login', { name => "guest$_",
                                     password => PASSWORD })
} grep { $_ % 2 } 1 .. MANY;

cmp_ok($known, '<=', 1, 'the others have no account');


# A room name; a message that is repeated; two who write to each other first.

@replies = at_once(map {
    post('/api/rooms', { name => $_ % 2 ? 'Hall' : 'hall' },
         token => ($_ % 3 ? $owner : $twin)->token)
} 1 .. MANY);

is_deeply(statuses(@replies), { 201 => 1, 409 => MANY - 1 },
          'a room name is taken once');

my ($room) = map { $_->json->{id} } grep { $_->status == 201 } @replies;

$_->join_room($room) for $owner, $twin;

@replies = at_once(map {
    post("/api/rooms/$room/messages", { content => "try $_", clientId => 'c' },
         token => $twin->token)
} 1 .. MANY);

my %ids = map { $_->json->{id} => 1 } @replies;

is_deeply(statuses(@replies), { 201 => 1, 200 => MANY - 1 },
          'a message that is sent again and again is stored once');
is(keys %ids, 1, 'and everybody is told which one it is');

@replies = at_once(map {
    my ($from, $to) = $_ % 2 ? ($owner, $twin) : ($twin, $owner);
    post('/api/dms', { to => $to->id, content => "dm $_" },
         token => $from->token)
} 1 .. MANY);

my %dms = map { $_->json->{roomId} => 1 } @replies;

is_deeply(statuses(@replies), { 201 => MANY }, 'two write to each other');
is(keys %dms, 1, 'in one place, whoever was first');

my @seqs = sort { $a <=> $b } map { $_->json->{seq} } @replies;

is_deeply(\@seqs, [ 1 .. MANY ], 'without a hole');


# A room is deleted while people come, go, speak and read.

my @people = ($owner, $twin, map { $node->register("crowd$_") } 1 .. 4);

for my $round (1 .. 3) {
    my $going = $owner->create_room("going $round");
    my @ws = map { $_->ws } @people, @people;

    $_->send_json({ type => 'join_room', roomId => $going }) for @ws;

    my @storm = map {
        my $who = $people[rand @people];
        my @what = ([ POST => 'join', {} ], [ POST => 'leave', {} ],
                    [ POST => 'messages', { content => 'x' } ],
                    [ GET => 'messages' ], [ GET => 'members' ]);
        my ($method, $path, $json) = @{ $what[rand @what] };

        [ $method, "/api/rooms/$going/$path", token => $who->token,
          $json ? (json => $json) : () ];
    } 1 .. 60;

    splice @storm, 30, 0, [ DELETE => "/api/rooms/$going",
                            token => $owner->token ];

    @replies = at_once(@storm);

    for my $ws (@ws) {
        $ws->send_json({ type => 'send_message', roomId => $going,
                         content => 'is anybody here?', clientId => 'last' });
    }

    my @odd = grep { $_->status !~ /^(?:20[014]|40[34]|409)$/ } @replies;

    is(scalar @odd, 0, 'what comes too late for a room hears so')
        or diag map { $_->raw . "\n" } @odd;

    my @after = map { $_->get("/api/rooms/$going/messages")->status } @people;

    is_deeply(\@after, [ (404) x @people ], 'the room is gone for all');

    my @errors = map {
        ($_->recv_json(type => 'error', ref => 'last') // {})->{error}
    } @ws;

    is_deeply(\@errors, [ ('not-found') x @ws ], 'on the socket too');
    is((grep { !$_->is_open } @ws), 0, 'and no connection ended over it');
    is($owner->create_room("going $round") ne $going, 1, 'its name is free');

    $_->abort for @ws;
}

done_testing;
