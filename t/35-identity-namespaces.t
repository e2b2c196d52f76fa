#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Where a participant keeps things: a person has a namespace of its own, a bot
# one below its maker's, which the maker sees, siblings do not, and which ends
# with the maker.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my @all = qw(/storage/read /storage/write /storage/admin);
my $node = Mesh::Test::Identity->new(workers => 2)->start;
my $owner = $node->owner;
my $bob = $node->register('bob');
my $eve = $node->register('eve');

sub may {
    my ($who, $ns) = @_;

    return join ' ', map { $node->may($who->token, $_, $ns) } @all;
}

use constant { ALL => '200 200 200', NOTHING => '403 403 403' };

sub namespace {
    my ($who) = @_;

    return $node->get('/api/auth/me', token => $who->token)->json->{namespace};
}


# People.

is(namespace($bob), $bob->id, 'a person\'s namespace is its id');
is(may($bob, $bob->id), ALL, 'it has all there');
is(may($bob, $bob->id . '.' . $eve->id), ALL, 'and below');
is(may($bob, $bob->id . $_), NOTHING, "not in its name with \"$_\" behind")
    for 'x', '-', '0', '/x';
is(may($bob, $_), NOTHING, 'not in "' . substr($_, 0, 3) . '..."')
    for $eve->id, 'other', 'x.' . $bob->id, $eve->id . '.' . $bob->id, '', '.';
is(may($owner, $_), ALL, 'the owner has all') for $bob->id, 'any';


# Bots.

my $first = $node->bot('first', maker => $bob);
my $second = $node->bot('second', maker => $bob);
my $ns = $bob->id . '.' . $first->id;

is($first->{namespace}, $ns, 'a bot\'s is below its maker\'s, it is told');
is(namespace($first), $ns, 'whenever it asks');
is(may($first, $ns), ALL, 'a member\'s bot has all there');
is(may($first, "$ns.x"), ALL, 'and below');
is(may($bob, $ns), ALL, 'as its maker has');
is(may($first, $bob->id), NOTHING, 'it has nothing in its maker\'s');
is(may($first, $first->id), NOTHING, 'nor where it has no maker');
is(may($first, "$ns$_"), NOTHING, 'nor next to it') for '0', 'x';
is(may($second, $ns), NOTHING, 'its sibling has nothing there');
is(may($first, $second->{namespace}), NOTHING, 'nor it at its sibling\'s');
is(may($eve, $ns), NOTHING, 'nor another person');

my $of_owner = $node->bot('of the owner', maker => $owner);

is($of_owner->{namespace}, $owner->id . '.' . $of_owner->id,
   'so it is with the owner\'s');
is(may($of_owner, $of_owner->{namespace}), ALL, 'whose bot has its own');
is(may($of_owner, $_), NOTHING, 'and nothing else')
    for $owner->id, $ns, $of_owner->id;

my $third = $node->bot('third', maker => $first);

is($third->{namespace}, "$ns." . $third->id, 'a bot\'s bot is below the bot');
is(may($third, $third->{namespace}), ALL, 'has its own');
is(may($third, $ns), NOTHING, 'and not its maker\'s');
is(may($_, $third->{namespace}), ALL, 'which those above have')
    for $first, $bob;
is(may($second, $third->{namespace}), NOTHING, 'and no other line');

my $reader = $node->bot('reader', maker => $bob,
                        commands => [ '/storage/read' ]);

is(may($reader, $reader->{namespace}), '200 403 403',
   'a bot may be made to read only');

my $talker = $bob->post('/api/agents/bootstrap',
    { name => 'talker', commands => [ '/room/read' ] })->json;

is($talker->{namespace}, undef, 'or to keep nothing');
like($talker->{namespaceDetail}, qr/nothing of "\/storage"/, 'it is told');
is($reader->post('/api/agents/bootstrap', { name => 'under the reader' })
   ->status, 403, 'nor can a reader pass on what it lacks');

my $renewed = $node->post('/api/auth/login', { name => 'first',
                                               password => $first->password });

is($node->may($renewed->json->{token}, '/storage/write', $ns), 200,
   'after a login it has its namespace');


# A line of makers that is too long for names.

my $last = $bob;
my @line;

for my $n (1 .. 7) {
    my $made = $last->post('/api/agents/bootstrap', { name => "line $n",
        commands => [ '/storage', '/ucan/delegate' ] });

    last if $made->status != 201;

    push @line, $node->participant($made, "line $n");
    $last = $line[-1];
}

is(scalar @line, 4, 'four generations of bots have a namespace');
is(may($last, $last->{namespace}), ALL, 'the last has its own');
is(may($bob, $last->{namespace}), ALL, 'and it is the first maker\'s too');
cmp_ok(length $last->{namespace}, '<=', 180, 'a short one');

is($last->post('/api/agents/bootstrap', { name => 'deep',
   commands => [ '/storage', '/ucan/delegate' ] })->json->{command},
   '/storage', 'a bot below cannot be given any');

my $deep = $last->post('/api/agents/bootstrap',
    { name => 'deep', commands => [ '/ucan/delegate' ] });
my $deeper;

is($deep->status, 201, 'but can be made');
is($deep->json->{namespace}, undef, 'without one');
like($deep->json->{namespaceDetail}, qr/too long for a namespace/,
     'it is told why');

$deep = $node->participant($deep, 'deep');
$deeper = $node->bot('deeper', maker => $deep,
                     commands => [ '/ucan/delegate' ]);

is(namespace($_), undef, 'it has none') for $deep, $deeper;
is(may($deep, $_), NOTHING, 'nor may it anything')
    for $last->{namespace}, $deep->id, $last->{namespace} . '.' . $deep->id,
        '', '.';


# The end of a maker.

is($owner->del('/api/participants/' . $bob->id)->status, 204,
   'the maker is removed');
is(may($_, $_->{namespace}), '401 401 401', 'what it made keeps nothing')
    for $first, $third, $line[3];
is($node->post('/api/auth/login', { name => 'first',
   password => $first->password })->status, 403, 'nor gets it back');


# Roles.

my $ana = $node->register('ana');
my $bot = $node->bot('of ana', maker => $ana);

is($owner->patch('/api/participants/' . $ana->id, { role => 'moderator' })
   ->status, 200, 'a maker gets another role');
is(may($bot, $bot->{namespace}), '401 401 401', 'its bots log in anew');

my $token = $node->post('/api/auth/login', {
    name => 'of ana', password => $bot->password })->json->{token};

is($node->may($token, '/storage/write', $bot->{namespace}), 200,
   'and have their namespace again');

$node->stop;

done_testing;
