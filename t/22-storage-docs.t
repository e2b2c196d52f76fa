#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Documents: made, read, replaced, patched (RFC 7396) and deleted, under the
# conditions of RFC 9110 and preferences of RFC 7240, by whoever may.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my %patch = ('Content-Type' => 'application/merge-patch+json');

for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;

    my $put = $node->put('docs/n/c/a', '{"x":1,"y":{"z":[1,2]}}');

    is($put->status, 201, "$adapter: a document is created");
    is($put->header('Location'), '/api/storage/docs/n/c/a', 'and located');
    is($put->json->{id}, 'a', 'its id is told');
    is($put->json->{key}, 'c/a', 'and its key');
    is($put->json->{etag}, $put->header('ETag'), 'and its ETag');

    my $get = $node->get('docs/n/c/a');

    is($get->status, 200, 'it is there');
    is($get->body, '{"x":1,"y":{"z":[1,2]}}', 'as it was written');
    is($get->header('ETag'), $put->header('ETag'), 'with its ETag');
    is($get->header('Content-Type'), 'application/json', 'as JSON');
    is($node->head('docs/n/c/a')->status, 200, 'HEAD says so');
    is($node->get('docs/n/c/a', headers => {
           'If-None-Match' => $put->header('ETag') })->status, 304,
       'who has it is not sent it again');
    is($node->get('docs/n/c/none')->status, 404, 'another is not there');

    my $patched = $node->patch('docs/n/c/a', '{"x":null,"w":"new"}',
                               headers => { %patch,
                                            'If-Match' => $get->header('ETag'),
                                            Prefer =>
                                                'return=representation' });

    is($patched->status, 200, "$adapter: it is patched");
    is($patched->body, '{"y":{"z":[1,2]},"w":"new"}', 'and shown');
    is($patched->header('Preference-Applied'), 'return=representation',
       'as was preferred');
    is($node->get('docs/n/c/a')->body, '{"y":{"z":[1,2]},"w":"new"}',
       'so it stays');

    my $late = $node->patch('docs/n/c/a', '{"w":1}', headers => {
        %patch, 'If-Match' => $get->header('ETag') });

    is($late->status, 412, 'a patch of what has changed is refused');
    is($late->json->{currentEtag}, $patched->header('ETag'),
       'with what is there now');
    is($node->patch('docs/n/c/none', '{}', headers => \%patch)->status, 404,
       'what is absent is not patched');
    is($node->patch('docs/n/c/a', '{}')->status, 415,
       'nor by another media type');
    is($node->put('docs/n/c/a', '{}', headers => { 'If-None-Match' => '*' })
            ->status, 412, 'what is there is not created');
    is($node->put('docs/n/c/b', '{}', headers => { 'If-Match' => '*' })
            ->status, 412, 'what is absent is not replaced');

    my $minimal = $node->put('docs/n/c/a', '{"x":2}', headers => {
        Prefer => 'return=minimal' });

    is($minimal->status, 204, "$adapter: it is replaced without a word");
    ok($minimal->header('ETag'), 'but with its ETag');

    my $till = $node->put('docs/n/c/a', '{"x":3}', headers => {
        'Expires-After' => 1000 });

    like($till->header('Expires-At'), qr/^\d{4}-.*Z$/, 'it may have an end');
    is($node->patch('docs/n/c/a', '{"y":1}', headers => \%patch)
            ->header('Expires-At'), $till->header('Expires-At'),
       'that a patch keeps');
    is($node->get('docs/n/c/a')->header('Expires-At'),
       $till->header('Expires-At'), 'and a reader sees');

    is($node->del('docs/n/c/a', headers => { 'If-Match' => '"1"' })->status,
       412, "$adapter: another state of it is not deleted");
    is($node->del('docs/n/c/a')->status, 204, 'it is deleted');
    is($node->get('docs/n/c/a')->status, 404, 'and gone');
    is($node->del('docs/n/c/a')->status, 404, 'once');

    $node->put('docs/n/c/soon', '{"x":1}', headers => {
        'Expires-After' => 1 });

    ok($node->wait_for(sub {
           $node->get('docs/n/c/soon')->status == 404 }, 10),
       'one with an end goes by itself');

    my $new = $node->post('docs/n/c', '{"made":true}', headers => {
        'Idempotency-Key' => 'once' });
    my $id = $new->json->{id};

    is($new->status, 201, "$adapter: a new one gets an id");
    like($id, qr/^[0-9a-hjkmnp-tv-z]{26}$/, 'that sorts by time');
    is($new->header('Location'), "/api/storage/docs/n/c/$id",
       'and is located');
    is($node->get("docs/n/c/$id")->body, '{"made":true}', 'and is there');
    is($node->get("docs/n/c/$id")->header('ETag'), $new->header('ETag'),
       'under that ETag');

    my $again = $node->post('docs/n/c', '{"made":true}', headers => {
        'Idempotency-Key' => 'once' });

    is($again->status, 201, 'the same request again is answered');
    is($again->body, $new->body, 'as before');
    is($node->post('docs/n/c', '{"made":false}', headers => {
           'Idempotency-Key' => 'once' })->status, 422,
       'another under its key is not');

    my $mine = $node->post('docs/n/c', '{"own":1}', headers => {
        Prefer => 'return=representation' });

    is($mine->body, '{"own":1}', 'a new one may be shown');

    for my $case (
        [ 'no JSON', '{"a":', 400 ], [ 'no object', '[1]', 400 ],
        [ 'a key twice', '{"a":1,"\u0061":2}', 400 ],
        [ 'NaN', '{"a":NaN}', 400 ], [ 'bad UTF-8', "{\"a\":\"\xff\"}", 400 ],
        [ '65 levels', '{"a":' x 65 . '1' . '}' x 65, 400 ],
        [ 'more than fits', '{"a":"' . 'x' x 1_050_000 . '"}', 413 ],
    ) {
        my ($what, $body, $status) = @$case;

        is($node->put('docs/n/c/bad', $body)->status, $status,
           "$adapter: $what is refused");
    }

    is($node->put('docs/n/c/deep', '{"a":' x 64 . '1' . '}' x 64)->status,
       201, '64 levels are taken');

    my $half = '{"%s":"' . 'x' x 600_000 . '"}';

    $node->put('docs/n/c/large', sprintf $half, 'a');

    my $large = $node->patch('docs/n/c/large', sprintf($half, 'b'),
                             headers => \%patch);

    is($large->status, 413, 'a patch that makes it too large is refused');
    is($large->json->{limit}, 1048576, 'and says the limit');

    for my $path ('query', 'indexes/a/b', 'x%01', 'i' x 129, 'a/b') {
        is($node->put("docs/n/c/$path", '{}')->status >= 400, 1,
           "\"$path\" is no id");
    }

    is($node->put('docs/n/' . 'c' x 65 . '/a', '{}')->status, 400,
       'a collection has at most 64 bytes');
    is($node->put('docs/n/c/' . 'i' x 128, '{}')->status, 201,
       'an id has 128');
    is($node->put('docs/n/%C3%A9/%F0%9F%98%80', '{}')->status, 201,
       'names are UTF-8');
    is($node->get('docs/n/c/a', token => undef)->status, 401,
       'nothing goes without a token');

    my $reader = $node->token(name => 'bob', can => ['read'], ns => 'n');
    my $writer = $node->token(name => 'eve', can => ['write'], ns => 'n');
    my $other = $node->token(name => 'kim', ns => 'm');
    my $own = $node->token(name => 'joe', ns => 'n',
                           key_prefix => 'c/joe-');

    $node->put('docs/n/c/s', '{"secret":1}');

    is($node->get('docs/n/c/s', token => $reader)->status, 200,
       "$adapter: who may read reads");
    is($node->put('docs/n/c/s', '{}', token => $reader)->status, 403,
       'and does not write');
    is($node->get('docs/n/c/s', token => $writer)->status, 404,
       'who may write does not see');
    is($node->patch('docs/n/c/s', '{"w":1}', token => $writer,
                    headers => { %patch, Prefer => 'return=representation' })
            ->body =~ /secret/ ? 1 : 0, 0,
       'not by the answer to a patch either');
    is($node->del('docs/n/c/never', token => $writer)->status, 204,
       'nor whether there was one to delete');
    is($node->get('docs/n/c/s', token => $other)->status, 404,
       'another namespace does not open it');
    is($node->put('docs/n/c/joe-1', '{}', token => $own)->status, 201,
       'a key prefix opens what begins with it');
    is($node->put('docs/n/c/s', '{}', token => $own)->status, 403,
       'and nothing else');
    is($node->request(OPTIONS => 'docs/n/c/s')->header('Allow'),
       'GET, HEAD, PUT, PATCH, DELETE, OPTIONS', 'methods are told');

    $node->put('docs/n/zoo/a', '{}');
    $node->put('docs/n/zoo-2/a', '{}');

    my ($names) = $node->list('docs/n?limit=2');

    is_deeply([ map { $_->{name} } @$names ],
              [ 'c', 'zoo-2', 'zoo', "\x{e9}" ],
              "$adapter: the collections are listed, page by page");
    is_deeply($node->get('docs/empty')->json, { items => [] },
              'of a namespace that has none, none');

    my $changes = $node->get('changes/n?limit=1000')->json;
    my ($made) = grep { $_->{key} eq "c/$id" } @{ $changes->{changes} };

    is($made->{kind}, 'docs', 'a change is told');
    is($made->{op}, 'put', 'with what was done');
}

done_testing;
