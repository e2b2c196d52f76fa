#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# tus-js-client, which nobody here wrote, uploads, resumes, and gets through a
# kill -9 and a reload in the middle.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Program;
use Mesh::Test::Storage;

use constant SIZE => 12_000_000;

my $top = Mesh::Test->top;
my $modules = "$top/.node/node_modules";

plan skip_all => 'no npm package "tus-js-client": t/run installs it'
    unless -d "$modules/tus-js-client";

my $bytes = join '', map { sha256_hex("client $_") } 1 .. SIZE / 64;


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(
        adapter => $adapter, workers => 2, files => { file => $bytes })
        ->start;

    my $endpoint = 'http://127.0.0.1:' . $node->port
                   . '/api/storage/uploads/n';

    my $command = sub {
        my ($name, @options) = @_;

        return [ 'node', "$top/t/clients/tus.js", $endpoint,
                 $node->owner_token, $node->prefix . '/file', $name,
                 @options ];
    };

    my $run = sub {
        my ($rc, $out, $err) = Mesh::Test::run($command->(@_),
            env => { NODE_PATH => $modules }, seconds => 120);

        die "tus.js: $out$err" if $rc != 0;

        return $node->json_decode((split /\n/, $out)[-1]);
    };

    my $is_whole = sub {
        my ($name, $what) = @_;

        my $blob = $node->get("blobs/n/$name");

        ok($blob->status == 200 && $blob->body eq $bytes, $what);
        is($blob->header('Content-Type'), 'application/x-test',
           'with its type');
    };


    ok($run->('whole')->{done}, "$adapter: a file is uploaded in one go");
    $is_whole->('whole', 'and is a blob');

    ok($run->('parts', 'chunk=5000000')->{done}, 'or in parts');
    $is_whole->('parts', 'which are one blob');

    ok($run->('once', 'chunk=5000000', 'at_once=1')->{done},
       "$adapter: or with the first part at once");
    $is_whole->('once', 'which is the same');

    ok($run->('later', 'chunk=5000000', 'defer=1')->{done},
       'or without telling the length first');
    $is_whole->('later', 'which is the same too');


    my $half = $run->('resumed', 'chunk=3000000', 'stop=6000000');

    ok(!$half->{done}, "$adapter: one that was given up");

    my $other = $run->('resumed', "url=$half->{url}");

    ok($other->{done}, 'is resumed by another client');
    $is_whole->('resumed', 'and is whole');

    my $again = $run->('resumed', "url=$half->{url}");

    ok($again->{done} && $again->{sent} <= SIZE,
       'one that resumes what is done is told that it is done');


    # in the middle

    for my $what (qw(killed reloaded)) {
        my $program = Mesh::Test::Program->new(
            command => $command->($what, 'chunk=400000'),
            folder  => $node->prefix, env => { NODE_PATH => $modules });

        for my $n (1 .. 3) {
            $node->wait_for(
                sub {
                    my @accepted = $program->output =~ /accepted (\d+)/g;
                    return @accepted >= 5 * $n
                           || $program->output =~ /"done"/;
                },
                60, "part $n of an upload");

            if ($what eq 'killed') {
                $node->kill_worker($_) for $node->workers;

            } else {
                $node->reload;
            }
        }

        $node->wait_for(sub { $program->output =~ /"done":true|"error":"/ },
                        60, 'the end of an upload');
        like($program->output, qr/"done":true/,
             "$adapter: the upload of a client ends while workers are $what");
        $is_whole->($what, 'and is whole');
    }
}

done_testing();
