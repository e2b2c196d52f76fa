#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Queries that are refused, each with its place: no filter makes a node work
# without an end; cursors are bound; what may not be read is not there.

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

    $node->put("docs/n/c/$_", { s => 'x' }) for qw(a b e);

    # what is refused, with its place

    my @bad = (
        [ { filter => { n => { like => 1 } } }, 'invalid-filter',
          '/filter/n/like' ],
        [ { filter => { n => [1] } }, 'invalid-filter', '/filter/n' ],
        [ { filter => { or => [ { n => 1 }, {} ] } }, 'invalid-filter',
          '/filter/or/1' ],
        [ { filter => { 'a/b' => { gt => {} } } }, 'invalid-filter',
          '/filter/a~1b/gt' ],
        [ { filter => 'n' }, 'invalid-filter', '/filter' ],
        [ { filter => { map { ("f$_" => 1) } 1 .. 33 } }, 'invalid-filter',
          undef ],
        [ { filter => { n => { in => [ 1 .. 33 ] } } }, 'invalid-filter',
          '/filter/n/in' ],
        [ { filter => { not => { not => { not => { not => { not =>
            { n => 1 } } } } } } }, 'invalid-filter',
          '/filter/not/not/not/not/not' ],
        [ { filter => { 'x' x 129 => 1 } }, 'invalid-filter', undef ],
        [ { filter => { join('.', 1 .. 9) => 1 } }, 'invalid-filter',
          undef ],
        [ { sort => 'n' }, 'bad-request', '/sort' ],
        [ { sort => [qw(a b c d)] }, 'bad-request', '/sort' ],
        [ { sort => [''] }, 'bad-request', '/sort' ],
        [ { fields => [1] }, 'bad-request', '/fields' ],
        [ { fields => [ 1 .. 33 ] }, 'bad-request', '/fields' ],
        [ { limit => 0 }, 'bad-request', '/limit' ],
        [ { limit => 1001 }, 'bad-request', '/limit' ],
        [ { limit => '5' }, 'bad-request', '/limit' ],
        [ { count => 1 }, 'bad-request', '/count' ],
        [ { offset => 1 }, 'bad-request', '' ],
        [ { cursor => 'x' }, 'invalid-cursor', undef ],
        [ { cursor => '' }, 'invalid-cursor', '/cursor' ],
    );

    for my $case (@bad) {
        my ($query, $slug, $pointer) = @$case;
        my $reply = $node->query('c', $query);
        my $name = substr Mesh::Test->json_encode($query), 0, 60;

        is($reply->json->{error}, $slug, "$adapter: $name is refused");
        is($reply->json->{pointer}, $pointer, 'there')
            if defined $pointer;
    }

    for my $text ('{"filter":{"n":1e999}}', '{"filter":{"n":-1e400}}',
                  '{"filter":{"n":NaN}}', '{"filter":{"n":1,"n":2}}',
                  '{"filter":{"n":1},"f\u0069lter":{}}', '[]', '',
                  '{"filter":' . '{"not":' x 70 . '1' . '}' x 71,
                  '{"filter":{"' . 'n' x 70_000 . '":1}}')
    {
        my $reply = $node->query('c', $text);

        ok($reply->status == 400 || $reply->status == 413,
           substr($text, 0, 40) . ' is refused');
    }

    is($node->get('docs/n/c?filter=%7B%22n')->json->{error},
       'invalid-filter', 'half a filter is none');
    is($node->get('docs/n/c?sort=a,,b')->status, 400, 'nor half a sort');
    is($node->put('docs/n/c', {})->status, 405, 'collections are not put');
    is($node->get('docs/n/c/query')->status, 405, 'queries are posted');

    # cursors are for who asked, for what was asked

    my $page = $node->query('c', { filter => { s => 'x' }, limit => 1 })->json;

    is($node->ids('c', { filter => { s => 'x' }, limit => 1,
                          cursor => $page->{next} }), 'b',
       "$adapter: a cursor goes on");
    is($node->query('c', { filter => { s => 'y' }, cursor => $page->{next} })
           ->json->{error}, 'invalid-cursor', 'not for another filter');
    is($node->query('c', { filter => { s => 'x' }, cursor => $page->{next},
                      sort => ['n'] })->json->{error}, 'invalid-cursor',
       'not in another order');
    is($node->query('other', { filter => { s => 'x' },
                               cursor => $page->{next} })->json->{error},
                                   'invalid-cursor',
       'not in another collection');
    is($node->query('c', { filter => { s => 'x' }, cursor => $page->{next} },
             token => $node->token(name => 'bob', ns => 'n'))
           ->json->{error}, 'invalid-cursor', 'not for another holder');

    my $forged = $page->{next};

    substr($forged, 5, 1) = substr($forged, 5, 1) eq 'A' ? 'B' : 'A';
    is($node->query('c', { filter => { s => 'x' }, cursor => $forged })
           ->json->{error}, 'invalid-cursor', 'and not bent');

    # what may not be read is not there

    my $own = $node->token(name => 'joe', ns => 'n', can => ['read'],
        policy => '[["or",[["==",".key","c/"],["==",".key","c/b"],'
                  . '["==",".key","c/e"]]]]');

    is($node->ids('c', {}, token => $own), 'b e',
       "$adapter: only what may be read is listed");
    is($node->query('c', { count => TRUE }, token => $own)->json->{count}, 2,
       'and counted');
    is($node->query('c', {}, token => $node->token(
           name => 'kim', ns => 'n', can => ['write']))->status, 404,
       'who may not read at all sees nothing');
}

done_testing;
