#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What is remembered of a token is that it is well formed and signed, and
# nothing else: time, revocation, trust and requirements are asked each time.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');
my $eve = Mesh::Test::Mint->did('eve');
my $caps = '{"mesh://' . $did . '/room/":{"room/read":[{}]}}';

my $conf = <<'END';
    ucan_revocation_file  revoked.txt;
    ucan_cache_zone       tokens:256k entries=2;

    server {
        listen         127.0.0.1:%%PORT%%;
        server_name    localhost;

        ucan           on;
        ucan_audience  file:mesh.did;

        location / { empty_gif; }

        location /room/ {
            empty_gif;
            ucan_require  /room/read room=$arg_room;
        }

        location /send/ {
            empty_gif;
            ucan_require  /room/send;
        }

        location /trust/ {
            empty_gif;
            ucan_trust  EVE;
        }

        location /audience/ {
            empty_gif;
            ucan_audience  EVE;
            ucan_trust     file:mesh.did;
        }

        location /short/ {
            empty_gif;
            ucan_session_max  1m;
        }

        location /off/ {
            empty_gif;
            ucan_cache  off;
        }

        location /metrics { ucan off; ucan_metrics; }
    }
END

$conf =~ s/EVE/$eve/g;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    workers => 2,
    files   => { 'mesh.did' => "$did\n", 'revoked.txt' => "\n" },
    conf    => $conf,
)->start;

my $token = Mesh::Test::Mint->mint(<<"END");
delegation read aud=ada cmd=/room/read
delegation one aud=bob cmd=/room/read room=a
delegation mine aud=cid cmd=/room/read
invocation open iss=ada sub=ada cmd=/session/open
invocation again iss=ada sub=ada cmd=/session/open exp=900
invocation third iss=ada sub=ada cmd=/session/open exp=800
invocation bob iss=bob sub=bob cmd=/session/open
invocation cid iss=cid sub=cid cmd=/session/open
invocation once iss=ada cmd=/room/read prf=read exp=60
invocation twice iss=ada cmd=/room/read prf=read exp=61
forgery forged list=open
container session list=read,open
container again list=read,again
container third list=read,third
container bob list=one,bob
container cid list=mine,cid
container once list=read,once
container twice list=read,twice
container forged list=read,forged
cid cid_cid list=mine
jwt root aud=ada caps=$caps exp=7200
jwt bearer iss=ada caps=$caps prf=root
header proofs list=root
END


sub status {
    my ($path, $name, @more) = @_;

    return $mesh->get($path, token => $token->{$name}, @more)->status;
}


# What some work adds to a counter, of all workers: signatures that were
# checked, sessions that a worker knew.

sub count {
    my ($what) = @_;

    my %line = (
        good => 'mesh_ucan_signatures_total{result="good"}',
        hit  => 'mesh_ucan_cache_total{cache="worker",result="hit"}',
    );

    my ($n) = $mesh->get('/metrics')->body =~ /^\Q$line{$what}\E (\d+)$/m;

    return $n // die "no counter of $what";
}

sub added {
    my ($what, $work) = @_;

    my $before = count($what);
    $work->();

    return count($what) - $before;
}


# Each signature is checked once, whichever worker is asked.

is(added(good => sub { status('/', 'session') for 1 .. 20 }), 2,
   'of twenty requests with one session two signatures are checked');
is(added(hit => sub { status('/', 'session') for 1 .. 20 }), 20,
   '... and then the workers know it as it is');
is(added(good => sub { status('/', 'again') }), 1,
   'of another session over the same delegation only its own');


# Another text is another token.

is(status('/', 'forged'), 401, 'a signature that was changed is found out');
is(status('/', 'session'), 200, '... beside the one it was made from');
is(status('/', 'bearer', headers => { ucans => $token->{proofs} }), 200,
   'a 0.10 token with its proof');

isnt(status('/', 'bearer'), 200, '... does not pass without it');
is(status('/', 'bearer', headers => { ucans => $token->{proofs} }), 200,
   '... and does with it again');


# The location has the say.

for my $turn ('first', 'then') {
    is(status('/', 'session'), 200, "$turn: let in here");
    is(status('/trust/', 'session'), 401, '... not where another is trusted');
    is(status('/audience/', 'session'), 401,
       '... nor where another is the audience');
    is(status('/short/', 'session'), 401,
       '... nor where sessions are to be shorter');
    is(status('/send/', 'session'), 403, '... nor for another command');
}

for my $turn ('first', 'then') {
    is(status('/room/?room=a', 'bob'), 200, "$turn: a policy about a room");
    is(status('/room/?room=b', 'bob'), 403, '... refuses another');
    is(status('/room/', 'bob'), 403, '... or none');
}


# What is not remembered.

is(added(good => sub { status('/', 'once') }), 1,
   'of an invocation over a known proof one signature is checked');
is(added(good => sub { status('/', 'once') }), 1,
   '... each time that it comes');
is(added(hit => sub { status('/', 'twice') for 1 .. 4 }), 0,
   '... since it is never kept');
is(added(good => sub { status('/off/', 'session') for 1 .. 3 }), 6,
   'ucan_cache off: every signature each time');
is(added(hit => sub { status('/off/', 'session') for 1 .. 3 }), 0,
   '... and no look into the cache');

my $fresh = Mesh::Test::Mint->mint(<<'END');
delegation new aud=dan cmd=/room/read
invocation dan iss=dan sub=dan cmd=/session/open
container dan list=new,dan
END

$token->{dan} = $fresh->{dan};

status('/off/', 'dan') for 1 .. 3;
is(added(good => sub { status('/', 'dan') }), 2,
   '... nor is anything written to it');


# Bounds: two sessions a worker.

for my $turn (1 .. 3) {
    is(status('/', $_), 200, "more sessions than there is room for: $_")
        for qw(session again third bob);
}

is(added(good => sub { status('/', $_) for qw(session again third bob) }), 0,
   '... are taken apart again, but not checked again');


# Time.

my $brief = Mesh::Test::Mint->mint(<<'END');
delegation read aud=ada cmd=/room/read
invocation brief iss=ada sub=ada cmd=/session/open exp=3
container brief list=read,brief
END

$token->{brief} = $brief->{brief};

is(status('/', 'brief'), 200, 'a session that will end soon');

$mesh->wait_for(sub { status('/', 'brief') != 200 }, 20,
                'the end of a session');

like($mesh->error_log, qr/refused: token-expired/, '... does so in the cache');


# Revocation.

is(status('/', 'cid'), 200, 'a session') for 1 .. 4;

$mesh->write_file('revoked.txt', "$token->{cid_cid}\n");
$mesh->wait_for(sub { status('/', 'cid') != 200 }, 20, 'the revocation');

is(status('/', 'cid'), 401, '... whose proof is revoked has ended')
    for 1 .. 4;
like($mesh->error_log, qr/refused: token-revoked/, '... and the log says why');
is(status('/', 'session'), 200, '... while others go on');


# Reload, death of a worker.

$mesh->reload;

is(added(good => sub { status('/', 'session') for 1 .. 8 }), 0,
   'a reload forgets no signature');
is(status('/', 'cid'), 401, '... and no revocation');

$mesh->kill_worker;

is(added(good => sub { status('/', 'session') for 1 .. 8 }), 0,
   'nor does the death of a worker');
is(status('/', 'forged'), 401, '... and nobody else gets in');

$mesh->write_file('mesh.did', "$eve\n");
$mesh->reload;

is(status('/', 'session'), 401, 'a reload with another trust lets nobody in')
    for 1 .. 4;

$mesh->write_file('mesh.did', "$did\n");
$mesh->reload;

is(status('/', 'session'), 200, '... until the old one is back');

done_testing;
