#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# RFC 6455 to the letter, over the wire: masking, reserved bits, fragments,
# control frames, lengths, UTF-8, close codes.  Each breach ends by its code.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { CONT => 0, TEXT => 1, BINARY => 2, CLOSE => 8, PING => 9,
               PONG => 10 };

my $node = Mesh::Test->full(directives => {
    mesh_room_frame_size   => '8k',
    mesh_room_message_size => '4k',
});

my $ada = $node->register('ada');

sub ws { return $ada->ws }

# The frames of one case go out at once; the code that comes back.
sub closes {
    my (@frames) = @_;

    my $ws = ws();

    $ws->send_bytes(join '', map {
        Mesh::Test::Socket::frame_bytes(@$_)
    } @frames);

    return $ws->wait_close(timeout => 10);
}

# what is allowed

my $ws = ws();
my $ping = '{"type":"ping"}';

$ws->send_frame(PING, 'abc');
is_deeply($ws->recv_control, { opcode => PONG, payload => 'abc' },
          'a ping is answered by its own bytes');

$ws->send_frame(PING, 'x' x 125);
is($ws->recv_control->{payload}, 'x' x 125, 'of up to 125 bytes');

$ws->send_frame(PONG, 'nobody asked');
$ws->send_frame(TEXT, $ping);
is($ws->recv_json(type => 'pong')->{type}, 'pong',
   'a pong that nobody asked for is nothing');

$ws->send_frame(TEXT, substr($ping, 0, 5), fin => 0);
$ws->send_frame(PING, 'in between');
$ws->send_frame(CONT, substr($ping, 5, 4), fin => 0);
$ws->send_frame(CONT, substr $ping, 9);

is($ws->recv_control->{payload}, 'in between',
   'a control frame may stand inside a message');
ok($ws->recv_json(type => 'pong'), 'whose fragments are one message');

my $bytes = Mesh::Test::Socket::frame_bytes(TEXT, $ping);

$ws->send_bytes(substr $bytes, $_, 1) for 0 .. length($bytes) - 1;
ok($ws->recv_json(type => 'pong'), 'a frame may come byte by byte');

$ws->send_bytes($bytes x 3);
ok($ws->recv_json(type => 'pong'), 'and several at once') for 1 .. 3;

$ws->send_frame(TEXT, $ping, form => 16);
is($ws->wait_close(timeout => 10), 1002,
   'a length is written in its shortest form');

my $text = '{"type":"ping","pad":"' . "\xc3\xa9" x 1000 . '"}';

$ws = ws();
$ws->send_frame(TEXT, substr($text, 0, 23), fin => 0);
$ws->send_frame(CONT, substr $text, 23);
ok($ws->recv_json(type => 'pong'),
   'a character may be cut between two fragments');

is($ws->close(1000), 1000, 'a close is answered');
is(ws()->close(4999), 4999, 'also with a code of its own');

$ws = ws();
$ws->send_frame(CLOSE, '');
is($ws->wait_close, 1005, 'one without a code by none');

# what is not

my @breaches = (
    [ 1002, 'not masked',               [ TEXT, $ping, mask => 0 ] ],
    [ 1002, 'reserved bit 1',           [ TEXT, $ping, rsv => 4 ] ],
    [ 1002, 'reserved bit 3',           [ TEXT, $ping, rsv => 1 ] ],
    [ 1002, 'reserved opcode',          [ 3, $ping ] ],
    [ 1002, 'reserved control opcode',  [ 11, '' ] ],
    [ 1002, 'continuation of nothing',  [ CONT, $ping ] ],
    [ 1002, 'text inside a message',    [ TEXT, '{', fin => 0 ],
                                        [ TEXT, $ping ] ],
    [ 1002, 'ping in fragments',        [ PING, '', fin => 0 ] ],
    [ 1002, 'ping of 126 bytes',        [ PING, 'x' x 126 ] ],
    [ 1002, 'close of one byte',        [ CLOSE, 'x' ] ],
    [ 1002, 'close with 1005',          [ CLOSE, pack 'n', 1005 ] ],
    [ 1002, 'close with 999',           [ CLOSE, pack 'n', 999 ] ],
    [ 1007, 'close with a bad reason',  [ CLOSE, pack('n', 1000) . "\xff" ] ],
    [ 1007, 'text that is no UTF-8',    [ TEXT, "\xff\xfe" ] ],
    [ 1007, 'an overlong character',    [ TEXT, "\xc0\xaf" ] ],
    [ 1007, 'a surrogate',              [ TEXT, "\xed\xa0\x80" ] ],
    [ 1007, 'a character cut off',      [ TEXT, "{\xc3" ] ],
    [ 1003, 'binary',                   [ BINARY, 'x' ] ],
    [ 1009, 'more than the limit',      [ TEXT, ' ' x 8193 ] ],
    [ 1009, 'a length of 2^40',         [ TEXT, '', length => 2 ** 40,
                                          form => 64 ] ],
    [ 1002, 'a length of 2^63',         [ TEXT, '', length => 2 ** 63,
                                          form => 64 ] ],
    [ 1009, 'more than the limit in fragments',
                                        [ TEXT, ' ' x 5000, fin => 0 ],
                                        [ CONT, ' ' x 5000 ] ],
);

for my $breach (@breaches) {
    my ($code, $what, @frames) = @$breach;

    is(closes(@frames), $code, "$what: $code");
}

is(closes([ TEXT, '{', fin => 0 ], map { [ CONT, '', fin => 0 ] } 1 .. 1100),
   1008, 'a message without end: 1008');

# the end of a connection is the client's to see

$ws = ws();
$ws->send_frame(TEXT, "\xff");
ok($ws->wait_eof, 'the server ends a connection that was refused');

is(ws()->close(1000), 1000, 'and serves others');

done_testing();
