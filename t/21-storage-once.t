#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Idempotency-Key: a POST that is sent again is not done again, and gets the
# answer of the first (draft-ietf-httpapi-idempotency-key-header).

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub { test_once($adapter) };
}

done_testing;


sub incr {
    my ($node, $path, $key, %opt) = @_;

    my %headers = (%{ delete $opt{headers} || {} },
                   defined $key ? ('Idempotency-Key' => $key) : ());

    return $node->request(POST => "kv/$path", headers => \%headers, %opt);
}


sub test_once {
    my ($adapter) = @_;

    my $node = Mesh::Test::Storage->new(
        adapter  => $adapter,
        location => 'mesh_storage_once_time 3s;')->start;

    test_repeat($node);
    test_others($node);
    test_race($node);
    test_refusals($node);
    test_restart($node);
    test_end($node);

    $node->stop;

    return;
}


sub test_repeat {
    my ($node) = @_;

    my $first = incr($node, 'n/a?op=incr&by=3', 'one');

    is($first->json->{value}, 3, 'the first is done');
    is($first->header('Idempotent-Replayed'), undef, 'and not a repeat');

    incr($node, 'n/a?op=incr');

    my $again = incr($node, 'n/a?op=incr&by=3', 'one');

    is($again->status, $first->status, 'the second has its status');
    is($again->body, $first->body, 'and its body, whatever came between');
    is($again->header('ETag'), $first->header('ETag'), 'and its ETag');
    is($again->header('Idempotent-Replayed'), 'true', 'and says so');
    is($node->get('kv/n/a')->body, '4', 'nothing was added again');

    is(incr($node, 'n/a?op=incr&by=3', '"one"')->body, $first->body,
       'the key may be in quotes, as structured fields want it');

    return;
}


sub test_others {
    my ($node) = @_;

    my $first = incr($node, 'n/b?op=incr', 'two');

    for my $case ([ 'n/b?op=incr&by=2' ], [ 'n/c?op=incr' ], [ 'm/b?op=incr' ],
                  [ 'n/b?op=incr', body => 'x' ],
                  [ 'n/b?op=incr', headers => { 'Content-Type' => 'a/b' } ])
    {
        my ($path, %opt) = @$case;
        my $reply = incr($node, $path, 'two', %opt);

        is($reply->status, 422, "the key is refused for $path"
                                . join ' ', '', sort keys %opt);
        is($reply->json->{error}, 'key-reused', '... and the problem says so');
    }

    is($node->get('kv/n/b')->body, '1', 'nothing of this was done');

    my $token = $node->token(name => 'eve');

    is(incr($node, 'n/b?op=incr', 'two', token => $token)->json->{value}, 2,
       'the key of another holder is another key');

    return;
}


# Those that are sent while the first is under way.

sub test_race {
    my ($node) = @_;

    my @pending = map {
        $node->begin(POST => 'kv/n/race?op=incr',
                     headers => { 'Idempotency-Key' => 'race' })
    } 1 .. 20;

    my %bodies = map { $_->reply->body => 1 } @pending;

    is(scalar keys %bodies, 1, 'twenty at once get one answer');
    is($node->get('kv/n/race')->body, '1', 'and count once');

    @pending = map {
        $node->begin(POST => 'kv/n/new?op=incr',
                     headers => { 'Idempotency-Key' => 'new',
                                  'If-None-Match' => '*' })
    } 1 .. 20;

    is((grep { $_->reply->status == 200 } @pending), 20,
       'a condition that the first made untrue refuses none of them');

    return;
}


sub test_refusals {
    my ($node) = @_;

    is(incr($node, 'n/a?op=incr', $_)->status, 400,
       'a key of ' . length($_) . ' characters is refused')
        for '', 'x' x 256, "\xc3\xa4", '""';
    is(incr($node, 'n/a?op=incr', 'x' x 255)->status, 200,
       'a key of 255 is not');

    my $reply = $node->request(
        POST => 'kv/n/a?op=incr',
        headers => [ 'Idempotency-Key' => 'x', 'Idempotency-Key' => 'y' ]);

    is($reply->status, 400, 'nor are two keys taken');


    # what failed was not done: the key is still free

    $node->put('kv/n/word', 'many');

    is(incr($node, 'n/word?op=incr', 'word')->status, 409,
       'a refusal is answered');

    $node->put('kv/n/word', '5');

    is(incr($node, 'n/word?op=incr', 'word')->json->{value}, 6,
       'and is not kept: the same key can be tried again');

    return;
}


sub test_restart {
    my ($node) = @_;

    my $first = incr($node, 'n/kept?op=incr', 'kept');

    $node->stop;
    $node->start;

    is(incr($node, 'n/kept?op=incr', 'kept')->body, $first->body,
       'an answer outlives a restart');

    return;
}


sub test_end {
    my ($node) = @_;

    is(incr($node, 'n/end?op=incr', 'end')->json->{value}, 1,
       'a key is used');

    my $value = $node->wait_for(sub {
        my $n = incr($node, 'n/end?op=incr', 'end')->json->{value};
        $n > 1 ? $n : 0;
    }, 20, 'the end of a key');

    is($value, 2, 'after its time it is another one');

    return;
}
