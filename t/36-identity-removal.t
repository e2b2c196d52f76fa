#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Removing a participant ends every session below it at once and for good:
# also over a reload and a restart (claims 7 and 8, promise S4).

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $node = Mesh::Test::Identity->new(workers => 3)->start;
my $owner = $node->owner;

sub alive { return $node->may($_[0]->token, '/room/read', 'r_1') }


# One goes, with what hangs below.

my $bob = $node->register('bob');
my $bot = $node->bot('robot', maker => $bob);
my $small = $node->bot('small', maker => $bot);
my $carol = $node->register('carol');

is_deeply([ map { alive($_) } $bob, $bot, $small, $carol ], [ (200) x 4 ],
          'a member, its bot, and the bot of the bot may read');

my $no = $carol->del('/api/participants/' . $bob->id);

is($no->status, 403, 'a member removes nobody else');
is($no->json->{command}, '/member/manage', 'for want of a capability');

is($owner->del('/api/participants/' . $bob->id)->status, 204,
   'the owner removes a member');

for my $try (1 .. 6) {       # whichever of the three workers answers
    is_deeply([ map { alive($_) } $bob, $bot, $small, $carol ],
              [ 401, 401, 401, 200 ],
              "its sessions are over, those of its bots too: $try");
}

is($node->get('/api/auth/me', token => $bot->token)->status, 401,
   'on the API as well');
is($node->post('/api/auth/login', { name => 'bob',
                                    password => $bob->password })->status,
   401, 'the password opens nothing any more');

my $orphan = $node->post('/api/auth/login', { name => 'robot',
                                              password => $bot->password });

is($orphan->status, 403, 'a bot whose maker is gone gets no session');
like($orphan->json->{detail}, qr/made this participant/, 'and learns why');

my $record = $carol->get('/api/participants/' . $bob->id);

is($record->status, 200, 'who reads old messages finds out whose they were');
ok($record->json->{removedAt}, 'and that the participant is gone');
is($node->post('/api/auth/register', { name => 'BOB',
       password => 'another password' })->json->{error}, 'name-taken',
   'nobody becomes who somebody was');
is($owner->del('/api/participants/' . $bob->id)->status, 404,
   'one is removed once');


# Who may.

my $dave = $node->register('dave');
my $his = $node->bot('his', maker => $dave);

is($owner->del('/api/participants/' . $owner->id)->status, 403,
   'the owner cannot be removed');
is($his->del('/api/participants/' . $dave->id)->status, 403,
   'a bot does not remove its maker');
is($dave->del('/api/participants/' . $his->id)->status, 204,
   'a maker removes its bot');
is(alive($his), 401, 'which is over then');
is(alive($dave), 200, 'and its maker goes on');
is($dave->del('/api/participants/' . $dave->id)->status, 204,
   'everybody may go');
is(alive($dave), 401, 'and is gone');

for my $name ('eve', 'mallory') {
    my $who = $node->register($name);
    $owner->patch('/api/participants/' . $who->id, { role => 'admin' });
}

my ($eve, $mallory) = map {
    $node->post('/api/auth/login', { name => $_,
        password => Mesh::Test::Identity::PASSWORD })->json
} 'eve', 'mallory';

is($node->del("/api/participants/$mallory->{participantId}",
              token => $eve->{token})->json->{error}, 'role-too-high',
   'an admin does not remove another');
is($node->del('/api/participants/' . $carol->id, token => $eve->{token})
   ->status, 204, 'but a member');
is($node->del('/api/participants/' . $owner->id, token => $eve->{token})
   ->status, 403, 'and not the owner');


# For good.

my $last = $node->register('last');

is($last->post('/api/auth/logout')->status, 204, 'somebody logs out');

$node->reload;

is_deeply([ map { alive($_) } $bob, $bot, $carol, $last, $owner ],
          [ 401, 401, 401, 401, 200 ], 'a reload forgets nothing');

$node->kill_worker;

is_deeply([ map { alive($_) } $bob, $bot, $carol, $last, $owner ],
          [ 401, 401, 401, 401, 200 ], 'nor does the death of a worker');

$node->stop;
$node->start;

for my $try (1 .. 3) {
    is_deeply([ map { alive($_) } $bob, $bot, $carol, $last, $owner ],
              [ 401, 401, 401, 401, 200 ],
              "nor does a restart, in any worker: $try");
}

$node->stop;

my @lines = grep { /identity: ".*" removed by/ } split /\n/,
            $node->error_log;

is(scalar @lines, 4, 'the log has each removal');
ok((grep { index($_, $bob->id) >= 0 && index($_, $owner->id) >= 0 } @lines),
   'with who removed whom');

done_testing;
