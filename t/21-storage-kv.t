#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Keys keep bytes with their Content-Type, count, and end; what is sent back
# runs in no browser as a page of ours (issue 4).

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub { test_kv($adapter) };
}

done_testing;


sub test_kv {
    my ($adapter) = @_;

    my $node = Mesh::Test::Storage->new(
        adapter  => $adapter,
        location => 'mesh_storage_value_size 4k;')->start;

    test_bytes($node);
    test_headers($node);
    test_representation($node);
    test_counters($node);
    test_sizes($node);
    test_methods($node);

    $node->stop;

    return;
}


sub test_bytes {
    my ($node) = @_;

    my $bytes = join '', map { chr } 0 .. 255;
    my $reply = $node->put('kv/n/a/b', $bytes,
                           headers => { 'Content-Type' => 'image/x' });

    is($reply->status, 201, 'a new key is created');
    is($reply->header('ETag'), '"1"', 'its ETag is the first seq');
    is($reply->header('Location'), '/api/storage/kv/n/a/b',
       'Location names it');
    is($reply->body, '', 'and there is nothing else to say');

    $reply = $node->get('kv/n/a/b');

    is($reply->status, 200, 'it can be read');
    is($reply->body, $bytes, 'with every byte');
    is($reply->header('Content-Type'), 'image/x', 'and its Content-Type');
    is($reply->header('ETag'), '"1"', 'and its ETag');

    $reply = $node->put('kv/n/a/b', 'other');

    is($reply->status, 204, 'another value takes its place');
    is($reply->header('ETag'), '"2"', 'at the next seq');
    is($node->get('kv/n/a/b')->header('Content-Type'),
       'application/octet-stream', 'bytes without a type are only bytes');

    $reply = $node->put('kv/n/empty', '');

    is($reply->status, 201, 'nothing at all is a value');

    $reply = $node->get('kv/n/empty');

    is_deeply([ $reply->status, $reply->header('Content-Length'),
                $reply->body ], [ 200, 0, '' ], 'and comes back');

    is($node->del('kv/n/a/b')->status, 204, 'a key can be removed');
    is($node->get('kv/n/a/b')->status, 404, 'and is gone');
    is($node->del('kv/n/a/b')->status, 404, 'and cannot be removed twice');
    is($node->put('kv/n/a/b', 'x')->header('ETag'), '"5"',
       'a key that comes back never has an ETag that it had');

    return;
}


sub test_headers {
    my ($node) = @_;

    $node->put('kv/n/page', '<script>alert(1)</script>',
               headers => { 'Content-Type' => 'text/html' });

    my $reply = $node->get('kv/n/page');

    is($reply->header('Content-Security-Policy'), 'sandbox',
       'a stored page runs in a sandbox');
    is($reply->header('X-Content-Type-Options'), 'nosniff',
       'no browser guesses what it might be');
    is($reply->header('Cache-Control'), 'private, no-cache',
       'no shared cache keeps it, others ask first');

    my $head = $node->head('kv/n/page');

    is($head->status, 200, 'HEAD answers');
    is($head->body, '', 'without the bytes');
    is_deeply([ map { $head->header($_) } qw(ETag Content-Length
                                              Content-Type) ],
              [ map { $reply->header($_) } qw(ETag Content-Length
                                              Content-Type) ],
              'with the headers of GET');
    is($node->head('kv/n/none')->status, 404, 'and 404 where nothing is');

    return;
}


sub test_representation {
    my ($node) = @_;

    my $reply = $node->put('kv/n/rep', 'four',
                           headers => { Prefer => 'return=representation' });
    my $json = $reply->json;

    is($reply->status, 201, 'a representation does not change the status');
    is($reply->header('Preference-Applied'), 'return=representation',
       'and is said to be one');
    is_deeply([ sort keys %$json ], [qw(etag key seq size)],
              'it has what the store made of the value');
    is($json->{etag}, $reply->header('ETag'), 'the ETag among it');

    $reply = $node->put('kv/n/min', 'x',
                        headers => { Prefer => 'return=minimal' });

    is($reply->status, 204, 'the smallest answer is 204, created or not');
    is($reply->header('Preference-Applied'), 'return=minimal',
       'and is said to be it');

    return;
}


sub test_counters {
    my ($node) = @_;

    my $reply = $node->post('kv/n/count?op=incr');

    is($reply->status, 200, 'a counter needs no first value');
    is_deeply($reply->json, { key => 'count', value => 1,
                              seq => $reply->json->{seq},
                              etag => $reply->header('ETag') },
              'it begins with what is added');

    is($node->post('kv/n/count?op=incr&by=41')->json->{value}, 42,
       'more is added');
    is($node->post('kv/n/count?op=incr&by=-50')->json->{value}, -8,
       'or taken away');
    is($node->get('kv/n/count')->body, '-8', 'the value is its text');
    is($node->get('kv/n/count')->header('Content-Type'), 'text/plain',
       'and says so');

    $node->put('kv/n/set', '9223372036854775806');

    is($node->post('kv/n/set?op=incr')->raw =~ /"value":9223372036854775807,/,
       1, 'what was put is counted on, to the largest number');

    $reply = $node->post('kv/n/set?op=incr');

    is($reply->status, 409, 'there is none after it');
    is($reply->json->{error}, 'conflict', 'which is a conflict');

    $node->put('kv/n/word', 'many');

    is($node->post('kv/n/word?op=incr')->status, 409, 'words do not count');
    is($node->get('kv/n/word')->body, 'many', 'and stay as they are');

    for my $query ('', '?op=decr', '?op=incr&by=', '?op=incr&by=1.5',
                   '?op=incr&by=99999999999999999999')
    {
        is($node->post("kv/n/count$query")->status, 400,
           "POST \"$query\" is refused");
    }

    my @pending = map {
        $node->begin(POST => 'kv/n/race?op=incr')
    } 1 .. 20;

    my %seen = map { $_->reply->json->{value} => 1 } @pending;

    is(scalar keys %seen, 20, 'twenty at once get twenty values');

    return;
}


sub test_sizes {
    my ($node) = @_;

    is($node->put('kv/n/large', 'x' x 4096)->status, 201,
       'a value may be as large as the limit');

    my $reply = $node->put('kv/n/large', 'x' x 4097);

    is($reply->status, 413, 'and no larger');
    is_deeply([ @{ $reply->json }{qw(error limit)} ], [ 'too-large', 4096 ],
              'the problem says how large');

    $reply = $node->request(
        PUT => 'kv/n/large', body => "1001\r\n" . 'x' x 4097 . "\r\n0\r\n\r\n",
        headers => { 'Transfer-Encoding' => 'chunked' });

    is($reply->status, 413, 'nor in chunks');
    is(length $node->get('kv/n/large')->body, 4096, 'the old value stays');

    $reply = $node->put('kv/n/typed', 'x',
                        headers => { 'Content-Type' => 'a/' . 'b' x 126 });

    is($reply->status, 400, 'a Content-Type has its limit too');

    return;
}


sub test_methods {
    my ($node) = @_;

    my $reply = $node->request(PATCH => 'kv/n/a', body => '{}');

    is($reply->status, 405, 'keys cannot be patched');
    is($reply->header('Allow'), 'GET, HEAD, PUT, DELETE, POST, OPTIONS',
       'Allow names what can be done');

    $reply = $node->request(OPTIONS => 'kv/n/a');

    is($reply->status, 204, 'OPTIONS asks the same');
    is($reply->header('Allow'), 'GET, HEAD, PUT, DELETE, POST, OPTIONS',
       'and gets the same');

    return;
}
