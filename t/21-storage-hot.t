#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Workers keep what was read lately in their memory, and yet nobody ever reads
# an old value: not through another worker, nor after one was killed.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes ();

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my $node = Mesh::Test::Storage->new(
    workers => 4, location => 'add_header X-Worker $pid always;')->start;

my %workers;                # those that answered


sub value {
    my $reply = $node->get('kv/n/key');

    $workers{ $reply->header('X-Worker') }++;

    return $reply->status == 200 ? $reply->body : $reply->status;
}


sub values_are {
    my ($value, $times) = @_;

    return 0 == grep { value() ne $value } 1 .. $times;
}


test_writes();
test_order();
test_end();
test_killed();
test_reload();
test_two();

$node->stop;

done_testing;


# Whatever changes a key, all workers have it at once.

sub test_writes {
    my $wrong = 0;

    for my $n (1 .. 100) {
        $node->put('kv/n/key', $n);
        $wrong++ unless values_are($n, 4);
    }

    is($wrong, 0, 'what was put is what all read');
    cmp_ok(scalar keys %workers, '>', 1, 'of several workers');

    for my $n (1 .. 20) {
        $node->post('kv/n/key?op=incr');
        $wrong++ unless values_are(100 + $n, 4);
    }

    is($wrong, 0, 'and so is what was counted');

    for my $n (1 .. 20) {
        $node->del('kv/n/key');
        $wrong++ unless values_are(404, 4);
        $node->put('kv/n/key', $n);
        $wrong++ unless values_are($n, 4);
    }

    is($wrong, 0, 'what was removed is not there');

    my $etag = $node->head('kv/n')->header('ETag');

    $node->del('kv/n?prefix=k', headers => { 'If-Match' => $etag });

    ok(values_are(404, 8), 'nor what went with its prefix');

    $node->put('kv/n/key', 'x');
    value() for 1 .. 8;

    my $reply = $node->get('kv/n/key', headers => {
        'If-None-Match' => $node->head('kv/n/key')->header('ETag') });

    is($reply->status, 304, 'a condition holds from memory, too');
    is($node->get('kv/n/key',
                  token => $node->token(ns => 'other'))->status, 404,
       'and who may not read it sees nothing');

    return;
}


# While another writes, a reader never goes back in time.

sub test_order {
    $node->put('kv/n/key', 0);

    my $writer = fork // die "fork: $!";

    if ($writer == 0) {
        my $end = Time::HiRes::time() + 3;

        for (my $n = 1; Time::HiRes::time() < $end; $n++) {
            $node->put('kv/n/key', $n);
        }

        POSIX::_exit(0);
    }

    my ($last, $back, $reads) = (0, 0, 0);

    while (waitpid($writer, POSIX::WNOHANG()) == 0) {
        my $n = value();

        $back++ if $n < $last;
        $last = $n;
        $reads++;
    }

    cmp_ok($last, '>', 50, "$reads reads beside as many writes");
    is($back, 0, 'none of them saw an older value than the one before');

    return;
}


# The time of a key ends in memory as well.

sub test_end {
    $node->put('kv/n/key', 'short', headers => { 'Expires-After' => 1 });

    $node->wait_for(sub { value() eq '404' }, 10, 'the end of a key');

    ok(values_are(404, 8), 'a key that ended has ended for all');

    return;
}


# A worker is killed while it writes.

sub test_killed {
    my $wrong = 0;

    for my $round (1 .. 5) {
        my @pending = map {
            $node->begin(PUT => 'kv/n/key', body => "round $round",
                         timeout => 5)
        } 1 .. 8;

        $node->kill_worker;
        $_->reply for @pending;

        $node->put('kv/n/key', "after $round");
        $wrong++ unless values_are("after $round", 8);
    }

    is($wrong, 0, 'what is put after a worker died is what all read');
    $node->allow_log(qr/exited on signal 9/);

    return;
}


# Workers of two generations see each other's writes.

sub test_reload {
    value() for 1 .. 8;

    my $reader = $node->begin(GET => 'changes/n?wait=20&since='
                              . ($node->head('kv/n')->header('ETag')
                                 =~ /(\d+)/)[0]);

    $node->reload;
    $node->put('kv/n/key', 'reloaded');

    ok(values_are('reloaded', 8), 'a reload keeps nothing old');

    $reader->abort;

    return;
}


# Two nginx have one database: so it is while a binary is upgraded.

sub test_two {
    my $data = $node->data;
    my $other = Mesh::Test::Storage->new;

    $other->{conf} =~ s/%%DATA%%/$data/g;
    $other->write_file('nginx.conf', $other->configuration);
    $other->start;

    my $token = $node->owner_token;
    my $wrong = 0;

    for my $n (1 .. 20) {
        $node->put('kv/n/key', "$n a");
        $wrong++ unless $other->get('kv/n/key', token => $token)->body
                        eq "$n a";

        $other->put('kv/n/key', "$n b", token => $token);
        $wrong++ unless values_are("$n b", 4);
    }

    is($wrong, 0, 'what one puts is what the other reads');

    $other->stop;

    return;
}
