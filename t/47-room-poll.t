#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Polling, for bots that keep no socket: at least once until acknowledged,
# waiting when asked to; and the digest of what is new (the-mesh, a.1).

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full;
my $ada = $node->register('ada');
my $bob = $node->register('bob');

my $room = $ada->post('/api/rooms', { name => 'kitchen' })->json->{id};

$ada->post("/api/rooms/$room/messages", { content => 'before' });
$bob->post("/api/rooms/$room/join");

my $poll = $bob->post('/api/poll', {})->json;

is_deeply($poll->{messages}, [], 'reading begins where one joined');

$ada->post("/api/rooms/$room/messages", { content => 'hello' });
$ada->post("/api/rooms/$room/messages", { content => 'you there, @Bob?' });
$bob->post("/api/rooms/$room/messages", { content => 'my own' });

$poll = $bob->post('/api/poll', {})->json;

is_deeply([ map { $_->{content} } @{ $poll->{messages} } ],
          [ 'hello', 'you there, @Bob?' ], 'what others said comes');

my $repeat = $bob->post('/api/poll', {})->json;

is_deeply($repeat->{messages}, $poll->{messages},
          'and comes again until acknowledged');

my $mentions = $bob->post('/api/poll', { mentionsOnly => \1 })->json;

is_deeply([ map { $_->{content} } @{ $mentions->{messages} } ],
          [ 'you there, @Bob?' ], 'or only what was said to one');

my $status = $bob->get('/api/status')->json;

is($status->{unread}, 2, 'the digest counts what is unread');
is($status->{mentions}, 1, 'and who asked for one');
is($status->{rooms}[0]{lastSeq}, 4, 'and where the room is');

my $next = $bob->post('/api/poll', { cursor => $poll->{cursor} })->json;

is_deeply($next->{messages}, [], 'a cursor acknowledges');
is($bob->get('/api/status')->json->{unread}, 0, 'then nothing is unread');

is($ada->post('/api/poll', { cursor => $poll->{cursor} })->status, 400,
   'the cursor of another is worth nothing');
is($bob->post('/api/poll', { cursor => 'AAAA' })->status, 400,
   'nor is one made up');


# Waiting.

my $waiting = $node->begin(POST => '/api/poll', token => $bob->token,
                           json => { wait => 20 });

$ada->post("/api/rooms/$room/messages", { content => 'late' });

is($waiting->reply->json->{messages}[0]{content}, 'late',
   'who waits hears when something is said');

my $direct = $node->begin(POST => '/api/poll', token => $bob->token,
                          json => { wait => 20,
                                    cursor => $bob->post('/api/poll', {})
                                                  ->json->{cursor} });

$ada->post('/api/dms', { to => $bob->id, content => 'psst' });

is($direct->reply->json->{messages}[0]{content}, 'psst',
   'and when somebody writes to one for the first time');

my $aborted = $node->begin(POST => '/api/poll', token => $ada->token,
                           json => { wait => 20 });
undef $aborted;

is($bob->post('/api/poll', { wait => -1 })->status, 400,
   'a wait is no negative number');


# Many rooms with nothing but one's own words: more than an answer has place
# for, and the room that somebody spoke in comes last of all.

my $carol = $node->register('carol');
my @many = map { $ada->post('/api/rooms', { name => "many $_" })->json->{id} }
           1 .. 14;

for my $id (@many) {
    $carol->post("/api/rooms/$id/join");
    $carol->post("/api/rooms/$id/messages", { content => 'mine' });
}

$ada->post("/api/rooms/$many[0]/messages", { content => 'yours' });

$poll = $carol->post('/api/poll', { wait => 5 })->json;

is_deeply([ map { $_->{content} } @{ $poll->{messages} } ], [ 'yours' ],
          'what one said oneself hides nothing');

$poll = $carol->post('/api/poll', { cursor => $poll->{cursor} })->json;

is_deeply($poll->{messages}, [], 'and it was acknowledged with the rest');

$carol->post("/api/rooms/$many[0]/messages", { content => 'mine' }) for 1 .. 3;
$ada->post("/api/rooms/$many[0]/messages", { content => 'behind' });

sub poll_once {
    my (%body) = @_;

    return $node->request(POST => '/api/poll', token => $carol->token,
                          timeout => 10, json => { wait => 25, limit => 2,
                                                   %body })->json;
}

$poll = poll_once();

ok($poll->{more}, 'who waits is told at once that there is more');

$poll = poll_once(cursor => $poll->{cursor});

is_deeply([ map { $_->{content} } @{ $poll->{messages} } ], [ 'behind' ],
          'and gets what lies behind the words of one\'s own');


# The world.

my $state = $ada->get('/api/state')->json;

is_deeply([ sort map { $_->{id} } @{ $state->{rooms} } ],
          [ sort $room, @many ], 'the state holds the rooms');
ok((grep { $_->{name} eq 'bob' } @{ $state->{participants} }),
   'and the participants');
is_deeply($state->{positions}, {}, 'and positions');

done_testing;
