#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Runs every C unit test (t/unit/*_test.c) as a subtest: it builds, prints a
# plan that it keeps, and ends with 0.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Temp ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant SECONDS => 240;

my $top = Mesh::Test->top;
my @tests = map { basename($_, '.c') } sort glob "$top/t/unit/*_test.c";

my ($rc, $text) = Mesh::Test->build('unit');

ok($rc == 0, 'all unit tests build') or diag($text);
ok(@tests > 0, 'there are unit tests');

for my $name (@tests) {
    my $program = Mesh::Test->output_folder . "/unit/$name";

    subtest $name => sub {
        if (!-x $program) {
            fail("$name was built");
            return;
        }

        my $temp = File::Temp->newdir;
        my ($status, $out, $err) = Mesh::Test::run(
            [ $program ], seconds => SECONDS,
            env => { TMPDIR => "$temp", %{ Mesh::Test->sanitizer_options } });
        my @failed = $out =~ /^(not ok .*)$/mg;
        my $ran = () = $out =~ /^(?:not )?ok /mg;
        my ($plan) = $out =~ /^1\.\.(\d+)$/m;

        ok(!@failed, 'every promise holds') or diag(join "\n", @failed);
        is($ran, $plan, 'all that was planned ran');
        is($status, 0, 'the program ends with 0') or diag($err);
    };
}

done_testing;
