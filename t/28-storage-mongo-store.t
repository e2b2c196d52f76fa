#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The MongoDB adapter alone: the C programs that need a server, each with one
# of its own, and what they asked of it: a majority, always.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Temp ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Wire;

use constant SECONDS => 240;

if (my $why = Mesh::Test::Wire->why_not) {
    diag("NOT TESTED: $why");
    plan skip_all => $why;
}

my $top = Mesh::Test->top;
my @programs = map { basename($_, '.c') }
               grep { Mesh::Test::slurp($_) =~ /fixture_skip\(/ }
               sort glob "$top/t/unit/store_mongo_*test.c";

ok(@programs >= 4, 'there are programs that need a server');

my ($rc, $text) = Mesh::Test->build('unit');

is($rc, 0, 'they build') or diag($text);

for my $name (@programs) {
    subtest $name => sub { run_program($name) };
}

done_testing;


sub run_program {
    my ($name) = @_;

    my $server = Mesh::Test::Wire->new;
    my $temp = File::Temp->newdir;
    my %env = (TMPDIR => "$temp", MESH_TEST_MONGO_URI => $server->uri,
               %{ Mesh::Test->sanitizer_options });

    $env{MESH_TEST_MONGO_CONTROL} = $server->control unless $server->real;

    my ($status, $out, $err) = Mesh::Test::run(
        [ Mesh::Test->output_folder . "/unit/$name" ], seconds => SECONDS,
        env => \%env);
    my @failed = $out =~ /^(not ok .*)$/mg;
    my $ran = () = $out =~ /^(?:not )?ok /mg;
    my ($plan) = $out =~ /^1\.\.(\d+)$/m;

    ok(!@failed, 'every promise holds') or diag(join "\n", @failed);
    is($ran, $plan, 'all that was planned ran');
    is($status, 0, 'the program ends with 0') or diag($err);

    return if $server->real;

    my $stats = $server->stats;

    ok($stats->{commands}{find}, 'it asked the server');
    is($stats->{weak}, 0, 'nothing was read or written by less than a '
       . 'majority') or diag(explain($stats->{weak_commands}));

    return;
}
