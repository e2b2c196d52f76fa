#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Messages over REST: sent once, whatever is repeated; numbered without holes;
# paged both ways (design, section 6).

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
my $messages = "/api/rooms/$room/messages";

is($bob->post($messages, { content => 'hi' })->status, 403,
   'only members speak');

$bob->post("/api/rooms/$room/join");


# One message.

my $reply = $bob->post($messages, { content => "na\x{ef}ve \"quote\"",
                                    clientId => 'one' });

is($reply->status, 201, 'a member speaks');

my $first = $reply->json;

is($first->{type}, 'message', 'the answer is the message');
is($first->{seq}, 1, 'the first of its room');
is($first->{senderId}, $bob->id, 'by who sent it');
is($first->{senderName}, 'bob', 'with the name');
is($first->{content}, "na\x{ef}ve \"quote\"", 'as it was said');
like($first->{timestamp}, qr/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/,
     'and when');

my $again = $bob->post($messages, { content => 'other', clientId => 'one' });

is($again->status, 200, 'a repeat of a clientId is no new message');
is($again->json->{id}, $first->{id}, 'but the stored one');
is($ada->post($messages, { content => 'mine', clientId => 'one' })->status,
   201, 'the clientId of another sender is another');


# History.

$ada->post($messages, { content => "m$_" }) for 3 .. 12;

my $newest = $bob->get("$messages?limit=5")->json;

is_deeply([ map { $_->{seq} } @{ $newest->{messages} } ], [ 8 .. 12 ],
          'the newest come without asking, oldest first');
ok($newest->{more}, 'and it is told that there are more');

my $before = $bob->get("$messages?before=8&limit=5")->json;

is_deeply([ map { $_->{seq} } @{ $before->{messages} } ], [ 3 .. 7 ],
          'what was before');

my $since = $bob->get("$messages?since=9")->json;

is_deeply([ map { $_->{seq} } @{ $since->{messages} } ], [ 10 .. 12 ],
          'what came since');
ok(!$since->{more}, 'and that is all');

is($bob->get("$messages?limit=x")->status, 400, 'a limit is a number');


# Limits.

for my $case (
    [ { content => '' }, 400, 'an empty message' ],
    [ { content => undef }, 400, 'null' ],
    [ { content => 7 }, 400, 'a number' ],
    [ { content => 'x', replyTo => 'p_x' }, 400, 'a reply to no message' ],
    [ { content => 'x' x 40_000 }, 400, 'more than a message may hold' ],
    [ { content => 'x' x 1_000_000 }, 413, 'more than a body may hold' ],
) {
    my ($body, $status, $what) = @$case;

    is($bob->post($messages, $body)->status, $status, "$what is refused");
}

my $head = $bob->get("$messages?limit=1")->json->{seq};

is($head, 12, 'and leaves no hole');


# A restart keeps all.

$node->stop;
$node->start;

is($bob->get("$messages?since=11")->json->{messages}[0]{content}, 'm12',
   'what was said before a restart is there after it');

done_testing;
