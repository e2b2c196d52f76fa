#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Anti-CLU: a bot holds what its maker delegated to it and never more, a bot
# of a bot at most that, and what the maker loses they lose (claims 2 and 7,
# promises S1, S2, S5).

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $node = Mesh::Test::Identity->new(workers => 2)->start;
my $one = 'r_' . '1' x 26;
my $two = 'r_' . '2' x 26;

is($node->post('/api/agents/bootstrap', { name => 'early' })->status, 409,
   'before there is an owner nobody can answer for a bot');

my $owner = $node->owner;
my $bob = $node->register('bob');

sub may {
    my ($who, $room, @commands) = @_;

    return [ map { $node->may($who->token, $_, $room) } @commands ];
}


# The four fields.

my $reply = $node->post('/api/agents/bootstrap',
                        { name => 'echo', type => 'nanoclaw' });
my $echo = $reply->json;
my $port = $node->port;

is($reply->status, 201, 'a bot is made in one request');
like($echo->{agentId}, qr/^p_[0-9a-z]{26}$/, 'with an id');
is($echo->{wsUrl}, "ws://127.0.0.1:$port/ws", 'where its socket is');
is($echo->{modelUrl}, "http://127.0.0.1:$port/api/models/v1",
   'and where its models are');
is($echo->{maker}, $owner->id,
   'where registration is open the owner answers for it');
cmp_ok(length $echo->{token}, '<', 7168, 'its token fits a header');

my $me = $node->get('/api/auth/me', token => $echo->{token})->json;

is_deeply([ @$me{qw(participantId role kind maker)} ],
          [ $echo->{agentId}, 'agent', 'bot', $owner->id ],
          'and tells who it is');

my $renewed = $node->post('/api/auth/login', { name => 'echo',
                                               password => $echo->{secret} });

is($renewed->status, 200, 'with its secret it gets a session anew');
is($node->may($renewed->json->{token}, '/room/send', $one), 200,
   'that may the same');


# Of a member, for one room, for one command.

my @some = qw(/room/read /room/send /dm/send /room/create /member/invite
              /role/manage /mesh/admin);

is_deeply(may($node->bot('whole', maker => $bob), $one, @some),
          [ 200, 200, 200, 403, 403, 403, 403 ],
          'a member\'s bot may what the role of a bot may');

my $narrow = $node->bot('narrow', maker => $bob, rooms => [ $one ]);

is_deeply(may($narrow, $one, @some), [ 200, 200, 200, 403, 403, 403, 403 ],
          'a bot for one room may there what others may anywhere');
is_deeply(may($narrow, $two, @some), [ 403, 403, 200, 403, 403, 403, 403 ],
          'and nothing in another room');

my $reader = $node->bot('reader', maker => $bob, rooms => [ $one ],
                        commands => [ '/room/read' ]);

is_deeply(may($reader, $one, @some), [ 200, (403) x 6 ],
          'a bot for one command may that');
is_deeply(may($reader, $two, @some), [ (403) x 7 ], 'there and not elsewhere');

my $refused = $node->post('/api/agents/bootstrap',
    { name => 'wide', commands => [ '/room/read', '/room/create' ] },
    token => $bob->token);

is($refused->status, 403, 'what no bot may is refused when it is named');
is($refused->json->{command}, '/room/create', 'by name');


# Bots of bots.

my $second = $node->bot('second', maker => $narrow);

is_deeply(may($second, $one, @some), [ 200, 200, 200, 403, 403, 403, 403 ],
          'a bot of a bot for one room may something there');
is_deeply(may($second, $two, @some), [ 403, 403, 200, 403, 403, 403, 403 ],
          'and no more than the bot that made it');

$refused = $narrow->post('/api/agents/bootstrap',
                         { name => 'third', rooms => [ $two ] });

is($refused->status, 403, 'asked for another room it refuses');
like($refused->json->{command}, qr{^/room/}, 'by the command');
is($reader->post('/api/agents/bootstrap', { name => 'fourth' })
   ->json->{command}, '/ucan/delegate',
   'a bot that may not delegate makes no bot');

# a line of them

my $last = $bob;
my $depth = 0;
my $end;

while ($depth < 20) {
    $end = $last->post('/api/agents/bootstrap',
                       { name => "line $depth",
                         commands => [ '/room/read', '/ucan/delegate' ] });
    last if $end->status != 201;

    $last = $node->participant($end, "line $depth");
    $depth++;
}

is($depth, 7, 'bots make bots over seven generations');
is($end->status, 403, 'and come to an end');
like($end->json->{detail}, qr/too long/, 'that is explained');
is_deeply(may($last, $one, @some), [ 200, (403) x 6 ],
          'the last may what was passed on');
is($node->post('/api/auth/login', { name => "line " . ($depth - 1),
   password => $last->password })->status, 200, 'and can log in');
is($bob->del('/api/participants/'
             . $node->get('/api/auth/me', token => $last->token)
               ->json->{maker})->status, 403,
   'a maker removes what it made, not what that made');


# Bodies are judged.

for my $bad ({ name => '' }, { name => 7 }, { rooms => 'r_1' },
             { rooms => [] }, { rooms => [ 'p_' . '1' x 26 ] },
             { rooms => [ ("r_" . '1' x 26) x 17 ] }, { commands => [ 1 ] },
             { commands => [ '/fly' ] }, { commands => [ 'room/read' ] },
             { type => [] }, { did => 'did:web:example.org' },
             { did => 'did:key:z6Mk' }, { invite => 5 },
             { delegations => {} })
{
    is($bob->post('/api/agents/bootstrap', { name => 'bad', %$bad })->status,
       400, 'refused: ' . JSON::PP->new->canonical->encode($bad));
}

# Keys of the mesh: the removal of such a bot would take away what its maker
# gave to all the others.

for my $did ($node->did, $bob->get('/api/auth/me')->json->{custodian}) {
    is($bob->post('/api/agents/bootstrap', { name => 'bad', did => $did })
       ->status, 400, 'a bot has no key that the mesh keeps');
}

is($bob->post('/api/agents/bootstrap',
              { name => 'bad', delegations => 'Cnonsense' })->json->{error},
   'invalid-token', 'delegations must be some');
is($bob->post('/api/agents/bootstrap', { name => 'ECHO' })->json->{error},
   'name-taken', 'bots and people share the names');

my $url = Mesh::Test::Identity->new(directives => {
    mesh_identity_url => 'https://mesh.example.org' })->start;

$url->owner;
$echo = $url->post('/api/agents/bootstrap', { name => 'echo' })->json;

is($echo->{wsUrl}, 'wss://mesh.example.org/ws',
   'behind a proxy the addresses are those of the configuration');
is($echo->{modelUrl}, 'https://mesh.example.org/api/models/v1', 'both');

$url->stop;
$node->stop;

done_testing;
