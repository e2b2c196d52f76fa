#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Ten thousand junk tokens at all endpoints, cut and flipped real ones among
# them, and hundreds of connections with broken frames: each is refused, the
# worker lives, its memory stays flat, and who means well is served.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64url);
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;
use Mesh::Test::Routes;

use constant {
    TOKENS      => 10_000,
    BATCH       => 50,          # requests on one connection
    CONNECTIONS => 240,         # with broken frames
};

my $node = Mesh::Test->full(
    directives => { keepalive_requests => 100_000, access_log => 'off' });
my $ada = $node->register('ada');
my $bot = $node->bot('helper', commands => ['/room/read']);
my $room = $ada->create_room('hall');
my ($worker) = $node->workers;

# Real ones, of which every byte counts: with more delegations than one chain
# needs, one that is broken would not be missed.

my $token = Mesh::Test::Mint->mint(<<"END");
import bot text=${\$bot->token}
container plain form=C list=bot
jwt bearer iss=ada caps={"mesh:x":{"room/read":[{}]}}
END

my @good = ($bot->token, values %$token);
my @routes = Mesh::Test::Routes->all(
    room => $room, participant => $ada->id, role => 'member');

srand 20262;                    # a failure can be repeated

my $noise = pack 'C*', map { int rand 256 } 1 .. 65536;

sub bytes { return substr $noise, rand(65536 - $_[0]), $_[0] }
sub pick  { return $_[rand @_] }


# Junk of all kinds.  The first bytes of a packed token are a time stamp and
# the like, which say nothing: they stay.

my @letters = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');

my @tokens = (
    sub { my $t = pick(@good); return substr $t, 0, rand length $t },
    sub { my $t = pick(@good); return substr $t, 1 + rand(length($t) - 1) },
    sub {
        my $good = pick(@good);
        my $t = $good;

        substr($t, 16 + rand(length($t) - 16), 1) = pick(@letters)
            for 0 .. rand 4;

        return $t eq $good ? "$t." : $t;
    },
    sub { return pick(@good) . pick(@letters) x (1 + rand 20) },
    sub { return pick(qw(B C O P @)) . encode_base64url(bytes(rand 2000)) },
    sub { return join '.', map { encode_base64url(bytes(rand 300)) } 1 .. 3 },
    sub { return bytes(1 + rand 500) =~ tr/\x21-\x7e\x80-\xff//cdr || '!' },
);

sub junk_request {
    my ($method, $path, $json, $body) = @{ pick(@routes) };
    my $text = $json ? Mesh::Test::json_encode($body) : '';

    return "$method $path HTTP/1.1\r\nHost: localhost\r\n"
           . 'Authorization: Bearer ' . pick(@tokens)->() . "\r\n"
           . ($json ? "Content-Type: application/json\r\nContent-Length: "
                      . length($text) . "\r\n" : '')
           . "\r\n$text";
}


# So many of them; counts of the answers.

sub send_junk {
    my ($count) = @_;

    my %statuses;
    my $socket;

    for (my $left = $count; $left > 0; ) {
        $socket //= IO::Socket::INET->new(
            PeerAddr => '127.0.0.1', PeerPort => $node->port)
            or die "connect: $@";

        my $n = $left < BATCH ? $left : BATCH;
        my @got = exchange($socket, join('', map { junk_request() } 1 .. $n),
                           $n);

        die "no answers\n" unless @got;

        $statuses{$_}++ for @got;
        $left -= @got;
        undef $socket if @got < $n;
    }

    return \%statuses;
}

sub exchange {
    my ($socket, $out, $n) = @_;

    my $in = '';
    my $select = IO::Select->new($socket);

    $socket->blocking(0);
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

    while ($in !~ /\}\z/ || (() = $in =~ m{HTTP/1\.1 \d{3} }g) < $n) {

        last unless length $out || $select->can_read(20);

        if ($select->can_read(0)) {
            my $got = sysread $socket, $in, 65536, length $in;
            last if defined $got && $got == 0;
        }

        if (length $out && $select->can_write(0.1)) {
            my $sent = syswrite $socket, $out, 16384;
            substr($out, 0, $sent // 0) = '';
        }
    }

    my @parts = $in =~ m{HTTP/1\.1 (\d{3}) .*?"error":"([a-z-]+)"}gs;

    return map { "$parts[2 * $_] $parts[2 * $_ + 1]" } 0 .. $#parts / 2;
}


# One connection: some good frames, some of them broken; what it ended with.

my @verbs = map { Mesh::Test::json_encode($_) }
    { type => 'ping' }, { type => 'join_room', roomId => $room },
    { type => 'send_message', roomId => $room, content => 'x' x 200 },
    { type => 'leave_room', roomId => $room },
    { type => 'send_direct', to => $bot->id, content => 'x' };

my @breaks = (
    sub { substr $_[0], rand length $_[0], 1, bytes(1) },
    sub { substr $_[0], rand length $_[0], 0, bytes(1 + rand 8) },
    sub { substr $_[0], rand length $_[0], 1 + rand 8, '' },
    sub { $_[0] .= Mesh::Test::Socket::frame_bytes(
              int rand 16, bytes(rand 200), rsv => int rand 8,
              fin => int rand 2, mask => int rand 2) },
    sub { $_[0] = bytes(1 + rand 300) },
);

sub break_frames {
    my $ws = $node->ws('/ws', token => rand() < 0.8 ? $ada->token : undef,
                       timeout => 20);
    my $out = join '', map { Mesh::Test::Socket::frame_bytes(1, pick(@verbs)) }
              1 .. 1 + rand 4;

    pick(@breaks)->($out) for 0 .. rand 3;

    # the end of what is sent ends a frame that waits for its rest

    $ws->send_bytes($out);
    shutdown $ws->handle, 1;

    return $ws->wait_eof ? $ws->close_code : 'open';
}

sub resident_kb {
    my ($kb) = Mesh::Test::slurp("/proc/$worker/status")
               =~ /^VmRSS:\s+(\d+)/m;
    return $kb;
}


# A part of everything first, so that what is kept for reuse is there.

my %statuses = %{ send_junk(TOKENS / 4) };
my %codes;

$codes{ break_frames() }++ for 1 .. CONNECTIONS / 3;

my $before = resident_kb();
my $rest = send_junk(TOKENS - TOKENS / 4);

$statuses{$_} += $rest->{$_} for keys %$rest;
$codes{ break_frames() }++ for 1 .. CONNECTIONS - CONNECTIONS / 3;

my $after = resident_kb();
my $sum = 0;

$sum += $_ for values %statuses;

note("$_: $statuses{$_}") for sort keys %statuses;
note("close code $_: $codes{$_}") for sort keys %codes;
note("resident: $before kB, then $after kB");

is($sum, TOKENS, 'each of ten thousand requests is answered');
is_deeply([ sort keys %statuses ],
          [ '400 invalid-token', '401 unauthenticated' ], 'and refused');
is_deeply([ grep { !/^(?:100[0-9]|[34]\d{3})$/ } sort keys %codes ], [],
          'each connection with broken frames ends');
ok($codes{1002}, 'most of them by its code');
is_deeply([ $node->workers ], [$worker], 'the worker is the same');

SKIP: {
    skip 'the sanitizer keeps freed memory for a while', 1
        if Mesh::Test::is_asan();

    cmp_ok($after - $before, '<', 2048, 'its memory stays flat');
}

my $ws = $ada->ws;

$ws->send_json({ type => 'ping' });
ok($ws->recv_json(type => 'pong'), 'the socket serves who means well');
is($bot->get('/api/auth/me')->status, 200, 'so does the API');

done_testing;
