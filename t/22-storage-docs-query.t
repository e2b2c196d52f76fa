#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Queries: what filters, sorts, fields and counts mean, and that pages lose
# nothing (storage API, query).

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Docs;

use constant {
    TRUE  => JSON::PP::true,
    FALSE => JSON::PP::false,
};


for my $adapter (Mesh::Test::Docs->adapters) {
    my $node = Mesh::Test::Docs->new(adapter => $adapter)->start;

    $node->put('docs/n/c/a', { n => 1, s => 'x', o => { p => [1], q => 5 } });
    $node->put('docs/n/c/b', { n => 2, s => 'y', t => TRUE });
    $node->put('docs/n/c/d', { n => 'two', z => undef });
    $node->put('docs/n/c/e', { n => 3, s => 'x', 'a.b' => 1 });

    my $all = $node->get('docs/n/c')->json;

    is(join(' ', map { $_->{id} } @{ $all->{items} }), 'a b d e',
       "$adapter: a collection is listed by id");
    is_deeply($all->{items}[0]{value},
              { n => 1, s => 'x', o => { p => [1], q => 5 } },
              'with its documents');
    like($all->{items}[0]{etag}, qr/^"\d+"$/, 'their ETags');
    is($all->{items}[0]{etag}, '"' . $all->{items}[0]{seq} . '"',
       'and seqs');

    my $get = $node->get('docs/n/c?filter=%7B%22n%22%3A%7B%22gte%22%3A2%7D%7D'
                         . '&sort=-n&fields=n&limit=2');

    is_deeply([ map { [ $_->{id}, $_->{value} ] } @{ $get->json->{items} } ],
              [ [ d => { n => 'two' } ], [ e => { n => 3 } ] ],
              'arguments ask as a body does');
    like($get->header('Link'), qr/cursor=.*rel="next"/, 'and link on');

    my ($link) = $get->header('Link') =~ /<([^>]+)>/;

    is_deeply([ map { $_->{id} } @{ $node->get($link)->json->{items} } ],
              [ 'b' ], 'to the rest');

    for my $case (
        [ { n => 2 }, 'b' ],
        [ { n => { gt => 1 } }, 'b d e' ],
        [ { n => { gt => 1, lt => '' } }, 'b e' ],
        [ { s => { prefix => 'x' } }, 'a e' ],
        [ { s => { exists => FALSE } }, 'd' ],
        [ { z => undef }, 'd' ],
        [ { n => { in => [ 1, 'two' ] } }, 'a d' ],
        [ { 'o.q' => 5 }, 'a' ],
        [ { 'o.p' => { exists => TRUE } }, 'a' ],
        [ { 'a\\.b' => 1 }, 'e' ],
        [ { or => [ { n => 1 }, { t => TRUE } ] }, 'a b' ],
        [ { not => { s => 'x' } }, 'b d' ],
        [ { s => 'x', not => { n => 1 } }, 'e' ],
    ) {
        my ($filter, $want) = @$case;

        is($node->ids('c', { filter => $filter }), $want,
           'found by ' . Mesh::Test->json_encode($filter));
    }

    is_deeply([ map { $_->{value} } @{ $node->query('c',
                    { fields => ['o.q', 'a\\.b', 'none'] })
                    ->json->{items} } ],
              [ { o => { q => 5 } }, {}, {}, { 'a.b' => 1 } ],
              "$adapter: some fields alone are shown");
    is($node->ids('c', { sort => ['s', '-n'] }), 'd e a b',
       'sorted by two fields, what is absent first');
    is($node->ids('c', { sort => ['n'] }), 'a b e d',
       'numbers before strings');

    my $count = $node->query('c', { filter => { s => 'x' }, limit => 1,
                               count => TRUE })->json;

    is($count->{count}, 2, 'all that match are counted');
    ok($count->{countComplete}, 'all of them');
    is(scalar @{ $count->{items} }, 1, 'beyond the page');
    ok($count->{next}, 'which goes on');

    for my $sort ([], ['n'], ['-s', 'n']) {
        for my $limit (1, 2, 3) {
            my ($got) = $node->pages('c', { sort => $sort, limit => $limit });

            is($got, $node->ids('c', { sort => $sort }),
               "by [@$sort], $limit a page, nothing is lost or twice");
        }
    }
}

done_testing;
