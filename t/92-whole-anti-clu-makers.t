#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What a bot has hangs on its maker: a bot of a bot has at most as much, and
# when a maker loses something, all below lose it at once, in open sockets too.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

use constant AT_ONCE => 5;      # seconds, on a machine that is busy

my $node = Mesh::Test->full(workers => 2);
my $owner = $node->owner;
my $ada = $node->register('ada');
my $room = $ada->create_room('hall');
my $other = $ada->create_room('attic');

$owner->join_room($room);

my @talk = qw(/room/list /room/read /room/join /room/send);

sub bootstrap {
    my ($maker, %body) = @_;
    return $maker->post('/api/agents/bootstrap', { type => 'script', %body });
}

sub in_room {
    my ($who) = @_;
    my $ws = $who->ws;

    $ws->send_json({ type => 'join_room', roomId => $room });
    $ws->recv_json(type => 'room_joined') or die $who->name . " is not in\n";

    return $ws;
}

sub say_status {
    my ($who, $in) = @_;
    return $who->post("/api/rooms/$in/messages", { content => 'x' })->status;
}


# A bot with one room, and what it may pass on.

my $first = $node->bot('first', maker => $ada, rooms => [$room],
                       commands => [ @talk, '/ucan/delegate' ]);
my $second = $node->bot('second', maker => $first);
my $mute = $node->bot('mute', maker => $ada, rooms => [$room],
                      commands => \@talk);

$_->join_room($room) for $first, $second;

is(say_status($first, $room), 201, 'the bot of a member speaks in its room');
is(say_status($second, $room), 201, 'so does the bot that this bot made');

for my $bot ($first, $second) {
    my $name = $bot->name;

    is(say_status($bot, $other), 403, "$name: not in another room");
    is($bot->post("/api/rooms/$other/join")->status, 403,
       "$name: it does not join one");
    is($bot->get("/api/rooms/$other/messages")->status, 403,
       "$name: nor read one");
    is_deeply([ map { $_->{id} } @{ $bot->get('/api/rooms')->json->{rooms} } ],
              [$room], "$name: nor know of one");
    is($bot->post('/api/dms', { to => $ada->id, content => 'x' })->status, 403,
       "$name: it writes to nobody alone");
    is($bot->post('/api/rooms', { name => "of $name" })->status, 403,
       "$name: it makes no rooms");
    is($bot->post('/api/invites', {})->status, 403,
       "$name: it invites nobody");

    my $ws = in_room($bot);

    $ws->send_json({ type => 'join_room', roomId => $other });
    is($ws->recv_json(type => 'error')->{error}, 'forbidden',
       "$name: the socket says the same");
}

for my $command ('/room/create', '/dm/send', '/room', '/') {
    is(bootstrap($first, name => 'third', commands => [$command])->status,
       403, "the bot has no \"$command\" to pass on");
}

is(bootstrap($mute, name => 'third')->status, 403,
   'a bot without "/ucan/delegate" makes no bots');

is(bootstrap($first, name => 'astray', rooms => [$other])->status, 403,
   'nor the room that it lacks');


# The maker loses a part: everything below is renewed from what is left.

my @ws = map { in_room($_) } $first, $second, $second, $ada;

is($owner->patch('/api/participants/' . $ada->id, { role => 'spectator' })
   ->status, 200, 'the member becomes a spectator');

is(say_status($_, $room), 401, $_->name . ': its session has ended')
    for $first, $second, $ada;

for my $i (0 .. $#ws) {
    is($ws[$i]->wait_close(timeout => AT_ONCE), 1008,
       "socket $i of theirs is closed");
    like($ws[$i]->close_reason, qr/revoked/, 'and says why');
}

$ada = $node->login('ada');

is(bootstrap($ada, name => 'late', commands => ['/room/send'])->status, 403,
   'a spectator makes no bot that speaks');

my $login = $node->post('/api/auth/login', { name => 'second',
                                             password => $second->password });

$second->{token} = $login->json->{token};

is($second->get("/api/rooms/$room/messages")->status, 200,
   'a bot that logs in anew has what is left: it reads');
is(say_status($second, $room), 403, 'and does not speak');


# The maker is removed: sessions, sockets and polls of all bots below end.

my $bob = $node->register('bob');
my $one = $node->bot('one', maker => $bob, rooms => [$room]);
my $two = $node->bot('two', maker => $one);
my $bystander = in_room($owner);

$_->join_room($room) for $one, $two;

@ws = map { in_room($_) } map { ($_, $_, $_) } $one, $two;

my @polls = map {
    $node->begin('POST', '/api/poll', token => $_->token,
                 json => { wait => 20 }, timeout => AT_ONCE)
} $one, $two;

is($owner->del('/api/participants/' . $bob->id)->status, 204,
   'a maker is removed');
is(say_status($_, $room), 401, $_->name . ' is refused at once')
    for $one, $two;
is($_->wait_close(timeout => AT_ONCE), 1008, 'a socket of theirs is closed')
    for @ws;
is($_->reply->status, 401, 'a poll that waits is answered') for @polls;

$bystander->send_json({ type => 'ping' });
ok($bystander->recv_json(type => 'pong'), 'others notice nothing');


# A session that outlives its chain ends with the chain.

my $file = $node->prefix . '/eve.key';
my (undef, $did) = $node->mesh('key', 'new', $file);
my (undef, $proof) = $node->mesh('token', '--key', $file,
                                 '--audience', $node->did);
chomp($did, $proof);

my $eve = $node->post('/api/auth/register',
                      { name => 'eve', did => $did, proof => $proof })->json;
my ($seed) = split /\n/, Mesh::Test::slurp($file);

my $token = Mesh::Test::Mint->mint(<<"END");
key mesh did=${\$node->did}
key eve seed=$seed
did fly_did key=fly
import given text=$eve->{delegations}
delegation read iss=eve aud=fly cmd=/room/read exp=3
delegation join iss=eve aud=fly cmd=/room/join exp=3
invocation of_eve iss=eve sub=eve cmd=/session/open
invocation of_fly iss=fly sub=fly cmd=/session/open
container eve form=P list=given,of_eve
container chain form=P list=given,read,join
container fly form=P list=given,read,join,of_fly
END

my $made = $node->post('/api/agents/bootstrap', {
    name => 'fly', did => $token->{fly_did}, delegations => $token->{chain},
    commands => [ '/room/read', '/room/join' ] }, token => $token->{eve});

my $fly = $node->ws('/ws', token => $token->{fly});

$fly->send_json({ type => 'join_room', roomId => $room });

is($made->status, 201, 'a maker with its own key delegates for a moment');
ok($fly->recv_json(type => 'room_joined'), 'for that long the bot is in');
is($fly->wait_close(timeout => 3 + AT_ONCE), 1008,
   'then it is out, though its own session would last an hour');
like($fly->close_reason, qr/expired/, 'and learns why');
is($node->get("/api/rooms/$room/messages", token => $token->{fly})->status,
   401, 'the token is good for nothing');

done_testing;
