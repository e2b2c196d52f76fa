#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Keys with an end: it is decided when they are read, whatever the sweep does,
# and says so in the feed.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub { test_ttl($adapter) };
}

done_testing;


sub put {
    my ($node, $key, $seconds, %headers) = @_;

    return $node->put("kv/n/$key", 'x',
                      headers => { 'Expires-After' => $seconds, %headers });
}


sub test_ttl {
    my ($adapter) = @_;

    my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;

    my $reply = put($node, 'long', 3600);

    like($reply->header('Expires-At'),
         qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
         'the answer says when the key ends');
    is($node->get('kv/n/long')->header('Expires-At'),
       $reply->header('Expires-At'), 'and so does a read');

    my ($items) = $node->list('kv/n');

    is($items->[0]{expiresAt}, $reply->header('Expires-At'),
       'and the listing');
    ok($node->put('kv/n/long', 'x')->header('ETag')
       && !$node->get('kv/n/long')->header('Expires-At'),
       'a value that is put without an end has none');


    # a key that ended

    put($node, 'short', 1);

    is($node->get('kv/n/short')->status, 200, 'a key is there until its end');

    $node->wait_for(sub { $node->get('kv/n/short')->status == 404 }, 10,
                    'the end of a key');

    is($node->head('kv/n/short')->status, 404, 'after it HEAD finds nothing');

    ($items) = $node->list('kv/n');

    is_deeply([ map { $_->{key} } @$items ], ['long'],
              'nor does the listing');
    is(put($node, 'short', 1, 'If-Match' => '*')->status, 412,
       'for conditions it is not there');
    is(put($node, 'short', 3600, 'If-None-Match' => '*')->status, 201,
       'and can be created');


    # a counter

    $node->request(POST => 'kv/n/count?op=incr&by=5',
                   headers => { 'Expires-After' => 1 });

    is($node->post('kv/n/count?op=incr')->json->{value}, 6,
       'a counter with an end counts');

    $node->wait_for(sub { $node->get('kv/n/count')->status == 404 }, 10,
                    'the end of a counter');

    is($node->post('kv/n/count?op=incr')->json->{value}, 1,
       'and begins anew after it');


    # the feed

    put($node, 'gone', 1);

    my $change = $node->wait_for(sub {
        my $feed = $node->get('changes/n?since=0&limit=1000')->json;

        (grep { $_->{key} eq 'gone' && $_->{op} eq 'delete' }
              @{ $feed->{changes} })[0];
    }, 90, 'the change of a key that ended');

    is($change->{reason}, 'ttl',
       'a key that ended is told of in the feed, and why it went');

    $node->stop;

    return;
}
