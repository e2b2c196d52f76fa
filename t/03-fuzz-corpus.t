#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Every fuzz target (t/fuzz/*_fuzz.c) walks over its seeds, and over small
# damage to them, without a fault: so the corpus runs where clang is not.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant SECONDS => 240;

my $top = Mesh::Test->top;
my @targets = map { basename($_, '_fuzz.c') } sort glob "$top/t/fuzz/*_fuzz.c";

my ($rc, $text) = Mesh::Test->build('replay');

ok($rc == 0, 'all fuzz targets build') or diag($text);

for my $stem (@targets) {
    my $program = Mesh::Test->output_folder . "/fuzz/${stem}_fuzz_replay";
    my @seeds = glob "$top/t/fuzz/${stem}_seeds/*";

    subtest $stem => sub {
        ok(@seeds > 0, 'has seeds');
        ok(-x $program, 'was built') or return;

        my ($status, $out, $err) = Mesh::Test::run(
            [ $program, "$top/t/fuzz/${stem}_seeds" ], seconds => SECONDS,
            env => Mesh::Test->sanitizer_options);
        my $ran = () = $out =~ /^ok /mg;

        is($ran, scalar @seeds, 'walks over each seed');
        is($status, 0, 'ends with 0') or diag($err);
    };
}

done_testing;
