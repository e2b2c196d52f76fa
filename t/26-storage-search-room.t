#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Searching the messages of a room: what is found, and that nobody finds what
# he may not read.

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

my $kitchen = $ada->post('/api/rooms', { name => 'kitchen' })->json->{id};


sub search { return $_[0]->get("/api/rooms/$_[1]/search?q=$_[2]") }


# What was said, newest first, once the index has reached seq.

sub found {
    my ($who, $room, $q, $seq) = @_;

    my $reply;

    $node->wait_for(sub {
        $reply = search($who, $room, $q);
        return $reply->status != 503
               && ($reply->status != 200 || $reply->json->{seq} >= $seq);
    });

    return $reply->status if $reply->status != 200;

    return join '|', map { $_->{content} } @{ $reply->json->{messages} };
}


sub say_in {
    my ($who, $room, $text) = @_;

    my $reply = $who->post("/api/rooms/$room/messages",
                           { content => $text });

    die $reply->raw if $reply->status != 201;

    return $reply->json;
}


# Words.

my @said = map { say_in($ada, $kitchen, $_) }
    'Soup is ready', 'who wants soup?', "Cr\x{e8}me \"br\x{fb}l\x{e9}e\"",
    'nothing of that kind';

is(found($ada, $kitchen, 'soup', 4), 'who wants soup?|Soup is ready',
   'messages are found, newest first');
is(found($ada, $kitchen, 'creme%20brulee', 4),
   "Cr\x{e8}me \"br\x{fb}l\x{e9}e\"", 'accents do not count');
is(found($ada, $kitchen, '%22soup+is%22', 4), 'Soup is ready',
   'a phrase is found');
is(found($ada, $kitchen, 'so*+-ready', 4), 'who wants soup?',
   'words may be left open, or excluded');
is(found($ada, $kitchen, 'ada', 4), '', 'names are not searched');

my $message = search($ada, $kitchen, 'ready')->json->{messages}[0];

is_deeply($message, $ada->get("/api/rooms/$kitchen/messages")
                        ->json->{messages}[0],
          'a message is given as the history gives it');
is($message->{senderName}, 'ada', 'with who said it');
is($message->{seq}, 1, 'and where');


# Pages.

say_in($ada, $kitchen, "carrot $_") for 1 .. 7;
found($ada, $kitchen, 'carrot', 11);

my @pages;
my $next = '';

do {
    my $page = $ada->get("/api/rooms/$kitchen/search?q=carrot&limit=3$next");

    push @pages, join ',', map { $_->{content} =~ s/\D//gr }
                 @{ $page->json->{messages} };
    $next = $page->json->{next} ? "&cursor=" . $page->json->{next} : '';

    like($page->header('Link'), qr/q=carrot&limit=3&cursor=/,
         'a page links to the next') if $next;
} while ($next);

is("@pages", '7,6,5 4,3,2 1', 'page by page to the oldest');


# Who may.

is($bob->get("/api/rooms/$kitchen/search?q=soup")->status, 200,
   'who may read a public room may search it');

my $cellar = $ada->post('/api/rooms',
    { name => 'cellar', visibility => 'private' })->json->{id};

say_in($ada, $cellar, 'the soup is poisoned');

is(found($ada, $cellar, 'poisoned', 1), 'the soup is poisoned',
   'a member finds what was said in a private room');
is(search($bob, $cellar, 'poisoned')->status, 404,
   'a stranger finds no such room');
is(search($owner, $cellar, 'poisoned')->status,
   $owner->get("/api/rooms/$cellar/messages")->status,
   'the owner of the node sees of it what history shows');
is(found($ada, $kitchen, 'poisoned', 11), '',
   'nothing goes from a room into another');
is(found($bob, $kitchen, 'poisoned', 11), '', 'for nobody');

is($ada->post("/api/rooms/$cellar/members", { participantId => $bob->id })
       ->status, 201, 'who is invited');
is(found($bob, $cellar, 'poisoned', 1), 'the soup is poisoned', 'finds it');
is($ada->del("/api/rooms/$cellar/members/" . $bob->id)->status, 204,
   'who is removed');
is(search($bob, $cellar, 'poisoned')->status, 404, 'does no longer');

my $dm = $ada->post('/api/dms', { to => $bob->id, content => 'psst, soup' })
             ->json->{roomId};
my $eve = $node->register('eve');

is(found($bob, $dm, 'psst', 1), 'psst, soup',
   'a direct message is found by the other party');
is(found($ada, $dm, 'psst', 1), 'psst, soup', 'and by who wrote it');
is(search($eve, $dm, 'psst')->status, 404, 'and by nobody else');
is($node->get("/api/storage/search/$dm?q=psst", token => $eve->token)
       ->status, 404, 'nor is a room a namespace of the storage API');
is($node->get("/api/rooms/$kitchen/search?q=soup")->status, 401,
   'who says nothing searches nothing');


# Bad queries, then a room that goes.

for my $q ('', '%22', '-soup', '*', 'a%00b', '%FF', 'x' x 257,
           join '+', 1 .. 17)
{
    my $reply = search($ada, $kitchen, $q);

    is($reply->status, 400, 'refused: "' . substr($q, 0, 20) . '"');
}

is($ada->get("/api/rooms/$kitchen/search")->status, 400, 'no query too');
is($ada->get("/api/rooms/$kitchen/search?q=soup&cursor=AAAA")->status, 400,
   'nor is a made up cursor taken');
is(search($ada, 'r_' . '0' x 26, 'soup')->status, 404,
   'a room that is not there is not searched');

is($ada->del("/api/rooms/$kitchen")->status, 204, 'a room is deleted');
is(search($ada, $kitchen, 'soup')->status, 404, 'and searched no more');

$node->stop;

done_testing;
