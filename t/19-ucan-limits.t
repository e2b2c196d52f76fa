#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Bytes, tokens, depth, inflated bytes, life: each limit lets in what lies
# below it and refuses what lies beyond, without more work than it allows.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use IO::Compress::Gzip qw(gzip);
use MIME::Base64 qw(encode_base64url);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => Mesh::Test::Mint->did('mesh') },
    server  => q{
        ucan           on;
        ucan_audience  file:mesh.did;

        location / { empty_gif; }

        location /size/ { empty_gif; ucan_token_size 1k; }
        location /count/ { empty_gif; ucan_token_count 3; }
        location /depth/ { empty_gif; ucan_depth 3; }
        location /inflated/ { empty_gif; ucan_inflated_size 1k; }
        location /short/ { empty_gif; ucan_session_max 30m; }
        location /leeway/ { empty_gif; ucan_leeway 1m; }
    },
    conf    => q{
        server {
            listen  127.0.0.1:%%PORT2%%;

            large_client_header_buffers  4 80k;

            location / {
                empty_gif;
                ucan           on;
                ucan_audience  file:mesh.did;
            }
        }
    },
)->start;

# a chain of delegations: mesh, k1, ..., k17

my $chain = join '', map {
    my $from = $_ == 1 ? 'mesh' : 'k' . ($_ - 1);
    "delegation d$_ iss=$from aud=k$_ cmd=/room/read\n"
} 1 .. 17;

my $opens = join '', map {
    "invocation o$_ iss=k$_ sub=k$_ cmd=/session/open\n"
    . "container depth$_ form=P list="
    . join(',', map { "d$_" } 1 .. $_) . ",o$_\n"
} 1 .. 17;

my $spare = join '', map { "delegation s$_ aud=x cmd=/room/list/$_\n" }
            1 .. 70;

my $token = Mesh::Test::Mint->mint(<<"END");
$chain$opens$spare
container large list=d1,o1,${\ join ',', map { "s$_" } 1 .. 22 }
container full list=d1,o1,${\ join ',', map { "s$_" } 1 .. 62 }
container crowd list=d1,o1,${\ join ',', map { "s$_" } 1 .. 63 }
invocation past iss=k1 sub=k1 cmd=/session/open exp=-20
container past list=d1,past
invocation soon iss=k1 sub=k1 cmd=/session/open nbf=20
container soon list=d1,soon
END

sub status {
    my ($path, $name, %opt) = @_;

    return $mesh->get($path, token => $token->{$name}, %opt)->status;
}


# Bytes.

my $bytes = length $token->{depth1};

is(status('/', 'depth1'), 200, "a token of $bytes bytes");
ok($bytes < 1024 && length $token->{depth4} > 1024, 'below and beyond 1k');
is(status('/size/', 'depth1'), 200, 'below ucan_token_size');
is(status('/size/', 'depth4'), 400, 'beyond it');
is($mesh->get('/size/', token => 'C' . 'A' x 6000)->json->{error},
   'invalid-token', '... is a problem');

my $wide = length $token->{large};

cmp_ok($wide, '>', 8192, 'a token that is larger than nginx reads by default');
is(status('/', 'large'), 400, '... is refused by nginx itself');
is(status('/', 'large', port => $mesh->port(2)), 200,
   '... until large_client_header_buffers allows it');
is($mesh->get('/', port => $mesh->port(2), token => 'C' . 'A' x 66000)
        ->status, 400, 'beyond the largest ucan_token_size');


# Tokens, depth.

is(status('/', 'full', port => $mesh->port(2)), 200, '64 tokens');
is(status('/', 'crowd', port => $mesh->port(2)), 400, '65 are too many');
is(status('/count/', 'depth2'), 200, 'below ucan_token_count');
is(status('/count/', 'depth3'), 400, 'beyond it');

is(status('/', 'depth15'), 200, 'a chain of 16 tokens');
is(status('/', 'depth16'), 401, 'a chain of 17 is too long');
is(status('/depth/', 'depth2'), 200, 'below ucan_depth');
is(status('/depth/', 'depth3'), 401, 'beyond it');
like($mesh->error_log, qr/refused: chain-too-deep/, '... and the log says so');


# Inflated bytes.

is(status('/inflated/', 'depth1'), 200, 'below ucan_inflated_size');
is(status('/inflated/', 'depth5'), 400, 'beyond it');

my $bomb = "\xa1\x66ctn-v1\x81\x5a" . pack('N', 50_000_000)
           . "\0" x 50_000_000;
my $packed;

gzip(\$bomb => \$packed) or die 'gzip';

is($mesh->get('/', token => 'P' . encode_base64url($packed),
              port => $mesh->port(2))->status, 400,
   'fifty megabytes in a packed token of ' . length($packed) . ' bytes');

like($mesh->error_log, qr/refused: token-too-large/, '... are too large');


# Time.

is(status('/short/', 'depth1'), 401, 'longer than ucan_session_max');
is(status('/', 'past'), 401, 'past its end');
is(status('/leeway/', 'past'), 200, '... but within ucan_leeway');
is(status('/', 'soon'), 401, 'before its begin');
is(status('/leeway/', 'soon'), 200, '... but within ucan_leeway');

done_testing;
