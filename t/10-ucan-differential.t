#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Random tokens, chains, policies, containers and keys get the same answer from
# our code and from a second verifier (t/second), that of the specification
# alone; t/differential runs as many as one likes.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant CASES   => 500;
use constant SEED    => 20263;
use constant SECONDS => 240;

my $top = Mesh::Test->top;

plan skip_all => 'no node: on Debian install nodejs'
    unless grep { -x "$_/node" } split /:/, $ENV{PATH};

my ($built, $text) = Mesh::Test->build('unit');

is($built, 0, 'the runner builds') or BAIL_OUT($text);

sub node {
    my ($name, @args) = @_;

    my ($rc, $out, $err) = Mesh::Test::run(
        [ 'node', "$top/t/second/$name.js", @args ], seconds => SECONDS);

    return ($rc, $out . $err);
}

sub run_vectors {
    my ($folder) = @_;

    my ($rc, $out, $err) = Mesh::Test::run(
        [ Mesh::Test->output_folder . '/unit/ucan_vectors', $folder ],
        seconds => SECONDS, env => Mesh::Test->sanitizer_options);

    return ($rc, split /\n/, $out);
}


# Who checks the second one?  The vectors of others.

my ($rc, $out) = node('verify', "$top/t/vectors/ucan");

is($rc, 0, 'the second verifier agrees with the test vectors') or diag($out);


# Then it makes its own.

my $folder = File::Temp->newdir;

($rc, $out) = node('generate', "$folder", CASES, SEED);

is($rc, 0, "made ${\CASES} cases by the seed ${\SEED}") or BAIL_OUT($out);

my $sums = Mesh::Test->json_decode($out);

for my $sort ('v1 accept', 'v1 reject', 'jwt accept', 'jwt reject',
              'policy true', 'policy false', 'policy invalid',
              'container accept', 'container reject', 'did accept',
              'did reject')
{
    cmp_ok($sums->{$sort} // 0, '>=', 3, "among them: $sort")
        or diag($out);
}

my ($status, @lines) = run_vectors("$folder");
my @differ = grep { $lines[$_] =~ /^not ok/ } 0 .. $#lines;

ok(!@differ, 'our code gives the same answers')
    or diag(map { "$lines[$_]\n$lines[$_ + 1]\n" } @differ);
is($status, 0, 'and ends with 0');
is(scalar(grep { /^ok / } @lines), grep({ /^(?:not )?ok / } @lines),
   'every case was run');
is(scalar(grep { /# SKIP (?!a choice)/ } @lines), 0,
   'none was left for later');
cmp_ok(scalar(grep { /# SKIP a choice/ } @lines), '<', CASES / 10,
       'few depend on what the specification leaves open');


# A difference would be seen.

my $path = "$folder/jwt.json";
my $jwt = Mesh::Test->json_decode(Mesh::Test::slurp($path));
my ($one) = grep { $_->{expect} eq 'accept' && !$_->{optional} }
            @{ $jwt->{cases} };

$one->{expect} = 'reject';

open my $file, '>:raw', $path or die "$path: $!";
print {$file} Mesh::Test->json_encode($jwt);
close $file or die "$path: $!";

($status, @lines) = run_vectors("$folder");

isnt($status, 0, 'a case with the wrong answer is told');
like(join("\n", grep { /^not ok/ } @lines), qr/jwt\.json: \Q$one->{id}\E is/,
     'by its name');

done_testing;
