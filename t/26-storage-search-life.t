#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The text index over its life: two workers and one that leads, which is
# killed, reloads, a file that is damaged, deleted, or somebody else's.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test::Storage;


sub put {
    my ($node, $key, $text) = @_;

    my $reply = $node->request('PUT', "kv/n/$key", body => $text,
                               headers => { 'Content-Type' => 'text/plain' });

    return 1 if $reply->status =~ /^20[014]$/;

    die "put of $key: " . $reply->raw;
}


# How many keys are found, all pages.

sub count {
    my ($node, $q, $wait) = @_;

    my ($n, $cursor) = (0, '');

    do {
        my $reply = $node->get("search/n?limit=100&q=$q&wait="
                               . ($wait // 20) . $cursor);

        return $reply->status if $reply->status != 200;

        my $page = $reply->json;

        $n += @{ $page->{hits} };
        $cursor = $page->{next} ? "&cursor=$page->{next}" : '';
    } while ($cursor);

    return $n;
}


# The worker that leads has the lock file open, and it alone.

sub leaders {
    my ($node) = @_;

    return grep {
        my $pid = $_;
        grep { (readlink $_ // '') =~ /search\.db\.lock$/ }
            glob "/proc/$pid/fd/*";
    } $node->children;
}


sub file { return $_[0]->data . '/search.db' }


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub {
        my $node = Mesh::Test::Storage->new(adapter => $adapter,
                                            workers => 2)->start;

        check_workers($node);
        check_reload($node);
        check_files($node);
        check_foreign($node);

        $node->stop;
    };
}

done_testing;


sub check_workers {
    my ($node) = @_;

    put($node, "a$_", "word number $_") for 1 .. 50;

    is(count($node, 'word'), 50, 'what any worker wrote is found');
    is((stat file($node))[2] & 0777, 0600, 'the index is private');
    is(scalar(leaders($node)), 1, 'one worker of two leads');

    # killed while it has something to do

    put($node, "b$_", "word number $_") for 1 .. 200;

    my ($pid) = leaders($node);

    $node->kill_worker($pid);

    put($node, "c$_", "word number $_") for 1 .. 50;

    is(count($node, 'word'), 300,
       'a worker that leads is killed: nothing is missing afterwards');

    my ($now) = leaders($node);

    isnt($now, $pid, 'another leads');
    unlike($node->error_log, qr/search: .*damaged/,
           'and found the index whole');

    return;
}


sub check_reload {
    my ($node) = @_;

    $node->reload;
    put($node, "d$_", "word number $_") for 1 .. 20;

    is(count($node, 'word'), 320, 'a reload loses nothing');
    ok($node->wait_for(sub { !$node->leaving_workers }),
       'old workers end, also the one that led');

    put($node, "e$_", "word number $_") for 1 .. 20;
    is(count($node, 'word'), 340, 'a new one has taken over');

    $node->stop;
    $node->start;

    is(count($node, 'word', 0), 340,
       'after a restart the index is there at once');

    return;
}


sub check_files {
    my ($node) = @_;

    my $file = file($node);

    unlink $file;
    ok($node->wait_for(sub { -e $file }), 'a deleted file is made again');
    is(count($node, 'word'), 340, 'with all that was in it');

    for my $place (0, 4096, 65536) {
        $node->stop;

        open my $out, '+<', $file or die "$file: $!";
        seek $out, $place, 0;
        print {$out} 'x' x 20_000;
        close $out;
        unlink "$file-wal", "$file-shm";

        $node->start;

        is(count($node, 'word'), 340,
           "a file that is damaged at $place is made again");
    }

    like($node->error_log, qr/search: ".*" is damaged .* made again/,
         'and the log says so');

    $node->stop;
    unlink glob "$file*";
    $node->start;

    is(count($node, 'word'), 340, 'a file that is missing is made');

    return;
}


# The file of the store itself, where the index should be.

sub check_foreign {
    my ($node) = @_;

    my $file = file($node);

    return if !-e $node->data . '/mesh.db';

    $node->stop;
    system('cp', $node->data . '/mesh.db', "$file.other") == 0 or die;
    unlink glob "$file $file-*";
    rename "$file.other", $file;

    my $size = -s $file;

    $node->start;
    $node->wait_for_log(qr/another program and is left alone/);
    is($node->get('search/n?q=word')->status =~ /^50[03]$/, 1,
       'the database of another program is not searched');
    is(-s $file, $size, 'nor touched');

    return;
}
