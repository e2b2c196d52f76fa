#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The answers of the bearer-token specification: what a client learns of a
# refusal, and an operator, and that neither sees a token again.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => {
        'mesh.did'       => $did,
        'html/help.html' => 'please bring proofs',
    },
    conf    => q{
        log_format  ucan  '$status|$ucan_error|$ucan_required';
    },
    server  => q{
        root           html;
        access_log     logs/ucan.log ucan;
        ucan           on;
        ucan_audience  file:mesh.did;
        ucan_require   /room/read room=r_1;

        location /      { empty_gif; }
        location /two/  { empty_gif; ucan_require /room/send;
                          ucan_require /room/manage; }

        location /any/ {
            empty_gif;
            satisfy  any;
            deny     all;
        }

        location /any-address/ {
            empty_gif;
            satisfy  any;
            allow    127.0.0.1;
            deny     all;
        }

        location /page/ {
            empty_gif;
            error_page  510 =510 /help.html;
        }

        location = /help.html { ucan off; ucan_require off; }
    },
)->start;

my $caps = qq({"mesh://$did/room/r_1":{"room/read":[{}]}});
my $token = Mesh::Test::Mint->mint(<<"END");
delegation read aud=ada cmd=/room/read
delegation far aud=bob cmd=/room/read
delegation near iss=bob aud=ada cmd=/room/read
invocation open iss=ada sub=ada cmd=/session/open
invocation past iss=ada sub=ada cmd=/session/open exp=-5
container session list=read,open
container past list=read,past
invocation act iss=ada cmd=/room/read args=room:r_1 prf=far,near
container lacking list=near,act
container whole list=far,near,act
invocation once iss=ada cmd=/room/read args=room:r_1 prf=read
container once list=read,once
cid far_cid list=far

jwt root aud=ann caps=$caps exp=7200
jwt ann iss=ann caps=$caps prf=root
header proofs list=root
cid root_cid list=root
END

sub ask {
    my ($path, $name, @more) = @_;

    return $mesh->get($path, ($name ? (token => $token->{$name} // $name)
                                    : ()), @more);
}


# 401.

my $reply = ask('/');

is($reply->status, 401, 'no token: 401');
is($reply->header('WWW-Authenticate'), 'Bearer realm="mesh"',
   '... with a plain challenge');

$reply = ask('/', 'past');

is($reply->status, 401, 'a token that has ended: 401');
is($reply->header('WWW-Authenticate'),
   'Bearer realm="mesh", error="invalid_token", '
   . 'error_description="a token has expired"', '... says so');
is($reply->header('Cache-Control'), 'no-store', '... and is not kept');

is(ask('/', 'once')->status, 200, 'an invocation counts');

$reply = ask('/', 'once');

is($reply->status, 401, '... once');
like($reply->header('WWW-Authenticate'), qr/error="invalid_token"/,
     '... then it is void, not too weak');
is($reply->json->{command}, undef, '... and no command is missing');


# 403.

$reply = ask('/two/', 'session');

is($reply->status, 403, 'a token that allows less: 403');
is($reply->json->{command}, '/room/send', '... names the first it lacks');
is($reply->header('WWW-Authenticate'),
   'Bearer realm="mesh", error="insufficient_scope", scope="/room/send"',
   '... also as a scope');


# 400.

is(ask('/', 'junk')->status, 400, 'what is no token: 400');
is(ask('/', 'x' x 70000)->status, 400, '... however much of it');


# 510.

for my $case ([ lacking => $token->{far_cid} ],
              [ ann => $token->{root_cid} ])
{
    my ($name, $cid) = @$case;

    $reply = ask('/', $name);

    is($reply->status, 510, "$name: a proof that was not sent: 510");
    like($reply->raw, qr{^HTTP/1.1 510 Not Extended\r\n}, '... by its name');
    is_deeply($reply->json->{prf}, [ $cid ], '... names its CID');
    is($reply->json->{error}, 'proof-missing', '... as a problem');
    is($reply->header('Content-Type'), 'application/problem+json',
       '... of that type');
    cmp_ok(abs($reply->header('ucan-cache-expiry') - time), '<', 30,
           '... and nothing is kept for later');
}

is(ask('/', 'whole')->status, 200, 'with it the same token counts');
is(ask('/', 'ann', headers => { ucans => $token->{proofs} })->status, 200,
   '... in 0.x too');

$reply = ask('/page/', 'ann');

is($reply->status, 510, 'an error_page has the say');
is($reply->body, 'please bring proofs', '... over what is shown');


# satisfy any: others are only asked after 401 and 403.

is(ask('/any/', 'ann')->status, 401, 'satisfy any: 510 becomes 401');
is(ask('/any/', 'junk')->status, 401, '... 400 as well');
is(ask('/any-address/', $_)->status, 200, "... so that others may let in ($_)")
    for qw(ann junk past session);


# The log.

my $log = $mesh->error_log;

my @lines = $log =~ /\[error\].* ucan: refused(.*?), client/g;

cmp_ok(scalar @lines, '>=', 10, 'each refusal is a line');
is(scalar(grep { !/: [\w-]+ \(.*?\), token ".*?", issuer ".*?"/ } @lines), 0,
   '... with reason, CID and issuer');
like($log, qr/proof-missing .*token "bafy/, '... the CID of what fails');

for my $name (qw(session past lacking ann proofs)) {
    my $part = substr $token->{$name}, 40, 40;

    unlike($log, qr/\Q$part\E/, "no part of \"$name\" is in it");
}

my $access = $mesh->wait_for(sub {
    my $text = $mesh->read_file('logs/ucan.log');
    return $text =~ /^403/m && $text;
});

like($access, qr{^403\|not-covered\|/room/send,/room/manage$}m,
     'the access log may say what was demanded');
like($access, qr{^510\|proof-missing\|/room/read$}m, '... and what was wrong');

done_testing;
