#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Opening a WebSocket: what a client must say (RFC 6455, 4.2.1), where its
# token may stand, and which pages of browsers are turned away.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full(directives => {
    mesh_room_auth_timeout => '300ms',
    mesh_room_connections  => 3,
});

my $ada = $node->register('ada');

# where a token may stand

my $ws = $node->ws('/ws', token => $ada->token);

ok($ws->is_open, 'a WebSocket opens');

my $in = $ws->recv_json(type => 'auth_ok');

is($in->{participantId}, $ada->id, 'a token in the header authenticates');
is($in->{name}, 'ada', 'the answer says who one is');
is($in->{role}, 'member', 'and in which role');
is($in->{did}, $ada->did, 'and by which DID');
like($in->{expiresAt}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'and until when');
is($ws->close(1000), 1000, 'a close is answered by its code');

$ws = $node->ws('/ws', subprotocol => 'mesh.v1, bearer.' . $ada->token);

is($ws->reply->header('Sec-WebSocket-Protocol'), 'mesh.v1',
   'of the subprotocols only mesh.v1 is answered');
is($ws->recv_json(type => 'auth_ok')->{participantId}, $ada->id,
   'a token among them authenticates');

$ws = $node->ws('/ws');
$ws->send_json({ type => 'authenticate', token => $ada->token });

is($ws->recv_json(type => 'auth_ok')->{participantId}, $ada->id,
   'a token in the first frame authenticates');

$ws->send_json({ type => 'authenticate', token => $ada->token });

is($ws->recv_json(type => 'error')->{error}, 'conflict',
   'one token a connection');

my $early = Mesh::Test::Socket::frame_bytes(
    1, Mesh::Test->json_encode({ type => 'authenticate',
                                 token => $ada->token }));

$ws = $node->ws('/ws', early => $early);

is($ws->recv_json(type => 'auth_ok')->{participantId}, $ada->id,
   'a frame that comes with the handshake is read');

# who is not let in

my $bob = $node->register('bob');
my @held = map { $bob->ws } 1 .. 3;

$ws = $node->ws('/ws', token => $bob->token);

is($ws->recv_json(type => 'error')->{error}, 'rate-limited',
   'a participant has a limited number of connections');
is($ws->wait_close, 1008, 'more are closed');

$ws = $node->ws('/ws');

is($ws->recv_json(type => 'error')->{error}, 'unauthenticated',
   'a silent client hears that its time is up');
is($ws->wait_close, 1008, 'and is closed');

$ws = $node->ws('/ws');
$ws->send_json({ type => 'authenticate', token => 'rubbish' });

is($ws->recv_json(type => 'error')->{error}, 'unauthenticated',
   'rubbish is no token');
is($ws->wait_close, 1008, 'and is closed');

$ws = $node->ws('/ws', subprotocol => 'mesh.v1, bearer.x' . $ada->token);

is($ws->recv_json(type => 'error')->{error}, 'unauthenticated',
   'a changed token is refused where a browser can read why');

$ws = $node->ws('/ws', token => 'x' . $ada->token);

ok(!$ws->is_open, 'a bad token in the header opens nothing');
like($ws->reply->status, qr/^40[01]$/, 'but is refused by HTTP');

# what is no handshake

sub refusal {
    my (%headers) = @_;

    my $method = delete $headers{method};
    my $ws = $node->ws('/ws', method => $method, headers => \%headers);

    return $ws->reply;
}

my $reply = $node->get('/ws');

is($reply->status, 426, 'a plain GET is asked to upgrade');
is($reply->header('Upgrade'), 'websocket', 'to a WebSocket');
is($reply->json->{error}, 'upgrade-required', 'by a problem');

is(refusal(Upgrade => 'h2c')->status, 426, 'another protocol is none');
is(refusal(Connection => 'keep-alive')->status, 426,
   'Connection must say upgrade');

$reply = refusal('Sec-WebSocket-Version' => 12);

is($reply->status, 426, 'another version is refused');
is($reply->header('Sec-WebSocket-Version'), 13, 'with the one spoken here');

is(refusal('Sec-WebSocket-Key' => 'AAAA')->status, 400,
   'a key has 16 bytes');
is(refusal('Sec-WebSocket-Key' => undef)->status, 400, 'and is there');
is(refusal('Sec-WebSocket-Key' => '!' x 22 . '==')->status, 400,
   'in base64');
is(refusal(method => 'POST')->status, 405, 'only GET opens');
is(refusal('Content-Length' => 0)->status, 101, 'an empty body is none');

my $old = $node->raw("GET /ws HTTP/1.0\r\nHost: localhost\r\n"
    . "Upgrade: websocket\r\nConnection: upgrade\r\n"
    . "Sec-WebSocket-Version: 13\r\n"
    . "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");

is($old->status, 426, 'HTTP/1.0 cannot upgrade');

# pages of other sites

is(refusal(Host => 'evil.example')->status, 421,
   'a name that is not ours is refused');
is(refusal(Origin => 'http://evil.example')->status, 403,
   'a page of another origin is refused');
is(refusal(Origin => 'http://127.0.0.1:' . $node->port,
           Host => '127.0.0.1:' . $node->port)->status, 101,
   'a page of this node is not');

done_testing();
