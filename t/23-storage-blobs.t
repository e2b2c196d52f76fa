#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Blobs come back as they were put, small ones and large ones, with conditions
# by their content and a digest that is checked (RFC 9110, RFC 9530).

use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


sub digest { return 'sha-256=:' . encode_base64(sha256($_[0]), '') . ':' }
sub etag   { return '"' . sha256_hex($_[0]) . '"' }

sub bytes {
    my ($size, $seed) = @_;

    my $block = join '', map { sha256_hex("$seed $_") } 1 .. 64;

    return substr $block x (1 + $size / length $block), 0, $size;
}


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(
        adapter => $adapter, location => 'mesh_storage_blob_size 4m;')->start;

    for my $size (0, 1, 16384, 16385, 65536, 65537, 1_000_000) {
        my $bytes = bytes($size, $size);
        my $put = $node->put("blobs/notes/of/$size", $bytes,
                             headers => { 'Content-Type' => 'text/x-test' });

        is($put->status, 201, "$adapter: a blob of $size bytes is created");
        is($put->header('ETag'), etag($bytes), 'its ETag is its hash');
        is($put->header('Repr-Digest'), digest($bytes), 'so is its digest');

        my $get = $node->get("blobs/notes/of/$size");

        is($get->status, 200, 'it is there');
        ok($get->body eq $bytes, 'all its bytes come back');
        is($get->header('Content-Length'), $size, 'with their number');
        is($get->header('Content-Type'), 'text/x-test', 'and their type');
        is($get->header('ETag'), etag($bytes), 'and their hash');
        is($get->header('Repr-Digest'), digest($bytes), 'and their digest');
    }

    my $get = $node->get('blobs/notes/of/65537');

    is($get->header('X-Content-Type-Options'), 'nosniff',
       "$adapter: nobody guesses its type");
    is($get->header('Content-Security-Policy'), 'sandbox',
       'it never runs as a page of ours');
    is($get->header('Cache-Control'), 'private, no-cache',
       'no cache gives it to others');
    is($get->header('Content-Disposition'), undef, 'it is shown');

    is($node->get('blobs/notes/of/65537?download=1')
            ->header('Content-Disposition'), 'attachment',
       'or saved, when that is asked');

    $node->put('blobs/notes/named', 'x', headers => {
        'Content-Disposition' => 'attachment; filename="a.txt"' });
    is($node->get('blobs/notes/named')->header('Content-Disposition'),
       'attachment; filename="a.txt"', 'a name that was told is kept');

    my $head = $node->head('blobs/notes/of/65537');

    is($head->status, 200, "$adapter: HEAD tells of it");
    is($head->header('Content-Length'), 65537, 'with its length');
    is($head->body, '', 'and no body');

    is($node->get('blobs/notes/none')->status, 404,
       "$adapter: what is not there is not found");


    # conditions

    my ($old, $new) = (bytes(70_000, 'old'), bytes(80_000, 'new'));

    is($node->put('blobs/notes/c', $old, headers => {
           'If-None-Match' => '*' })->status, 201,
       "$adapter: a blob is created when it was not there");

    my $again = $node->put('blobs/notes/c', $new, headers => {
        'If-None-Match' => '*' });

    is($again->status, 412, 'and is not written over');
    is($again->json->{currentEtag}, etag($old), 'its ETag is told');

    is($node->put('blobs/notes/c', $new, headers => {
           'If-Match' => etag($new) })->status, 412,
       'nor when another was expected');
    is($node->put('blobs/notes/c', $new, headers => {
           'If-Match' => etag($old) })->status, 204,
       'but when this one was');
    ok($node->get('blobs/notes/c')->body eq $new, 'then it is the new one');
    is($node->put('blobs/notes/nowhere', $new, headers => {
           'If-Match' => '*' })->status, 412,
       'nothing is no match');

    is($node->get('blobs/notes/c', headers => {
           'If-None-Match' => etag($new) })->status, 304,
       "$adapter: a client that has it is told so");
    is($node->get('blobs/notes/c', headers => {
           'If-None-Match' => '"x", W/' . etag($new) })->status, 304,
       'in a list, weakly, too');
    is($node->get('blobs/notes/c', headers => {
           'If-None-Match' => etag($old) })->status, 200,
       'one that has another gets it');
    is($node->get('blobs/notes/c', headers => {
           'If-Match' => etag($old) })->status, 412,
       'one that wants another is told that there is none');


    # digests

    my $wrong = $node->put('blobs/notes/d', $new,
                           headers => { 'Repr-Digest' => digest($old) });

    is($wrong->status, 400, "$adapter: other bytes than told are refused");
    is($wrong->json->{error}, 'digest-mismatch', 'as that');
    is($node->get('blobs/notes/d')->status, 404, 'and are not kept');
    is($node->put('blobs/notes/d', 'few', headers => {
           'Repr-Digest' => digest('fuw') })->status, 400,
       'also when they are few');
    is($node->put('blobs/notes/d', $new, headers => {
           'Repr-Digest' => 'sha-512=:AAAA:, ' . digest($new) })->status, 201,
       'the right ones are taken');
    is($node->put('blobs/notes/d', $new, headers => {
           'Repr-Digest' => 'sha-256=:AAAA:' })->status, 400,
       'a digest that is none is refused');


    # answers

    my $full = $node->put('blobs/notes/p', $old, headers => {
        'Prefer' => 'return=representation', 'Content-Type' => 'a/b',
        'Expires-After' => 1000 });

    is($full->status, 201, "$adapter: the answer may tell all");
    is($full->json->{key}, 'p', 'the name');
    is($full->json->{size}, 70_000, 'the size');
    is($full->json->{etag}, etag($old), 'the ETag');
    is($full->json->{contentType}, 'a/b', 'the type');
    like($full->json->{expiresAt}, qr/^\d{4}-/, 'until when it is kept');
    is($node->get('blobs/notes/p')->header('Expires-At'),
       $full->json->{expiresAt}, 'which reading tells too');

    my $large = $node->put('blobs/notes/l', bytes(4 * 1024 * 1024 + 1, 'l'));

    is($large->status, 413, "$adapter: more than the limit is refused");
    is($large->json->{limit}, 4 * 1024 * 1024, 'and the limit told');


    # lists

    my ($items, $pages) = $node->list('blobs/notes?limit=3');

    is(scalar @$items, 11, "$adapter: all are listed");
    is($pages, 4, 'page by page');
    is_deeply([ map { $_->{key} } @$items ],
              [ sort map { $_->{key} } @$items ], 'in the order of names');

    ($items) = $node->list('blobs/notes?prefix=of/6');
    is_deeply([ map { $_->{key} } @$items ], [ 'of/65536', 'of/65537' ],
              'or those with a prefix');


    # the end

    is($node->del('blobs/notes/c', headers => {
           'If-Match' => etag($old) })->status, 412,
       "$adapter: another one is not removed");
    is($node->del('blobs/notes/c', headers => {
           'If-Match' => etag($new) })->status, 204, 'this one is');
    is($node->get('blobs/notes/c')->status, 404, 'and has gone');
    is($node->del('blobs/notes/c')->status, 404, 'once');

    is($node->post('blobs/notes/c', 'x')->status, 405,
       'a blob takes no POST');
    is($node->put('blobs/notes/' . 'n' x 513, 'x')->status, 400,
       'a name has a length');
}

done_testing();
