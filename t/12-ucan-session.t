#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Who is let in: sessions of UCAN 1.0 and 0.10 whose chain starts at the
# trusted root; everything else is refused, answered and logged with a reason.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');
my $caps = '{"mesh://' . $did . '/room/":{"room/read":[{}]}}';

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'page.html' => 'inside', 'mesh.did' => "$did\n" },
    server  => q{
        root           %%PREFIX%%;
        ucan           on;
        ucan_audience  file:mesh.did;
    },
)->start;

my $token = Mesh::Test::Mint->mint(<<"END");
delegation read aud=ada cmd=/room/read
delegation room aud=ada cmd=/room
delegation further iss=ada aud=bot cmd=/room/read
delegation wider iss=ada aud=bot cmd=/room
delegation stray iss=eve sub=eve aud=ada cmd=/room/read
delegation fake iss=eve aud=ada cmd=/room/read
delegation gone aud=ada cmd=/room/read exp=-60
delegation later aud=ada cmd=/room/read nbf=600
forgery forged list=read

invocation open iss=ada sub=ada cmd=/session/open
invocation bot iss=bot sub=bot cmd=/session/open
invocation past iss=ada sub=ada cmd=/session/open exp=-5
invocation future iss=ada sub=ada cmd=/session/open nbf=600
invocation long iss=ada sub=ada cmd=/session/open exp=90000
invocation endless iss=ada sub=ada cmd=/session/open exp=none
invocation other iss=ada sub=ada cmd=/session/open aud=eve
invocation anonymous iss=ada sub=ada cmd=/session/open nonce=
forgery unsigned list=open

container session list=read,open
container session_b form=B list=read,open
container session_o form=O list=read,open
container session_p form=P list=read,open
container deep form=P list=read,further,bot
container wide list=read,wider,bot
container bare list=read
container alone list=open
container stray list=stray,open
container fake list=fake,open
container forged list=forged,open
container gone list=gone,open
container later list=later,open
container past list=read,past
container future list=read,future
container long list=read,long
container endless list=read,endless
container other list=read,other
container anonymous list=read,anonymous
container unsigned list=read,unsigned
container borrowed list=read,bot
container two list=read,open,past

jwt root aud=ada caps=$caps exp=7200
jwt bearer iss=ada caps=$caps prf=root
jwt unproven iss=ada caps=$caps
jwt stranger iss=eve caps=$caps prf=root
jwt elsewhere iss=ada aud=eve caps=$caps prf=root
jwt expired iss=ada caps=$caps prf=root exp=-5
jwt outlives iss=ada caps=$caps prf=root exp=9000
jwt forever iss=ada caps=$caps prf=root exp=none
forgery tampered list=bearer
header proofs list=root

cid session_cid list=open
cid forged_cid list=forged
did ada key=ada
END


# The promise.

for my $form (qw(session session_b session_o session_p)) {
    my $reply = $mesh->get('/page.html', token => $token->{$form});

    is($reply->status, 200, "a 1.0 session is let in ($form)");
    is($reply->body, 'inside', '... to what stands there');
}

is($mesh->get('/page.html', token => $token->{deep})->status, 200,
   'a session of whom the holder delegated to is let in');

is($mesh->get('/page.html', token => $token->{bearer},
              headers => { ucans => $token->{proofs} })->status, 200,
   'a 0.10 token with its proof in the "ucans" header is let in');

is($mesh->get('/page.html',
              headers => { Authorization => "bEaReR   $token->{session} " })
        ->status, 200, 'the scheme has no case, blanks do not matter');

is(() = $mesh->error_log =~ /refused/g, 0, 'nothing of that was refused');


# Refusals: [ name, status, slug of the log, headers ].

my @refused = (
    [ bare      => 401, 'no-session' ],
    [ alone     => 401, 'untrusted-root' ],
    [ stray     => 401, 'wrong-subject' ],
    [ fake      => 401, 'untrusted-root' ],
    [ forged    => 401, 'bad-signature' ],
    [ unsigned  => 401, 'bad-signature' ],
    [ gone      => 401, 'token-expired' ],
    [ later     => 401, 'token-not-yet-valid' ],
    [ past      => 401, 'token-expired' ],
    [ future    => 401, 'token-not-yet-valid' ],
    [ long      => 401, 'session-too-long' ],
    [ endless   => 401, 'session-too-long' ],
    [ other     => 401, 'wrong-audience' ],
    [ anonymous => 401, 'no-session' ],
    [ borrowed  => 401, 'untrusted-root' ],
    [ wide      => 401, 'capability-widened' ],
    [ two       => 400, 'token-malformed' ],
    [ unproven  => 401, 'untrusted-root' ],
    [ stranger  => 401, 'chain-broken', ucans => $token->{proofs} ],
    [ bearer    => 510, 'proof-missing' ],
    [ elsewhere => 401, 'wrong-audience', ucans => $token->{proofs} ],
    [ expired   => 401, 'token-expired', ucans => $token->{proofs} ],
    [ outlives  => 401, 'proof-outlived', ucans => $token->{proofs} ],
    [ forever   => 401, 'session-too-long', ucans => $token->{proofs} ],
    [ tampered  => 401, 'bad-signature', ucans => $token->{proofs} ],
);

for my $case (@refused) {
    my ($name, $status, $slug, %headers) = @$case;

    my $before = length $mesh->error_log;
    my $reply = $mesh->get('/page.html', token => $token->{$name},
                           headers => \%headers);
    my @lines = substr($mesh->error_log, $before) =~ /(ucan: refused.*)/g;

    is($reply->status, $status, "$name: answered $status");
    is($reply->json && $reply->json->{status}, $status, '... as a problem');
    is(scalar @lines, 1, '... with one line in the log');
    like($lines[0] // '', qr/refused: (?:$slug) \(/, '... that says why');

    if ($status == 401) {
        like($reply->header('WWW-Authenticate') // '',
             qr/^Bearer realm="mesh", error="invalid_token"/,
             '... and a challenge');
    }
}


# What an answer looks like.

my $reply = $mesh->get('/page.html');

is($reply->status, 401, 'no token, no entry');
is($reply->header('WWW-Authenticate'), 'Bearer realm="mesh"',
   '... and the challenge names no error, since there was no token');
is($reply->header('Content-Type'), 'application/problem+json',
   '... as a problem');
is($reply->json->{error}, 'unauthenticated', '... with its slug');
is($reply->header('Cache-Control'), 'no-store', '... that is not cached');
like($mesh->error_log, qr/\[info\].*no token was presented/,
     '... and only an [info] line, since nobody was refused yet');

$reply = $mesh->head('/page.html');

is($reply->status, 401, 'HEAD is refused too');
is($reply->body, '', '... without a body');

$mesh->get('/page.html', token => $token->{forged});

like($mesh->error_log,
     qr/token "$token->{forged_cid}", issuer "$token->{ada}"/,
     'the log names the token that failed by CID, and the holder');

my $log = $mesh->error_log . $mesh->access_log;

ok(!(grep { length > 100 && index($log, substr $_, 10, 40) >= 0 }
     values %$token), 'no byte of a token is in a log');


# Ambiguous headers.

for my $case (
    [ 'two tokens',        Authorization => "Bearer $token->{session}" ],
    [ 'another scheme',    Authorization => 'Basic YTpi' ],
) {
    my ($what, @more) = @$case;

    is($mesh->get('/page.html', token => $token->{session},
                  headers => [ @more ])->status, 400, "$what: refused");
}

is($mesh->get('/page.html', token => $token->{bearer},
              headers => [ ucans => $token->{proofs},
                           ucans => $token->{proofs} ])->status, 400,
   'two headers of proofs: refused');

is($mesh->get('/page.html', headers => { Authorization => 'Basic YTpi' })
        ->status, 401, 'credentials of another scheme are no token');

is($mesh->get('/page.html', headers => { Authorization => 'Bearer' })
        ->status, 400, 'an empty token is malformed');

is($mesh->get('/page.html',
              headers => { ucans => $token->{proofs} })->status, 401,
   'proofs alone are no token');

done_testing;
