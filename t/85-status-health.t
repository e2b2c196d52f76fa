#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# GET /api/health: open to everybody, right without any other module, and
# telling what a load balancer and a start script need.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $mesh = Mesh::Test->new(
    modules => ['status'],
    server  => q{
        location = /api/health { mesh_health on; }
        location = /off { mesh_health off; return 204; }
    })->start;

my $answer = $mesh->get('/api/health');
my $health = $answer->json;

is($answer->status, 200, 'a node that answers is healthy');
like($answer->header('Content-Type'), qr{^application/json}, 'in JSON');
is($answer->header('Cache-Control'), 'no-store', 'nobody keeps the answer');
is_deeply([ sort keys %$health ], [qw(ok status storage uptime version)],
          'it says what is documented, and no more');
is($health->{ok}, JSON::PP::true(), 'ok is true');
is($health->{status}, 'ok', 'status is ok');
is($health->{storage}, undef, 'no storage module, no storage');
like($health->{version}, qr/^\d+\.\d+\.\d+$/, 'the version is a version');
like($health->{uptime}, qr/^\d+$/, 'uptime counts seconds');

ok($mesh->wait_for(sub { $mesh->get('/api/health')->json->{uptime} >= 1 }),
   'it grows');

$mesh->reload;
ok($mesh->get('/api/health')->json->{uptime} >= 1,
   'and a reload does not begin it anew');


# Methods.

is($mesh->head('/api/health')->status, 200, 'HEAD answers');
is($mesh->head('/api/health')->body, '', 'with no body');

$answer = $mesh->post('/api/health', {});

is($answer->status, 405, 'POST is refused');
is($answer->header('Allow'), 'GET, HEAD, OPTIONS', 'with what would do');
is($answer->json->{error}, 'method-not-allowed', 'as a problem');

is($mesh->request(OPTIONS => '/api/health')->status, 204,
   'OPTIONS is answered');
is($mesh->get('/off')->status, 204, 'off leaves the location to others');


# Configuration.

my @refused = (
    [ 'a word that is neither', 'location / { mesh_health maybe; }',
      qr/"mesh_health" is "on" or "off", not "maybe"/ ],
    [ 'two answers in one location',
      'location / { mesh_health on; mesh_skill skill.md; }',
      qr/"mesh_skill" needs a location of its own/ ],
);

for my $case (@refused) {
    my ($what, $server, $expected) = @$case;

    my ($rc, $text) = $mesh->nginx_t(
        server => $server, files => { 'skill.md' => 'hello' });

    isnt($rc, 0, "$what is refused");
    like($text, $expected, '... and the line says why');
}

done_testing;
