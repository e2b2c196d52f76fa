#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Lists of keys: in their order, between bounds, page by page by cursors that
# are worth nothing to others or for another list.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub { test_lists($adapter) };
}

done_testing;


sub keys_of {
    my ($node, $path, %opt) = @_;

    my ($items) = $node->list($path, %opt);

    return join ' ', map { $_->{key} } @$items;
}


sub test_lists {
    my ($adapter) = @_;

    my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;

    test_empty($node);

    $node->put("kv/n/$_", "value of $_", headers => {
        'Content-Type' => 'text/plain' }) for qw(b a c/1 c/2 c/3 d Z %C3%A4);

    test_order($node);
    test_items($node);
    test_pages($node);
    test_cursors($node);
    test_refusals($node);
    test_removal($node);

    $node->stop;

    return;
}


sub test_empty {
    my ($node) = @_;

    is_deeply($node->get('kv/n')->json, { items => [] },
              'a namespace that nobody used is an empty list');
    is($node->head('kv/n')->header('ETag'), '"0"', 'at the beginning');

    return;
}


sub test_order {
    my ($node) = @_;

    my $all = 'Z a b c/1 c/2 c/3 d ' . "\x{e4}";

    is(keys_of($node, 'kv/n'), $all, 'keys come in the order of their bytes');
    is(keys_of($node, 'kv/n?order=asc'), $all, 'as "asc" has it');
    is(keys_of($node, 'kv/n?order=desc'), join(' ', reverse split / /, $all),
       'or the other way');
    is(keys_of($node, 'kv/n?prefix=c/'), 'c/1 c/2 c/3', 'below a prefix');
    is(keys_of($node, 'kv/n?start=b&end=c/3'), 'b c/1 c/2',
       'from one key on, below another');
    is(keys_of($node, 'kv/n?start=b&end=c/3&order=desc'), 'c/2 c/1 b',
       'bounds do not turn with the order');
    is(keys_of($node, 'kv/n?prefix=c/&start=c/2'), 'c/2 c/3',
       'bounds and prefix both hold');
    is(keys_of($node, 'kv/n?start=z&end=b'), '',
       'between turned bounds is nothing');
    is(keys_of($node, 'kv/n?prefix=%25'), '', 'a prefix is no pattern');

    return;
}


sub test_items {
    my ($node) = @_;

    my $item = $node->get('kv/n?prefix=d')->json->{items}[0];

    like(delete $item->{updatedAt},
         qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
         'an item says when it was written');
    is_deeply($item, { key => 'd', etag => '"6"', seq => 6, size => 10,
                       contentType => 'text/plain' },
              'and what it is, without its value');
    is($node->get('kv/n/d')->header('ETag'), '"6"', 'its ETag is that of GET');

    $item = $node->get('kv/n?prefix=d&values=1')->json->{items}[0];

    is($item->{value}, 'value of d', 'a value that is text comes as text');

    $node->put('kv/bin/x', "\xff\x00\x01");

    $item = $node->get('kv/bin?values=1')->json->{items}[0];

    is($item->{base64}, '/wAB', 'other bytes come as base64');
    ok(!exists $item->{value}, 'and not as text');

    $node->put('kv/nul/x', "a\0b\"\\\n");

    is($node->get('kv/nul?values=1')->json->{items}[0]{value}, "a\0b\"\\\n",
       'whatever the text holds');

    return;
}


sub test_pages {
    my ($node) = @_;

    for my $limit (1 .. 8) {
        my ($items, $pages) = $node->list("kv/n?limit=$limit");

        is(scalar @$items, 8, "pages of $limit show every key once");
        is($pages, int((8 + $limit - 1) / $limit), '... in so many pages');
    }

    is(keys_of($node, 'kv/n?limit=2&order=desc&prefix=c/'), 'c/3 c/2 c/1',
       'backwards, too');

    my $reply = $node->get('kv/n?limit=3&prefix=c&values=1');
    my $next = $node->get('kv/n?limit=2');
    my ($link) = $next->header('Link') =~ /^<(\S+)>; rel="next"$/;

    ok(!exists $reply->json->{next}, 'the last page has no next');
    is($reply->header('Link'), undef, 'nor a link');
    is_deeply($node->get($link)->json,
              $node->get('kv/n?limit=2&cursor=' . $next->json->{next})->json,
              'the link is the next page');


    # keys that come and go between pages

    my $cursor = $node->get('kv/n?limit=3')->json->{next};

    $node->put('kv/n/aa', 'x');
    $node->del('kv/n/b');

    is(join(' ', map { $_->{key} }
            @{ $node->get("kv/n?limit=2&cursor=$cursor")->json->{items} }),
       'c/1 c/2', 'a place stays where it is');

    $node->put('kv/n/b', 'x');
    $node->del('kv/n/aa');


    # large values

    $node->put("kv/large/$_", 'x' x 600000) for 1 .. 4;

    my ($items, $pages) = $node->list('kv/large?values=1');

    is(scalar @$items, 4, 'large values come all');
    is($pages, 4, 'on pages of their own');

    return;
}


sub test_cursors {
    my ($node) = @_;

    my $cursor = $node->get('kv/n?limit=2')->json->{next};

    is($node->get("kv/n?limit=5&values=1&cursor=$cursor")->status, 200,
       'a cursor goes on with pages of another size');

    my %other = (
        'another namespace' => "kv/m?cursor=$cursor",
        'another prefix'    => "kv/n?prefix=c&cursor=$cursor",
        'another start'     => "kv/n?start=a&cursor=$cursor",
        'another order'     => "kv/n?order=desc&cursor=$cursor");

    for my $what (sort keys %other) {
        my $reply = $node->get($other{$what});

        is($reply->status, 400, "it is nothing for $what");
        is($reply->json->{error}, 'invalid-cursor', '... and called so');
    }

    is($node->get("kv/n?cursor=$cursor",
                  token => $node->token(name => 'eve'))->status, 400,
       'nor for another holder');
    is($node->get("kv/n?cursor=$cursor",
                  token => $node->token(name => 'owner'))->status, 200,
       'a new token of the same holder may use it');

    my @bent = map {
        my $bent = $cursor;
        substr($bent, $_, 1) = substr($bent, $_, 1) eq 'A' ? 'B' : 'A';
        $bent;
    } 0 .. length($cursor) - 1;

    is((grep { $node->get("kv/n?cursor=$_")->status != 400 } @bent), 0,
       'one that was changed anywhere is refused');
    is($node->get("kv/n?cursor=$_")->status, 400, "\"$_\" is no cursor")
        for '', 'x', 'x' x 1000, '%00', substr($cursor, 1);

    return;
}


sub test_refusals {
    my ($node) = @_;

    for my $query ('limit=0', 'limit=1001', 'limit=-1', 'limit=x', 'limit=',
                   'values=2', 'order=up', 'prefix=' . 'x' x 513,
                   'prefix=%ff', 'start=%', 'end=%00')
    {
        is($node->get("kv/n?$query")->status, 400,
           substr($query, 0, 20) . ' is refused');
    }

    is($node->get('kv/n?limit=1000')->status, 200, 'a page has 1000 at most');
    is($node->post('kv/n', 'x')->status, 405, 'a list cannot be posted to');

    return;
}


sub test_removal {
    my ($node) = @_;

    is($node->del('kv/n?prefix=c/')->status, 428,
       'a prefix is not removed without a condition');
    is($node->del('kv/n', headers => { 'If-Match' => '"1"' })->status, 400,
       'nor a namespace without a prefix');
    is($node->del('kv/n?prefix=c/',
                  headers => { 'If-Match' => '*' })->status, 428,
       'whatever is there is no condition here');

    my $reply = $node->del('kv/n?prefix=c/',
                           headers => { 'If-Match' => '"1"' });

    is($reply->status, 412, 'nor when something happened since');

    my $etag = $reply->json->{currentEtag};

    is($etag, $node->head('kv/n')->header('ETag'),
       'the problem has the ETag of the namespace');

    $reply = $node->del('kv/n?prefix=c/', headers => { 'If-Match' => $etag });

    is_deeply([ @{ $reply->json }{qw(deleted left)} ], [ 3, 0 ],
              'with it the keys are removed');
    is(keys_of($node, 'kv/n'), "Z a b d \x{e4}", 'and no others');
    is($reply->header('ETag'), $node->head('kv/n')->header('ETag'),
       'the answer has the next ETag');

    $reply = $node->del('kv/n?prefix=c/',
                        headers => { 'If-Match' => $reply->header('ETag') });

    is_deeply([ @{ $reply->json }{qw(deleted left)} ], [ 0, 0 ],
              'nothing can be removed, too');

    return;
}
