#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The UCAN test vectors (t/vectors, ours and published ones) through the same C
# code that nginx runs: what is accepted, what is refused.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant SECONDS => 240;

my $top = Mesh::Test->top;

my ($built, $text) = Mesh::Test->build('unit');

is($built, 0, 'the runner builds') or BAIL_OUT($text);

my ($rc, $out, $err) = Mesh::Test::run(
    [ Mesh::Test->output_folder . '/unit/ucan_vectors',
      "$top/t/vectors" ],
    seconds => SECONDS, env => Mesh::Test->sanitizer_options);

my %seen;

for my $line ($out =~ /^(?:not )?ok .*$/mg) {
    my ($good, $name) = $line =~ /^(not )?ok \d+ - (.*?)(?: # SKIP .*)?$/;
    my ($file) = $name =~ /^([\w.-]+\.json|container)/;

    $seen{ $file // '' }++;

    if ($line =~ / # SKIP (.*)$/) {
        my $why = $1;

        SKIP: { skip("$name: $why", 1) }

    } else {
        ok(!$good, $name);
    }
}

for my $file (map { s{.*/}{}r } glob("$top/t/vectors/*/*.json"),
              glob("$top/t/vectors/ucan/official/*.json"))
{
    ok($seen{$file}, "$file was run");
}

ok($seen{container}, 'and the forms of the container');
my ($made, $sessions) = Mesh::Test::run(
    [ Mesh::Test->output_folder . '/unit/ucan_session_make' ],
    seconds => SECONDS, env => Mesh::Test->sanitizer_options);

open(my $file, '<', "$top/t/vectors/session/session.json")
    or BAIL_OUT("no session vectors: $!");
local $/;

ok($made == 0 && $sessions eq <$file>,
   'the session vectors are what their generator writes');
is($rc, 0, 'the runner ends with 0') or diag($out =~ /^(#.*)$/mg, $err);

done_testing;
