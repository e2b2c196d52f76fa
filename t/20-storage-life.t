#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The store in the life of the workers: opened by each after the fork, kept
# over reloads, found again after a worker was killed, closed at the end.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $mesh = Mesh::Test->new(
    modules => [qw(storage status)],
    workers => 3,
    files   => { 'store/keep' => '' },
    conf    => 'mesh_storage store/mesh.db;',
    server  => 'location = /api/health { mesh_health on; }')->start;

my $health = $mesh->get('/api/health');

is($health->status, 200, 'a node with a store is healthy');
is($health->json->{storage}{adapter}, 'sqlite', 'its store is sqlite');
ok(-f $mesh->prefix . '/store/mesh.db', 'the path is relative to the prefix');

my $mode = (stat $mesh->prefix . '/store/mesh.db')[2] & 07777;

is($mode, 0600, 'nobody else may read the database');


# A worker dies.

my $killed = $mesh->kill_worker;

like($mesh->wait_for_log(qr/wake: the worker of slot \d+ died/),
     qr/all workers read the store again/,
     'a killed worker is noticed, and what it may have left unsaid is read');

is($mesh->get('/api/health')->status, 200, 'its successor has the store');


# Reloads.

$mesh->reload for 1 .. 3;

is($mesh->get('/api/health')->status, 200, 'a reload keeps the store');

$mesh->wait_for(sub { $mesh->children == 3 }, 20, 'old workers to leave');

unlike($mesh->error_log, qr/worker slots are taken/,
       'workers that left gave their slots back');

my @died = $mesh->error_log =~ /wake: the worker of slot/g;

is(scalar @died, 1, 'workers that leave in order are not taken for dead');


# Another size: the old ring goes with the old workers.

my $conf = $mesh->read_file('nginx.conf');

$conf =~ s/mesh_storage store/mesh_storage_wake_size 5m; $&/;
$mesh->write_file('nginx.conf', $conf);
$mesh->reload;
$mesh->wait_for(sub { $mesh->children == 3 }, 20, 'old workers to leave');
$mesh->kill_worker;

ok($mesh->wait_for_log(qr/wake: the worker of slot 3[2-9] died/),
   'a ring of another size is a new one, with other slots');
is($mesh->get('/api/health')->status, 200, 'and the node goes on');

$mesh->quit;

ok(!-s $mesh->prefix . '/nginx.pid', 'nginx leaves when it is told to');

done_testing;
