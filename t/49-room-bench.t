#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The fan-out benchmark, tiny: it runs, loses nothing, and prints what it is
# there to print.  Its figures mean nothing at this size.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $bench = "$Mesh::Test::TOP/t/bench/room/run";

plan skip_all => 'figures of the sanitizer flavour mean nothing'
    if Mesh::Test::is_asan();

my ($rc, $out, $err) = Mesh::Test::run(
    [ $bench, '--tiny', '--rounds', 1, '--json' ], seconds => 120);

is($rc, 0, 'the benchmark runs') or diag("$out$err");

my $result = eval { Mesh::Test::json_decode($out) };

ok($result, 'and prints JSON') or BAIL_OUT($out);

my @scenarios = @{ $result->{scenarios} };
my @servers = map { [ $_->{name}, $_->{servers} ] } @scenarios;

ok(@scenarios >= 6, 'there are scenarios for one room and for several');

is_deeply([ map { $_->[0] } grep {
                my $servers = $_->[1];
                grep { $_->{lost} } values %$servers;
            } @servers ], [], 'no server lost a message');

is_deeply([ map { $_->[0] } grep {
                my $servers = $_->[1];
                grep { !$servers->{$_} || $servers->{$_}{deliveries} < 20 }
                qw(mesh send cork);
            } @servers ], [], 'the mesh and the lower bound delivered them');

is_deeply([ map { $_->{name} }
            grep { !($_->{ratio}{send} > 0) || !($_->{ratio}{cork} > 0) }
            @scenarios ], [], 'ratios to the lower bound are there');

ok($result->{idle}{mesh}{pssPerConnection} > 0,
   'the memory of an idle connection is known');

SKIP: {
    skip 'libnginx-mod-nchan is not installed', 2
        if $err =~ /SKIPPING nchan/;

    is_deeply([ map { $_->{name} } grep { !($_->{ratio}{nchan} > 0) }
                @scenarios ], [], 'ratios to nchan are there');
    ok($result->{idle}{nchan}{pssPerConnection} > 0,
       'and what its idle connections take');
}

($rc, $out, $err) = Mesh::Test::run(
    [ $bench, '--only', 'no such scenario' ], seconds => 60);

isnt($rc, 0, 'a scenario that is not there is an error');

# a generator that hears nothing must say so: a port where nobody listens

($rc, $out, $err) = Mesh::Test::run(
    [ "$Mesh::Test::TOP/.build/bench/wsload",
      '--url', 'ws://127.0.0.1:1/x', '--pub', 'ws://127.0.0.1:1/x',
      '--connections', 2, '--patience', 500 ], seconds => 60);

isnt($rc, 0, 'a run without a server is an error');

done_testing;
