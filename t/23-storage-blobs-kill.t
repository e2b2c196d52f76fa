#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A worker that is killed while blobs come in leaves whole ones or none, and
# what was answered is there.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

use constant ROUNDS => 12;

my $block = join '', map { sha256_hex("kill $_") } 1 .. 16_000;   # 1 MB


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(adapter => $adapter, workers => 2)
               ->start;
    my $folder = $node->data . '/blobs';
    my $files = sub { return scalar(my @all = glob "$folder/??/*") };
    my (%sent, %answered);

    srand 23;

    for my $round (1 .. ROUNDS) {
        my $before = $files->();
        my %open;

        for my $n (1 .. 6) {
            my $name = "$round/$n";
            my $size = 70_000 + int rand 900_000;

            $sent{$name} = $name . substr $block, 0, $size;
            $open{$name} = $node->begin(PUT => "blobs/n/$name",
                                        body => $sent{$name});
        }

        # where the kill falls: some have files, some are on their way

        my $some = $before + int rand 7;

        $node->wait_for(sub { $files->() >= $some }, 20, 'files of blobs');
        $node->kill_worker($_) for $node->workers;

        for my $name (sort keys %open) {
            $answered{$name} = 1 if $open{$name}->reply->status == 201;
        }
    }

    my ($items) = $node->list('blobs/n');
    my %there = map { $_->{key} => $_ } @$items;
    my @lost = grep { !$there{$_} } sort keys %answered;
    my @torn = grep {
        my $get = $node->get("blobs/n/$_");
        $get->status != 200 || $get->body ne $sent{$_};
    } sort keys %there;

    diag(sprintf '%s: %d blobs were sent, %d answered, %d are there',
         $adapter, scalar keys %sent, scalar keys %answered,
         scalar keys %there);

    is_deeply(\@lost, [], "$adapter: what was answered is there");
    is_deeply(\@torn, [], 'and all that is there is whole');
    cmp_ok(scalar keys %sent, '>', scalar keys %answered,
           'some were killed on their way');
    is($node->put('blobs/n/after', $block)->status, 201,
       'and the node takes blobs as before');
}

done_testing();
