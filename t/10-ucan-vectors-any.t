#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The runner of UCAN vectors takes any folder in their format, however it is
# cut, and says "not ok" to what is wrong or unknown: a green run means it.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant SECONDS => 240;

my $top = Mesh::Test->top;
my $json = JSON::PP->new->utf8->canonical->allow_bignum;

my ($built, $text) = Mesh::Test->build('unit');

is($built, 0, 'the runner builds') or BAIL_OUT($text);

sub load {
    my ($name) = @_;

    open(my $in, '<', "$top/t/vectors/$name.json") or BAIL_OUT("$name: $!");
    local $/;

    return $json->decode(scalar <$in>);
}

# Runs what is written into a folder: how many held, and how many did not.
sub run_folder {
    my (%files) = @_;

    my $folder = File::Temp->newdir;

    for my $name (keys %files) {
        mkdir dirname("$folder/$name");
        open(my $out, '>', "$folder/$name") or BAIL_OUT("$name: $!");
        print $out ref $files{$name} ? $json->encode($files{$name})
                                     : $files{$name};
        close($out) or BAIL_OUT("$name: $!");
    }

    my ($rc, $out) = Mesh::Test::run(
        [ Mesh::Test->output_folder . '/unit/ucan_vectors', "$folder" ],
        seconds => SECONDS, env => Mesh::Test->sanitizer_options);
    my @good = $out =~ /^(ok .*)$/mg;
    my @bad = $out =~ /^(not ok .*)$/mg;

    return ($rc, \@good, \@bad);
}

sub holds {
    my ($promise, %files) = @_;

    my ($rc, $good, $bad) = run_folder(%files);

    ok($rc == 0 && @$good > 0 && @$bad == 0, $promise)
        or diag(join "\n", @$bad);
}

my %set = map { $_ => load("ucan/$_") } qw(jwt v1 did container policy);

for my $name (sort keys %set) {
    my @bare = map { my %case = (%$_, novelty => { x => [ 1 ] });
                     delete $case{family};
                     \%case } @{ $set{$name}{cases} };

    holds("$name: cases without a family are told by what they hold",
          "$name.json" => \@bare);
}

holds('a case says its own family, and files may stand in folders',
      'a.json' => { tests => [ $set{jwt}{cases}[0] ] },
      'b/c.json' => { vectors => [ $set{v1}{cases}[0] ] });

my @plain = map { my %case = %$_;
                  delete @case{qw(container leeway)};
                  $case{audience} = [ 'did:key:zNobody', $case{audience} ];
                  \%case }
            grep { $_->{id} ne 'only-delegation' } @{ $set{v1}{cases} };

holds('without a container it is made of the tokens; audiences may be many',
      'v1.json' => { family => 'v1', cases => \@plain });

my @dag = map { my %case = %$_;
                delete @case{qw(policy_cbor_hex args_cbor_hex)};
                \%case } @{ $set{policy}{cases} };

holds('without CBOR the DAG-JSON counts', 'policy.json' => \@dag);

my ($big) = grep { $_->{id} eq '10-chain-10' } @{ $set{jwt}{cases} };
my ($long) = grep { $_->{id} eq 'chain-10' } @{ $set{v1}{cases} };

for my $limit ([ max_depth => 10, 9 ], [ max_tokens => 10, 9 ],
               [ max_signature_checks => 10, 9 ],
               [ max_token_bytes => 1000, 200 ])
{
    my ($name, $enough, $few) = @$limit;

    holds("$name of a case counts",
          'jwt.json' => [
              { %$big, limits => { $name => $enough } },
              { %$big, limits => { $name => $few }, expect => 'reject' } ],
          'v1.json' => [
              { %$long, limits => { $name => $enough + 1 } },
              { %$long, limits => { $name => $few }, expect => 'reject' } ]);
}

my %wrong = (
    'a case that is answered otherwise' =>
        [ { %$big, expect => 'reject' } ],
    'a refusal that is expected to be none' =>
        [ map { { %$_, expect => 'accept' } }
          grep { $_->{id} eq '10-expired' } @{ $set{jwt}{cases} } ],
    'a family that nobody knows' => { family => 'x', cases => [ {} ] },
    'a case that is told by nothing' => [ { id => 'x' } ],
    'a case without an expectation' => [ { %$big, expect => undef } ],
    'a policy without one' =>
        [ { %{ $set{policy}{cases}[0] }, expect => 'perhaps' } ],
    'a family without cases' => { family => 'jwt', cases => [] },
    'a file that is no JSON' => '{'
);

for my $what (sort keys %wrong) {
    my ($rc, $good, $bad) = run_folder('x.json' => $wrong{$what});

    ok($rc != 0 && @$bad == 1, "not ok: $what") or diag("@$good");
}

my ($rc) = run_folder('x.txt' => 'no vectors');

ok($rc != 0, 'not ok: a folder without vectors');

done_testing;
