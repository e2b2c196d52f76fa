#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Rooms over TLS: the handshake, large frames, many at once, a slow reader.
# nginx itself is the client, as a proxy that upgrades to us over TLS.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my ($rc) = Mesh::Test::run([qw(openssl version)]);

plan skip_all => 'no openssl command to make a certificate' if $rc != 0;

my $node = Mesh::Test->new(
    modules => [qw(ucan storage identity room)],
    data    => 1,
    main    => 'thread_pool password threads=2;',
    conf    => <<'END');
    mesh_storage               %%DATA%%/mesh.db;
    mesh_identity_key          %%DATA%%/mesh.key;
    mesh_identity_thread_pool  password;
    mesh_room_cursor_key       %%DATA%%/cursor.key;
    mesh_room_rate             0;
    mesh_room_frame_size       128k;
    mesh_room_message_size     64k;
    ucan_audience              file:%%DATA%%/mesh.did;
    ucan_revocation_zone       revocations:1m;

    large_client_header_buffers  4 32k;

    server {
        listen  127.0.0.1:%%PORT2%% ssl sndbuf=32k;

        ssl_certificate      %%PREFIX%%/tls.pem;
        ssl_certificate_key  %%PREFIX%%/tls.pem;

        ucan  optional;

        location /api/auth/ { mesh_identity on; }
        location /api/ { mesh_room on; }
        location = /ws { mesh_room_socket on; }
    }

    server {
        listen  127.0.0.1:%%PORT%% sndbuf=32k;

        location / {
            proxy_pass          https://127.0.0.1:%%PORT2%%;
            proxy_http_version  1.1;
            proxy_set_header    Host $http_host;
            proxy_set_header    Upgrade $http_upgrade;
            proxy_set_header    Connection $http_connection;
        }
    }
END

($rc, my $out, my $err) = Mesh::Test::run(
    [qw(openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=localhost
        -keyout), "$node->{prefix}/tls.key",
     '-out', "$node->{prefix}/tls.crt"]);

is($rc, 0, 'a certificate') or diag($err);

$node->write_file('tls.pem', $node->read_file('tls.key')
                             . $node->read_file('tls.crt'));
$node->start;

my $token = $node->post('/api/auth/register',
    { name => 'ada', password => 'correct horse battery staple' })
    ->json->{token};
my $room = $node->post('/api/rooms', { name => 'kitchen' }, token => $token)
    ->json->{id};

ok($room, 'a room, over TLS');

my $ws = $node->ws('/ws', token => $token);

ok($ws->recv_json(type => 'auth_ok'), 'a WebSocket, over TLS');

$ws->send_json({ type => 'join_room', roomId => $room });
$ws->recv_json(type => 'room_joined');

for my $size (1, 1000, 16_000, 40_000) {
    $ws->send_json({ type => 'send_message', roomId => $room,
                     content => 'x' x $size });
    is(length $ws->recv_json(type => 'message')->{content}, $size,
       "a message of $size bytes");
}

$ws->send_json({ type => 'send_message', roomId => $room,
                 content => "line $_" }) for 1 .. 500;

my @seqs = map { $ws->recv_json(type => 'message')->{seq} } 1 .. 500;

is_deeply(\@seqs, [ 5 .. 504 ], 'many at once, in order');


# Somebody who does not read: what was begun is ended, then the connection.

my $slow = $node->ws('/ws', token => $token);

setsockopt $slow->handle, SOL_SOCKET, SO_RCVBUF, 32768;
$slow->send_json({ type => 'join_room', roomId => $room });
$slow->recv_json(type => 'room_joined');

for (1 .. 500) {
    $ws->send_json({ type => 'send_message', roomId => $room,
                     content => 'x' x 16_000 });
    $ws->recv_json(type => 'message');

    last if $_ % 10 == 0 && $node->error_log =~ /closed with 1013/;
}

is($slow->wait_close, 1013, 'who reads too slowly is told so, over TLS too');
is($ws->close(1000), 1000, 'and a clean end');

done_testing();
