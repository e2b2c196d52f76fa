#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Rooms and identity do not know which engine the store has: test files of
# theirs, as they are, on nodes that keep everything on MongoDB.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Wire;

use constant SECONDS => 200;

if (my $why = Mesh::Test::Wire->why_not) {
    diag("NOT TESTED: $why");
    plan skip_all => $why;
}

my @files = qw(
    30-identity-first-run 31-identity-registration 34-identity-delegations
    34-identity-roles 35-identity-bots 36-identity-removal
    41-room-protocol 42-room-resume 45-room-rest 46-room-messages
    47-room-poll 48-room-direct
);

my $server = Mesh::Test::Wire->new;

for my $file (@files) {
    my ($rc, $out, $err) = Mesh::Test::run(
        [ $^X, Mesh::Test->top . "/t/$file.t" ], seconds => SECONDS,
        env => { MESH_TEST_MONGO => $server->host,
                 MESH_TEST_BUILD => $ENV{MESH_TEST_BUILD}
                                    // Mesh::Test->top . '/.build' });

    is($rc, 0, "$file holds on MongoDB")
        or diag(join "\n", grep { /^not ok|^#/ } split /\n/, "$out\n$err");
}

SKIP: {
    skip 'a real server does not count', 2 if $server->real;

    my $stats = $server->stats;

    cmp_ok($stats->{commands}{commitTransaction}, '>', 100,
           'they were written there');
    is($stats->{weak}, 0, 'by a majority');
}

done_testing;
