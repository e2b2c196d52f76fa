#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The table of the UCAN bench, of the results in a folder: of several rounds
# the median counts.
#
# usage: table.pl FOLDER CHECKS       signature checks of the adversary

use strict;
use warnings;

my ($folder, $checks) = @ARGV;

sub lines {
    my ($name) = @_;
    open my $file, '<', "$folder/$name" or return;
    return map { [ split ] } <$file>;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return @sorted ? $sorted[$#sorted / 2] : 0;
}

my (%raw, %rounds, %peer);

push @{ $raw{ $_->[0] } }, $_->[1] for lines('raw');
$peer{ $_->[0] } = $_->[1] for lines('peers');

for (lines('results')) {
    my ($name, $requests, $refused, $ns) = @$_;

    die "$name: $refused of $requests were refused\n"
        if ($name =~ /^refused/ ? $requests : 0) != $refused;

    push @{ $rounds{$name} }, $ns / $requests / 1000;
}

$_ = median(@$_) for values %raw;

# Microseconds of CPU that the check of a request costs: with less without.

sub cost {
    my ($how, $token) = @_;
    my ($with, $without) = @rounds{"$how.$token", "plain.$token"};

    my $us = median(map { $with->[$_] - $without->[$_] } 0 .. $#$with);

    # less than can be told from nothing

    return $us > 0.1 ? $us : 0.1;
}

sub row {
    my ($title, $us, $bound, $peer) = @_;

    printf "%-44s %9.2f %10.0f", $title, $us, 1e6 / $us;
    print $bound ? sprintf(' %9.2f %7.0f %%', $bound, 100 * $bound / $us)
                 : ' ' x 20;
    printf '  %s', join ', ', map { sprintf '%s %.0f', $_->[0], 1e6 / $_->[1] }
                              grep { $_->[1] } @{ $peer || [] };
    print "\n";

    return;
}

printf "%-44s %9s %10s %9s %9s  %s\n", '', 'us', 'a second', 'bound us',
       'of bound', 'peers a second';

for my $n (1, 3, 10) {
    row("cold, chain of $n", cost('cold', "cold.$n"), $n * $raw{Ed25519},
        [ map { [ $_, $peer{"$_.$n"} ] } 'ucans', 'iso-ucan' ]);
}

row('cold, chain of 3, gzip', cost('cold', 'packed.3'), 3 * $raw{Ed25519});

for my $n (1, 3, 10) {
    row("new invocation, known chain of $n", cost('warm', "calls.$n"),
        $raw{Ed25519});
}

row("known token, $_->[1]", cost('warm', $_->[0]))
    for [ 'jwt10.1', '0.10' ], [ 'jwt10.3', '0.10 with two proofs' ],
        [ 'jwt08.3', '0.8 with two proofs' ];

row("cold, 1 token of $_", cost('cold', "key.$_"), $raw{$_})
    for 'P-256', 'secp256k1', 'P-384', 'P-521', 'RSA';

my $tokens = (lines('t/adversary.tokens'))[0][0];

row("adversary: $tokens tokens, $checks checks", cost('refused', 'adversary'),
    $checks * $raw{Ed25519});
