#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Ten thousand requests with junk for a token, many on one connection: each is
# refused, the worker lives, its memory stays flat, good tokens still work.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64url);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

use constant JUNK  => 10_000;
use constant BATCH => 50;       # requests under way on one connection

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => Mesh::Test::Mint->did('mesh') },
    conf    => 'keepalive_requests 100000; access_log off;',
    server  => q{
        location / {
            empty_gif;
            ucan           on;
            ucan_audience  file:mesh.did;
            ucan_require   /room/read;
        }
    },
)->start;

my $token = Mesh::Test::Mint->mint(<<'END');
delegation read aud=ada cmd=/room/read
invocation open iss=ada sub=ada cmd=/session/open
container plain list=read,open
container packed form=P list=read,open
jwt bearer iss=ada caps={"mesh:x":{"room/read":[{}]}}
END

my @good = map { $token->{$_} } qw(plain packed bearer);


# Junk of all kinds; the seed is fixed, so a failure can be repeated.

srand 20261;

sub bytes { return join '', map { chr int rand 256 } 1 .. $_[0] }

my @kinds = (
    sub { return encode_base64url(bytes(1 + rand 3000)) },
    sub { return substr('eBCOP', rand 5, 1)
                 . encode_base64url(bytes(1 + rand 3000)) },
    sub { my $t = $good[rand @good]; return substr $t, 0, rand length $t },
    sub {
        my $good = $good[rand @good];
        my $t = $good;

        # the first bytes of a packed one are a time stamp that says nothing

        substr($t, 16 + rand(length($t) - 16), 1)
            = ('A' .. 'Z', 'a' .. 'z', '-', '_', '.')[rand 55]
            for 1 .. 1 + rand 4;

        return $t eq $good ? "$t." : $t;
    },
    sub { return join '.', map { encode_base64url(bytes(rand 500)) } 1 .. 3 },
    sub { return 'e' . 'yJ' x (1 + rand 3000) },
    sub { return '.' x (1 + rand 4000) },
    sub { return encode_base64url("\xa1\x66ctn-v1\x9a\xff\xff\xff\xff") },
    sub { return 'C' . encode_base64url("\x81" x (1 + rand 4000)) },
    sub { return bytes(1 + rand 3000) =~ tr/\x21-\x7e\x80-\xff//cdr || '!' },
);


# Of its own: pages of the shared zones count for every worker that looks
# into them, and are no more in the end than their size.

sub resident_kb {
    my ($pid) = $mesh->workers;
    open my $file, '<', "/proc/$pid/status" or die "status: $!";
    my ($kb) = join('', <$file>) =~ /^RssAnon:\s+(\d+)/m;
    return $kb;
}


# Sends so many requests in batches on one connection; counts of statuses.

sub send_junk {
    my ($count) = @_;

    my %statuses;
    my $socket;

    while ($count > 0) {

        $socket //= IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                          PeerPort => $mesh->port)
            or die "connect: $@";

        my $n = $count < BATCH ? $count : BATCH;

        my $text = join '', map {
            my $junk = $kinds[rand @kinds]->();
            "GET / HTTP/1.1\r\nHost: localhost\r\n"
            . "Authorization: Bearer $junk\r\n\r\n";
        } 1 .. $n;

        my $got = exchange($socket, $text, $n);

        $statuses{$_}++ for @$got;
        $count -= $n;

        undef $socket if @$got < $n;
    }

    return \%statuses;
}


sub exchange {
    my ($socket, $text, $n) = @_;

    my $in = '';
    my $select = IO::Select->new($socket);

    $socket->blocking(0);

    while ((() = $in =~ m{HTTP/1\.1 \d{3} }g) < $n || $in !~ /\}\z/) {

        last unless length $text || $select->can_read(20);

        if ($select->can_read(0)) {
            my $got = sysread $socket, $in, 65536, length $in;
            last if defined $got && $got == 0;
        }

        if (length $text && $select->can_write(0.1)) {
            my $sent = syswrite $socket, $text, 16384;
            substr($text, 0, $sent // 0) = '';
        }
    }

    return [ $in =~ m{HTTP/1\.1 (\d{3}) }g ];
}


my ($worker) = $mesh->workers;

my $first = send_junk(1000);
my $before = resident_kb();
my $rest = send_junk(JUNK - 1000);
my $after = resident_kb();

my %total;
$total{$_} += $first->{$_} // 0 for keys %$first;
$total{$_} += $rest->{$_} // 0 for keys %$rest;

my $sum = 0;
$sum += $_ for values %total;

note("$_: $total{$_}") for sort keys %total;
note("resident: $before kB, then $after kB");

is($sum, JUNK, 'each of ten thousand requests is answered');
is_deeply([ sort keys %total ], [ 400, 401 ], '... and refused');
is(($mesh->workers)[0], $worker, 'the worker lives');

SKIP: {
    skip 'the sanitizer keeps freed memory for a while', 1
        if Mesh::Test::is_asan();

    cmp_ok($after - $before, '<', 1024, 'its memory stays flat, within a MB');
}

is($mesh->get('/', token => $token->{plain})->status, 200,
   'a good token is still good');

done_testing;
