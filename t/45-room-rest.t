#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Rooms over REST: create, list, get, join, leave, invite, remove; and what is
# private looks as if it were not there (design, sections 5 and 6).

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full;
my $owner = $node->owner;
my $ada = $node->register('ada');
my $bob = $node->register('bob');


# Create and see.

my $reply = $ada->post('/api/rooms', { name => 'kitchen', topic => 'food' });

is($reply->status, 201, 'a member makes a room');

my $kitchen = $reply->json->{id};

like($kitchen, qr/^r_[0-9a-z]{26}$/, 'its id says what it is');
is($reply->header('Location'), "/api/rooms/$kitchen", 'and where');
is($reply->json->{visibility}, 'public', 'it is public unless asked');
is($reply->json->{createdBy}, $ada->id, 'and names who made it');

is($ada->post('/api/rooms', { name => 'KITCHEN' })->status, 409,
   'a name is taken, whatever the case of its letters');
is($bob->get("/api/rooms/$kitchen")->json->{topic}, 'food',
   'others see it');
is_deeply([ map { $_->{id} } @{ $bob->get('/api/rooms')->json->{rooms} } ],
          [ $kitchen ], 'and find it in the list');


# Members.

is($bob->post("/api/rooms/$kitchen/join")->status, 201, 'others join');
is($bob->post("/api/rooms/$kitchen/join")->status, 200, 'once');

my %members = map { $_->{name} => $_ }
              @{ $bob->get("/api/rooms/$kitchen/members")->json->{members} };

is($members{ada}{role}, 'owner', 'who made the room owns it');
is($members{bob}{role}, 'member', 'who joined is a member');
ok(!$members{bob}{online}, 'who holds no socket is not online');

is($ada->del("/api/rooms/$kitchen/members/" . $bob->id)->status, 204,
   'the owner of a room removes a member');
is($bob->post("/api/rooms/$kitchen/messages", { content => 'hm' })->status,
   403, 'who then may not speak');
is($bob->del("/api/rooms/$kitchen/members/" . $ada->id)->status, 403,
   'a member removes nobody');
is($bob->post("/api/rooms/$kitchen/join")->status, 201, 'but may come back');
is($bob->post("/api/rooms/$kitchen/leave")->status, 204, 'and leave');


# Private rooms.

my $cellar = $ada->post('/api/rooms',
    { name => 'cellar', visibility => 'private' })->json->{id};

for my $path ('', '/members', '/messages') {
    is($bob->get("/api/rooms/$cellar$path")->status, 404,
       "a stranger finds no private room ($path)");
}

my $other = $bob->post('/api/rooms', { name => 'Cellar' });

is($other->status, 201, 'nor learns of it by a name that is taken');
is($ada->post('/api/rooms', { name => 'cellar', visibility => 'private' })
   ->status, 201, 'names of private rooms are nobody else\'s business');
is($ada->post('/api/rooms', { name => 'CELLAR' })->status, 409,
   'and those of public ones are taken as before');
is($bob->post("/api/rooms/$cellar/join")->status, 404, 'cannot join it');
is($bob->post("/api/rooms/$cellar/messages", { content => 'x' })->status, 404,
   'nor speak in it');
ok(!(grep { $_->{id} eq $cellar } @{ $bob->get('/api/rooms')->json->{rooms} }),
   'nor list it');

is($ada->post("/api/rooms/$cellar/members",
              { participantId => $bob->id })->status, 201, 'until invited');
is($bob->get("/api/rooms/$cellar")->status, 200, 'then it is there');
is($bob->post("/api/rooms/$cellar/messages", { content => 'x' })->status, 201,
   'and open');


# Removal.

is($bob->del("/api/rooms/$kitchen")->status, 403,
   'a room is not removed by who did not make it');
is($ada->del("/api/rooms/$kitchen")->status, 204, 'but by its owner');
is($ada->get("/api/rooms/$kitchen")->status, 404, 'and is gone');
is($ada->post('/api/rooms', { name => 'kitchen' })->status, 201,
   'its name is free again');
is($owner->del("/api/rooms/$cellar")->status, 404,
   'the owner of the mesh is no member of a private room: it finds none');
is($ada->del("/api/rooms/$cellar")->status, 204, 'who made it removes it');
is($ada->post('/api/rooms', { name => 'cellar' })->status, 409,
   'which frees no name that it did not take');


# Refusals say what is wrong.

for my $case (
    [ { name => '' }, 400, 'no name' ],
    [ { name => ' x' }, 400, 'a blank at the end' ],
    [ { name => 'x', visibility => 'secret' }, 400, 'unknown visibility' ],
    [ { name => 'x', visibility => '' }, 400, 'no visibility at all' ],
    [ { name => 7 }, 400, 'a number for a name' ],
    [ [ 1 ], 400, 'no object' ],
) {
    my ($body, $status, $what) = @$case;
    my $refusal = $ada->post('/api/rooms', $body);

    is($refusal->status, $status, "$what is refused");
    is($refusal->header('Content-Type'), 'application/problem+json',
       'by a problem');
}

is($node->get('/api/rooms')->status, 401, 'no token, no list');
is($ada->get('/api/rooms/nonsense')->status, 404, 'an id that is none');
is($ada->request(PUT => '/api/rooms')->status, 405, 'an unknown method');

done_testing;
