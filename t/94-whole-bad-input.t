#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What is no JSON, no HTTP and no frame, at every endpoint and on the socket:
# a status and a slug that say so, nothing done, and the same worker goes on.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Routes;

my $node = Mesh::Test->full;
my $owner = $node->owner;
my $ada = $node->register('ada');
my $room = $owner->create_room('hall');

$owner->say($room, 'the only message');

my @routes = Mesh::Test::Routes->all(
    room => $room, participant => $ada->id, role => 'member');
my ($worker) = $node->workers;
my $rooms = $owner->get('/api/rooms')->body;


# Bodies that are no JSON object, or not one of ours.

my %bodies = (
    'cut off'          => '{"name":"x"',
    'no JSON'          => 'name=x',
    'two objects'      => '{} {}',
    'an array'         => '[]',
    'a string'         => '"name"',
    'a number'         => '17',
    'null'             => 'null',
    'a last comma'     => '{"a":1,}',
    'single quotes'    => "{'a':1}",
    'NaN'              => '{"a":NaN}',
    'a leading zero'   => '{"a":01}',
    'a key twice'      => '{"name":"a","name":"b"}',
    'twice, escaped'   => '{"name":"a","n\u0061me":"b"}',
    'twice, below'     => '{"a":[{"b":1,"\u0062":2}]}',
    'a bad byte'       => "{\"name\":\"\xff\"}",
    'overlong'         => "{\"name\":\"\xc0\xaf\"}",
    'a surrogate'      => '{"name":"\ud800"}',
    'half a pair'      => '{"name":"\ud83dx"}',
    'a NUL'            => "{\"name\":\"a\0b\"}",
    'an escaped NUL'   => '{"name":"a\u0000b"}',
    'a control'        => "{\"name\":\"a\tb\"}",
    'a BOM'            => "\xef\xbb\xbf{}",
    'deep'             => '{"a":' . '[' x 100 . ']' x 100 . '}',
    'deep and open'    => '[' x 20_000,
    'deep objects'     => '{"a":' x 10_000,
    'many members'     => '{' . join(',', map { "\"k$_\":1" } 1 .. 5000) . '}',
);

sub is_problem {
    my ($reply, $status, $slug) = @_;

    my $json = $reply->json // {};

    return $reply->status == $status
           && ($json->{status} // 0) == $status
           && ($json->{error} // '') eq $slug
           && ($json->{type} // '') eq "/problems/$slug"
           && ($reply->header('Content-Type') // '')
              eq 'application/problem+json';
}

sub send_to {
    my ($route, $body, $type) = @_;

    return $owner->request(@$route[0, 1], body => $body, headers =>
                           { 'Content-Type' => $type // 'application/json' });
}

my @writers = grep { @$_ > 2 && $_->[1] ne '/api/auth/logout' } @routes;

for my $route (@writers) {
    my $what = "$route->[0] $route->[1]" =~ s/[rp]_\w+/.../gr;

    my @wrong = grep {
        !is_problem(send_to($route, $bodies{$_}), 400, 'invalid-json');
    } sort keys %bodies;

    is("@wrong", '', "$what: what is no JSON object is called that");
    ok(is_problem(send_to($route, '{"a":"' . 'x' x 1_100_000 . '"}'),
                  413, 'too-large'), "$what: too much is too much");
    ok(is_problem(send_to($route, 'a=b', 'text/plain'), 415,
                  'unsupported-media-type'), "$what: only JSON is taken");
}


# Members of the wrong type, or out of range.

my %wrong_type = (
    text  => [ 1, -1.5, \1, undef, [], {}, ['a'], '', 'x' x 40_000 ],
    word  => [ 1, \1, [], {}, 'x', 'Public' ],
    count => [ 'one', -1, 1.5, 1e300, \1, [], {} ],
    list  => [ 'x', 1, {}, [1], [[]], [undef], ['x'] ],
);

my @members = (
    [ '/api/auth/register'    => text => 'name', password => 'longenough' ],
    [ '/api/auth/register'    => text => 'password', name => 'bob' ],
    [ '/api/agents/bootstrap' => text => 'name' ],
    [ '/api/agents/bootstrap' => list => 'rooms', name => 'bot' ],
    [ '/api/agents/bootstrap' => list => 'commands', name => 'bot' ],
    [ '/api/invites'          => count => 'uses' ],
    [ '/api/roles'            => count => 'priority', name => 'low',
                                 permissions => {} ],
    [ '/api/rooms'            => text => 'name' ],
    [ '/api/rooms'            => word => 'visibility', name => 'cellar' ],
    [ "/api/rooms/$room/messages" => text => 'content' ],
    [ "/api/rooms/$room/members"  => text => 'participantId' ],
    [ '/api/dms'              => text => 'content', to => $ada->id ],
    [ '/api/dms'              => text => 'to', content => 'hello' ],
    [ '/api/poll'             => count => 'wait' ],
    [ '/api/poll'             => count => 'limit' ],
);

for my $case (@members) {
    my ($path, $kind, $member, %others) = @$case;

    my @wrong = grep {
        my $reply = $owner->post($path, { %others, $member => $_ });

        $reply->status !~ /^4(?:00|04|13)$/ || !$reply->json->{error};
    } @{ $wrong_type{$kind} };

    my $what = $path =~ s/[rp]_\w+/.../gr;

    is(Mesh::Test::json_encode(\@wrong), '[]',
       "$what: \"$member\" must be what it is");
}


# Ids and parameters that are none.

my @paths = (
    (map {; "/api/rooms/$_", "/api/rooms/$_/messages", "/api/participants/$_" }
     'r_', 'x' x 5000, '%2e%2e%2f', '%ff', "r_\xc3\xa9", $room . 'x',
     uc $room, '..%5c', "'or'1'='1", 'r_' . 'z' x 26),
    (map { "/api/rooms/$room/messages?$_" }
     'before=x', 'before=-1', 'since=1e3', 'limit=-1',
     'since=99999999999999999999999', 'before=', 'limit=%00'),
    '/api/rooms?cursor=%00', '/api/rooms?cursor=' . 'A' x 3000,
    '/api/dms?cursor=x',
);

my @wrong = grep {
    my $reply = $owner->get($_);

    $reply->status !~ /^40[04]$/ || !$reply->json || !$reply->json->{error};
} @paths;

is(join("\n", @wrong), '', 'ids and parameters that are none get 400 or 404');


# No HTTP.

my @requests = (
    [ 400, "GET / HTTP/1.1\r\n\r\n" ],
    [ 400, "GET /api/health HTTP/1.1\r\nHost: a b\r\n\r\n" ],
    [ 400, "G\0T /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n" ],
    [ 400, "GET /api/rooms/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n" ],
    [ 400, "GET /api/../../x HTTP/1.1\r\nHost: localhost\r\n\r\n" ],
    [ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n" ],
    [ 414, 'GET /' . 'x' x 40_000 . " HTTP/1.1\r\nHost: localhost\r\n\r\n" ],
    [ 494, "GET / HTTP/1.1\r\nHost: localhost\r\nX: " . 'x' x 40_000
           . "\r\n\r\n" ],
    [ 400, "POST /api/rooms HTTP/1.1\r\nHost: localhost\r\n"
           . "Content-Length: -1\r\n\r\n" ],
    [ 400, "POST /api/rooms HTTP/1.1\r\nHost: localhost\r\n"
           . "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}" ],
    [ 413, "POST /api/rooms HTTP/1.1\r\nHost: localhost\r\n"
           . "Content-Length: 99999999\r\n\r\n" ],
    [ 400, "POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\n"
           . "Content-Type: application/json\r\n"
           . "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n" ],
    [ 505, "GET / HTTP/3.7\r\nHost: localhost\r\n\r\n" ],
);

for my $request (@requests) {
    my ($status, $bytes) = @$request;
    my $reply = $node->raw($bytes, timeout => 10, one => 1);
    my ($line) = $bytes =~ /\A(.{0,40})/;

    # a broken request is refused before anything knows of problems

    ok($status == 400 ? $reply->status == 400
       : is_problem($reply, $status == 494 ? 400 : $status,
                    $status == 413 ? 'too-large' : 'bad-request'),
       "$status: " . $line =~ s/\0/./gr);
}


# No verb: an error, and the connection goes on.

my $ws = $owner->ws;

$ws->send_json({ type => 'join_room', roomId => $room });
$ws->recv_json(type => 'room_joined') or die "not in the room\n";

my @texts = (
    (map { $bodies{$_} } grep { !/bad byte|overlong/ } sort keys %bodies),
    map { Mesh::Test::json_encode($_) }
        {}, { type => 1 }, { type => 'no_verb' }, { type => 'send_message' },
        { type => 'send_message', roomId => 1, content => 'x' },
        { type => 'send_message', roomId => $room },
        { type => 'send_message', roomId => $room, content => {} },
        { type => 'send_message', roomId => $room, content => '' },
        { type => 'send_message', roomId => 'x' x 5000, content => 'x' },
        { type => 'join_room' }, { type => 'join_room', roomId => [] },
        { type => 'join_room', roomId => $room, since => 'x' },
        { type => 'join_room', roomId => $room, since => -1 },
        { type => 'send_direct', to => 7, content => 'x' },
        { type => 'authenticate', token => 5 },
);

for my $text (@texts) {
    $ws->send_text($text);

    my $error = $ws->recv_json(type => 'error', timeout => 10);
    my $shown = substr $text, 0, 50;

    ok($error && $error->{error} && $error->{detail}, "an error for $shown");
    last unless $ws->is_open;
}

$ws->send_json({ type => 'ping' });
ok($ws->recv_json(type => 'pong'), 'after all that the connection works');


# Nothing of it was done.

is_deeply([ $node->workers ], [$worker], 'the worker is the same');
is($owner->get('/api/rooms')->body, $rooms, 'there is no room more');
is_deeply([ map { $_->{content} } @{ $owner->get("/api/rooms/$room/messages")
                                     ->json->{messages} } ],
          ['the only message'], 'and no message');

done_testing;
