#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# How the API reads bodies and answers methods: whole or in pieces, chunked
# or not, HTTP/1.1 and 2, up to the limit and never by way of a file.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant LIMIT => 65536;

my $mesh = Mesh::Test->new(
    modules => [qw(ucan storage identity)],
    data    => 1,
    main    => 'thread_pool  password  threads=1;',
    conf    => q{
        ucan_audience              file:%%DATA%%/mesh.did;
        ucan_revocation_zone       revocations:1m;
        mesh_storage               %%DATA%%/mesh.db;
        mesh_identity_key          %%DATA%%/mesh.key;
        mesh_identity_thread_pool  password;

        client_max_body_size       10m;
        client_body_buffer_size    4k;

        server {
            listen       127.0.0.1:%%PORT%%;
            listen       127.0.0.1:%%PORT2%% http2;
            server_name  localhost;

            location / {
                mesh_identity  on;
            }
        }
    },
)->start;


# "bad-request" says that the JSON was whole and lacked something, and
# "invalid-json" that it was not.

sub body { return '{"text":"' . 'x' x ($_[0] - 11) . '"}' }

sub head {
    my (@headers) = @_;

    return join "\r\n", 'POST /api/auth/login HTTP/1.1', 'Host: localhost',
                'Content-Type: application/json', @headers, '', '';
}

sub chunked {
    my ($body, $size) = @_;

    my $text = '';

    while (length $body) {
        my $part = substr $body, 0, $size, '';
        $text .= sprintf "%x\r\n%s\r\n", length $part, $part;
    }

    return "${text}0\r\n\r\n";
}


# Sends the pieces one by one, each when the last one has been taken.

sub trickle {
    my (@pieces) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $mesh->port)
        or die "connect: $@";
    my $in = '';
    my $end = time + 20;

    setsockopt $socket, 6, 1, 1;

    while (time < $end) {
        if (@pieces) {
            syswrite $socket, shift @pieces;
        }

        next unless IO::Select->new($socket)->can_read(@pieces ? 0.001 : 1);

        last unless sysread $socket, $in, 65536, length $in;
    }

    return $in;
}

sub outcome {
    my ($raw) = @_;

    my ($status) = $raw =~ m{^HTTP/1\.1 (\d+)};
    my ($error) = $raw =~ /"error":"([a-z-]+)"/;

    return join ' ', $status // 'none', $error // 'none';
}


# Whole.

for my $size (11, 4000, 5000, 20000, LIMIT) {
    is(outcome($mesh->raw(head("Content-Length: $size", 'Connection: close')
                          . body($size))->raw), '400 bad-request',
       "a body of $size bytes is read");
}

is(outcome($mesh->raw(head('Content-Length: 4', 'Connection: close')
                      . '{"a"')->raw), '400 invalid-json',
   'what is no JSON is called so');
is(outcome($mesh->raw(head('Content-Length: 0', 'Connection: close'))->raw),
   '400 invalid-json', 'an empty body is no JSON');
is(outcome($mesh->raw(head('Connection: close'))->raw), '400 invalid-json',
   'no body neither');
is($mesh->post('/api/auth/login', '{}',
               headers => { 'Content-Type' => 'text/plain' })->status, 415,
   'another type is refused');


# In pieces.

my $whole = head('Content-Length: 20000', 'Connection: close') . body(20000);

is(outcome(trickle(unpack '(a997)*', $whole)), '400 bad-request',
   'a body that comes in pieces is read');
is(outcome(trickle(head('Content-Length: 12', 'Connection: close'),
                   split //, body(12))), '400 bad-request',
   '... byte by byte');


# Chunked.

for my $case ([ 100, 1 ], [ 4096, 4096 ], [ 20000, 333 ], [ LIMIT, 10000 ]) {
    my ($size, $chunk) = @$case;
    my $text = head('Transfer-Encoding: chunked', 'Connection: close')
               . chunked(body($size), $chunk);

    is(outcome($mesh->raw($text)->raw), '400 bad-request',
       "$size bytes in chunks of $chunk are read");
    is(outcome(trickle(unpack '(a1500)*', $text)), '400 bad-request',
       '... in pieces, too');
}


# Beyond the limit.

my $beyond = LIMIT + 1;

is(outcome($mesh->raw(head("Content-Length: $beyond") . 'x')->raw),
   '413 too-large', 'a length beyond the limit is refused before the body');

for my $size ($beyond, 300_000, 5_000_000) {
    is(outcome($mesh->raw(head('Transfer-Encoding: chunked')
                          . chunked(body($size), 8000))->raw),
       '413 too-large', "$size bytes in chunks are refused on the way");
}


# Expect.

my $expect = Mesh::Test::Exchange->new(
    port => $mesh->port, bytes => head('Content-Length: 100',
                                       'Expect: 100-continue',
                                       'Connection: close'));

ok($expect->wait_for(qr/^HTTP\/1\.1 100 /), 'who asks may go on');
$expect->write(body(100));
ok($expect->wait_for(qr/"bad-request"/), '... and is heard');
$expect->abort;

$expect = Mesh::Test::Exchange->new(
    port => $mesh->port, bytes => head("Content-Length: $beyond",
                                       'Expect: 100-continue'));

ok($expect->wait_for(qr/"too-large"/), 'who asks with too much is told so');
unlike($expect->received, qr/ 100 /, '... without being told to go on');
$expect->abort;


# Several on one connection, and the end of one.

my $raw = $mesh->raw(
    head('Content-Length: 100') . body(100)
    . head('Transfer-Encoding: chunked') . chunked(body(9000), 1000)
    . head('Content-Length: 9000') . body(9000)
    . head('Content-Length: 10', 'Connection: close') . '{"text": }')->raw;

is_deeply([ $raw =~ /"error":"([a-z-]+)"/g ],
          [ ('bad-request') x 3, 'invalid-json' ],
          'bodies on one connection are kept apart');

for (1 .. 30) {
    my $gone = Mesh::Test::Exchange->new(
        port => $mesh->port, bytes => substr $whole, 0, 700 * $_);
    $gone->abort;
}

is($mesh->get('/api/setup/status')->status, 200,
   'clients that leave in mid-body do no harm');


# HTTP/2.

# (by node, since curl 7.88 loses a response that comes before the body is
# sent)

SKIP: {
    my ($rc) = Mesh::Test::run([ 'node', '--version' ]);

    skip 'no node', 5 if $rc != 0;

    my $script = $mesh->write_file('post.js', <<'END');
const [ , , port, size, told ] = process.argv;
const body = '{"text":"' + 'x'.repeat(size - 11) + '"}';
const client = require('http2').connect('http://127.0.0.1:' + port);
const headers = { ':method': 'POST', ':path': '/api/auth/login',
                  'content-type': 'application/json' };

if (told) {
    headers['content-length'] = body.length;
}

const request = client.request(headers);
let status, text = '';

request.on('response', (h) => { status = h[':status']; });
request.on('data', (part) => { text += part; });
request.on('error', () => {});
request.on('close', () => {
    console.log(status, text ? JSON.parse(text).error : 'none');
    client.close();
});
request.end(body);
END

    for my $case ([ 100, 1, '400 bad-request', 'a small body' ],
                  [ 60000, 1, '400 bad-request', 'a large one' ],
                  [ 60000, '', '400 bad-request', 'one of unknown length' ],
                  [ 300_000, 1, '413 too-large', 'one beyond the limit' ],
                  [ 300_000, '', '413 too-large', 'that did not say so' ])
    {
        my ($size, $told, $expected, $what) = @$case;

        my (undef, $out, $err) = Mesh::Test::run(
            [ 'node', $script, $mesh->port(2), $size, $told ], seconds => 30);

        is($out, "$expected\n", "HTTP/2: $what") or diag($err);
    }
}

unlike($mesh->error_log, qr/buffered to a temporary file/,
       'no body went to a file');


# Methods and paths.

my $reply = $mesh->get('/api/auth/login');

is($reply->status, 405, 'another method is refused');
is($reply->header('Allow'), 'POST, OPTIONS', '... with those that there are');
is($reply->json->{error}, 'method-not-allowed', '... as a problem');

$reply = $mesh->request(OPTIONS => '/api/setup/status');

is($reply->status, 204, 'OPTIONS is answered');
is($reply->header('Allow'), 'GET, HEAD, OPTIONS', '... with the methods');

my $get = $mesh->get('/api/setup/status');
my $head = $mesh->head('/api/setup/status');

is($head->status, 200, 'HEAD is answered as GET');
is($head->body, '', '... without a body');
is($head->header('Content-Length'), length $get->body, '... but its length');
is($get->header('Cache-Control'), 'no-store', 'nobody keeps what is answered');
is($get->header('X-Content-Type-Options'), 'nosniff', '... or guesses it');
is($get->header('Content-Type'), 'application/json', '... it is JSON');

$reply = $mesh->get('/api/auth/nothing');

is($reply->status, 404, 'a path that leads nowhere');
is($reply->json->{type}, '/problems/not-found', '... is a problem');

done_testing;
