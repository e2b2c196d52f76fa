#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Clients that begin and do not go on: half a handshake, half a header, half a
# body, a socket without a word, polls that are given up, logins by the
# hundred.  Others are served meanwhile, and all of it is forgotten in time.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use IO::Socket::INET;
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { HALF_OPEN => 200, POLLS => 200, LOGINS => 100 };

my $node = Mesh::Test->full(workers => 2, directives => {
    client_header_timeout   => '2s',
    client_body_timeout     => '2s',
    mesh_room_auth_timeout  => '2s',
    mesh_identity_hash_queue => 8,
});

my $owner = $node->owner;
my $ada = $node->register('ada');
my $room = $owner->create_room('hall');
my $bot = $node->bot('helper');

$_->join_room($room) for $ada, $bot;

my $ear = $ada->ws;

$ear->send_json({ type => 'join_room', roomId => $room });
$ear->recv_json(type => 'room_joined') or die "not in the room\n";

my $said = 0;

# Somebody speaks, and is heard.

sub talk_works {
    my ($when) = @_;
    my $text = 'word ' . ++$said;

    is($bot->post("/api/rooms/$room/messages", { content => $text })->status,
       201, "one speaks $when");
    ok($ear->recv_json(type => 'message', content => $text),
       "and is heard $when");

    return;
}

sub connections {
    return scalar grep { (readlink($_) // '') =~ /^socket/ }
                  map { glob "/proc/$_/fd/*" } $node->workers;
}

sub open_socket {
    my ($bytes) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $node->port) or die "$@";

    syswrite $socket, $bytes;

    return $socket;
}

talk_works('in peace');

my @workers = $node->workers;
my $quiet = connections();


# Half of everything.

my $key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
my $upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            . "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n$key\r\n";
my $body = "POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\n"
         . "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";

my @halves = map { (
    open_socket(substr $upgrade, 0, 20 + rand length($upgrade) - 20),
    open_socket("GET /api/health HTTP/1.1\r\nHost: local"),
    open_socket($body),
    open_socket("$upgrade\r\n"),
) } 1 .. HALF_OPEN / 4;

ok($node->wait_for(sub { connections() >= $quiet + HALF_OPEN }, 20,
                   'connections'), 'two hundred clients begin something');
talk_works('beside them');

# A slow one sends a byte now and then: that is not progress.

my @slow = map { open_socket("GET /api/health HTTP/1.1\r\nX-$_: ") } 1 .. 20;

ok($node->wait_for(
       sub {
           syswrite $_, 'x' for @slow;
           return connections() <= $quiet;
       }, 30, 'the end of all halves'),
   'whoever does not go on in time is let go');
talk_works('after them');

close $_ for @halves, @slow;


# Polls that are given up, and begun again at once.

my @polls;

for my $round (1 .. 4) {
    @polls = map {
        $node->begin(POST => '/api/poll', token => $bot->token,
                     json => { wait => 20 })
    } 1 .. POLLS / 4;

    $_->abort for @polls;
}

talk_works('while polls are given up');

@polls = map {
    $node->begin(POST => '/api/poll', token => $ada->token,
                 json => { wait => 20 })
} 1 .. 10;

talk_works('while others poll');
is($_->reply->status, 200, 'a poll that was not given up is answered')
    for @polls;


# Passwords cost time: more at once than there is room for are sent away.

my @logins = map {
    $node->begin(POST => '/api/auth/login', timeout => 60,
                 json => { name => "nobody$_", password => 'wrong horse' })
} 1 .. LOGINS;

talk_works('while a hundred passwords are tried');
is($node->get('/api/health')->status, 200, 'the node is healthy meanwhile');

my %statuses;

for my $reply (map { $_->reply } @logins) {
    $statuses{ $reply->status }++;
    $statuses{'Retry-After'}++ if $reply->header('Retry-After');
}

is($statuses{401} + $statuses{503}, LOGINS, 'each is answered');
ok($statuses{401} && $statuses{503}, 'some are hashed, the rest sent away');
is($statuses{'Retry-After'}, $statuses{503}, 'and told when to come again');
is($node->login('ada')->id, $ada->id, 'the right password still works');


# Nothing is left.

ok($node->wait_for(sub { connections() <= $quiet }, 20, 'an end'),
   'no connection is left behind');
is_deeply([ $node->workers ], \@workers, 'the workers are the same');

done_testing;
