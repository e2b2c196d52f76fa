#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Counters for Prometheus: what is counted, over workers that die and reloads,
# in the format that its parser takes.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    workers => 2,
    files   => { 'mesh.did' => Mesh::Test::Mint->did('mesh') },
    server  => q{
        ucan_audience  file:mesh.did;

        location / {
            empty_gif;
            ucan          on;
            ucan_require  /room/read;
        }

        location /cookie/ {
            empty_gif;
            ucan         on;
            ucan_source  cookie:mesh;
        }

        location = /metrics { ucan_metrics; }
    },
)->start;

my $token = Mesh::Test::Mint->mint(<<'END');
delegation read aud=ada cmd=/room/read
delegation list aud=bot cmd=/room/list
invocation ada iss=ada sub=ada cmd=/session/open
invocation bot iss=bot sub=bot cmd=/session/open
invocation past iss=ada sub=ada cmd=/session/open exp=-5
forgery forged list=ada
container ada list=read,ada
container bot list=list,bot
container past list=read,past
container forged list=read,forged
invocation act iss=ada cmd=/room/read args=room:r_1 prf=read
container act list=read,act
END


# The page as a hash of its series.

sub metrics {
    my $reply = $mesh->get('/metrics');

    return { $reply->body =~ /^(mesh_ucan\S+) (\d+)$/mg };
}

sub requests {
    return metrics()->{"mesh_ucan_requests_total{outcome=\"$_[0]\"}"};
}


# The format.

my $reply = $mesh->get('/metrics');

is($reply->status, 200, 'there is a page');
is($reply->header('Content-Type'),
   'text/plain; version=0.0.4; charset=utf-8', '... in the text format');
is(length $reply->body, $reply->header('Content-Length'), '... of its length');

my (%type, %help, %seen, @wrong);

for (split /\n/, $reply->body) {
    if (/^# TYPE (\w+) (counter|gauge)$/) {
        push @wrong, $_ if $type{$1}++ || $seen{$1};

    } elsif (/^# HELP (\w+) \S/) {
        push @wrong, $_ if $help{$1}++ || $seen{$1};

    } elsif (/^(\w+)(?:\{(?:\w+="[^"\\]*",?)+\})? \d+$/) {
        push @wrong, $_ unless $type{$1} && $help{$1};
        $seen{$1} = 1;

    } else {
        push @wrong, $_;
    }
}

is_deeply(\@wrong, [], '... each family once, with type and help before it');
is_deeply([ sort keys %type ], [ sort keys %seen ], '... none of them empty');
cmp_ok(scalar keys %seen, '>=', 6, '... and there are several');
is(requests('accepted'), 0, 'a series is there before it is needed');
is($mesh->request(POST => '/metrics')->status, 405, 'the page is only read');

$reply = $mesh->head('/metrics');

is($reply->status, 200, 'HEAD is fine');
is($reply->body, '', '... and has no body');


# Outcomes.

$mesh->get('/', token => $token->{ada}) for 1 .. 3;
$mesh->get('/') for 1 .. 2;
$mesh->get('/', token => $token->{$_}) for qw(bot past forged past);
$mesh->get('/', token => 'junk');
$mesh->get('/', token => $token->{act}) for 1 .. 2;
$mesh->request(POST => '/cookie/',
               headers => { Cookie => "mesh=$token->{ada}" });

my %expected = (
    'accepted'        => 4,
    'absent'          => 2,
    'not-covered'     => 1,
    'token-expired'   => 2,
    'bad-signature'   => 1,
    'token-malformed' => 1,
    'token-replayed'  => 1,
    'wrong-origin'    => 1,
    'busy'            => 0,
);

is(requests($_), $expected{$_}, "$_: counted as it came")
    for sort keys %expected;

my $before = metrics();

cmp_ok($before->{'mesh_ucan_signatures_total{result="bad"}'}, '>=', 1,
       'signatures are counted, bad ones');
cmp_ok($before->{'mesh_ucan_signatures_total{result="good"}'}, '>=', 3,
       '... and good ones');
cmp_ok($before->{'mesh_ucan_cache_total{cache="worker",result="miss"}'}, '>=',
       3, '... and what was not in a cache');
is($before->{'mesh_ucan_replays_total{result="seen"}'}, 1,
   '... and what came again');
is($before->{mesh_ucan_replay_entries}, 1, '... and what is remembered');
is($before->{mesh_ucan_revocations}, 0, '... and what is revoked');


# What outlives what.

$mesh->kill_worker for 1 .. 2;

is(requests('absent'), 2, 'what a worker counted outlives it');

$mesh->reload;
$mesh->get('/') for 1 .. 3;

is(requests('absent'), 5, '... and a reload, after which it goes on');

my $after = metrics();
my @fallen = grep { $after->{$_} < $before->{$_} && /_total/ }
             sort keys %$before;

is_deeply(\@fallen, [], 'no counter ever falls');

done_testing;
