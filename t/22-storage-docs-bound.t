#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What one request reads without an index is bounded, and said; with one,
# pages follow it in either direction, over several ranges.

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

    $node->fill('big', map { { n => $_, m => $_ % 10, s => "v$_" } }
                       0 .. 1199);

    my $scan = $node->query('big', { filter => { m => 11 } });

    is($scan->status, 422, "$adapter: too many to look at each");
    is($scan->json->{error}, 'unindexed-filter', 'is said');
    is($scan->json->{field}, 'm', 'of which field');
    is($scan->json->{limit}, 1000, 'and how many');
    is($node->query('big', { sort => ['-s'] })->json->{field}, 's',
       'a sort too');
    is($node->ids('big', { filter => { n => { gte => 500 } }, limit => 2 }),
        '00500 00501',
       'a page that is soon full is served');

    my ($list, $pages) = $node->pages('big', { limit => 500 });

    is(scalar split(' ', $list), 1200, 'all are listed without a filter');

    my $count = $node->query('big', { limit => 1, count => TRUE })
             ->json;

    ok(!$count->{countComplete}, 'a count of more than that');
    is($count->{count}, 1000, 'says how far it came');

    $node->put('docs/n/big/indexes/m', { fields => [ 'm', 'n' ] });
    ok($node->index_ready('big', 'm'), 'an index is made');

    is($node->query('big', { filter => { m => 11 } })->status, 200,
       "$adapter: with it nothing is too much");

    ($list, $pages) = $node->pages('big', { filter => { m => 7 },
        limit => 50 });
    is($list, join(' ', map { sprintf '%05d', $_ * 10 + 7 } 0 .. 119),
       'pages follow the index');
    is($pages, 3, 'three of them');

    ($list, $pages) = $node->pages('big', { filter => { m => { in => [ 9, 1,
        9 ] },
                                                 s => { prefix => 'v11' } },
                                     sort => [ '-m', '-n' ], limit => 5 });
    is($list, join(' ', map { sprintf '%05d', $_ } (
           reverse(grep { /^0*11/ && $_ % 10 == 9 } 0 .. 1199),
           reverse(grep { /^0*11/ && $_ % 10 == 1 } 0 .. 1199))),
       'several ranges, from the end, with what the index does not know');

    ($list) = $node->pages('big', { filter => { m => 3 }, sort => ['s'],
                             limit => 7 });
    is($list, join(' ', map { sprintf '%05d', $_ }
                   sort { "v$a" cmp "v$b" }
                   grep { $_ % 10 == 3 } 0 .. 1199),
       'what it finds may be sorted');

    my $page = $node->query('big', { filter => { m => 7 }, limit => 5 })
            ->json;
    $node->del('docs/n/big/indexes/m');
    is($node->query('big', { filter => { m => 7 }, limit => 5,
                      cursor => $page->{next} })
           ->json->{error}, 'invalid-cursor',
       'a cursor ends with its index');
}

done_testing;
