#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A store that cannot be opened: each worker says why, once, and serves what
# needs no store, instead of dying and being started again for ever.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $mesh = Mesh::Test->new(
    modules => [qw(storage status)],
    workers => 2,
    files   => { 'store/mesh.db' => 'this is a letter, no database. ' x 400 },
    conf    => 'mesh_storage store/mesh.db;',
    server  => q{
        location = /api/health { mesh_health on; }
        location / { return 204; }
    })->start;

my @workers = sort $mesh->workers;
my $health = $mesh->get('/api/health');

is($health->status, 503, 'health says that something is wrong');
is($health->header('Retry-After'), 1, 'and when to ask again');
is($health->json->{status}, 'degraded', 'the node is degraded');
ok(!$health->json->{ok}, 'it is not ok');
ok(!$health->json->{storage}{ok}, 'and it is the store');
unlike($health->body, qr{mesh\.db|/store}, 'which file is nobody\'s business');

is($mesh->get('/')->status, 204, 'what needs no store is served');

my @lines = grep { /this worker has no store/ } split /\n/, $mesh->error_log;

is(scalar @lines, 2, 'each worker says so once');
like($lines[0], qr{\[error\].*/store/mesh\.db" cannot.*: .*not a database},
     'with the file and the reason, as an error and no emergency');
is_deeply([ sort $mesh->workers ], \@workers, 'no worker died of it');

my $letter = $mesh->read_file('store/mesh.db');

is(length $letter, 31 * 400, 'the file was left as it was');


# The operator puts it right.

unlink $mesh->prefix . '/store/mesh.db';
$mesh->reload;
$mesh->wait_for(sub { $mesh->children == 2 }, 20, 'old workers to leave');

is($mesh->get('/api/health')->status, 200, 'a reload opens the store');

done_testing;
