#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Indexes are declared, built over what is there, kept by every write, and
# dropped with their entries; unique ones let nobody have another's values,
# but what has gone is in nobody's way.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my %patch = ('Content-Type' => 'application/merge-patch+json');


sub query {
    my ($node, $query, $coll) = @_;

    return $node->post('docs/n/' . ($coll // 'c') . '/query', $query);
}


sub ids {
    my ($node, $query, $coll) = @_;

    return join ' ', map { $_->{id} }
           @{ query($node, $query, $coll)->json->{items} || [] };
}


sub ready {
    my ($node, $index, $coll) = @_;

    return $node->wait_for(sub {
        my $json = $node->get('docs/n/' . ($coll // 'c')
                              . "/indexes/$index")->json;

        return ($json->{state} // '') eq 'ready';
    }, 60);
}


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(adapter => $adapter,
                                        workers => 2)->start;

    is_deeply($node->get('docs/n/c/indexes')->json, { items => [] },
              "$adapter: a collection has no indexes at first");

    my $put = $node->put('docs/n/c/indexes/by-age',
                         { fields => ['age', 'name'] });

    is($put->status, 201, 'one is made of nothing at once');
    is_deeply($put->json,
              { name => 'by-age', fields => ['age', 'name'],
                unique => JSON::PP::false, state => 'ready' },
              'and described');
    is($node->put('docs/n/c/indexes/by-age', { fields => ['age', 'name'] })
            ->status, 200, 'the same again is the same');
    is($node->put('docs/n/c/indexes/by-age', { fields => ['age'] })->status,
       409, 'another of its name is refused');
    is($node->get('docs/n/c/indexes/none')->status, 404, 'one is not there');
    is(scalar @{ $node->get('docs/n/c/indexes')->json->{items} }, 1,
       'and one is listed');

    for my $bad ({ }, { fields => [] }, { fields => 'a' },
                 { fields => [1] }, { fields => ['a', 'a'] },
                 { fields => [qw(a b c d)] }, { fields => ['a..b'] },
                 { fields => ['a'], unique => 1 },
                 { fields => ['a'], sparse => JSON::PP::true })
    {
        is($node->put('docs/n/c/indexes/bad', $bad)->status, 400,
           Mesh::Test->json_encode($bad) . ' is no index');
    }

    is($node->put('docs/n/c/indexes/a%20b', { fields => ['a'] })->status,
       400, 'nor is a name with a blank');

    my $reader = $node->token(name => 'bob', can => ['read'], ns => 'n');

    is($node->put('docs/n/c/indexes/x', { fields => ['x'] },
                  token => $reader)->status, 403,
       'who may not write declares none');
    is($node->get('docs/n/c/indexes', token => $reader)->status, 200,
       'but sees them');

    # unique, from the start

    is($node->put('docs/n/u/indexes/mail',
                  { fields => ['mail'], unique => JSON::PP::true })->status,
       201, "$adapter: a unique index is declared");
    is($node->put('docs/n/u/a', { mail => 'a@x' })->status, 201,
       'somebody has a value');

    my $taken = $node->put('docs/n/u/b', { mail => 'a@x' });

    is($taken->status, 409, 'nobody else gets it');
    is($taken->json->{error}, 'conflict', 'that is a conflict');
    is($taken->json->{index}, 'mail', 'of the index');
    is($node->get('docs/n/u/b')->status, 404, 'and nothing was written');
    is($node->put('docs/n/u/a', { mail => 'a@x', n => 1 })->status, 200,
       'its owner writes on');
    is($node->put('docs/n/u/b', { mail => 'b@x' })->status, 201,
       'another value is free');
    is($node->patch('docs/n/u/b', { mail => 'a@x' }, headers => \%patch)
            ->status, 409, 'a patch does not get it either');
    is($node->post('docs/n/u', { mail => 'b@x' })->status, 409,
       'nor a new document');
    is($node->patch('docs/n/u/a', { mail => 'c@x' }, headers => \%patch)
            ->status, 200, 'its owner gives it up');
    is($node->patch('docs/n/u/b', { mail => 'a@x' }, headers => \%patch)
            ->status, 200, 'then it is free');
    is($node->del('docs/n/u/b')->status, 204, 'and again');
    is($node->put('docs/n/u/d', { mail => 'a@x' })->status, 201,
       'when its owner has gone');

    is($node->put("docs/n/u/none$_", { other => $_ })->status, 201,
       "without the field, $_ of many") for 1, 2;
    is($node->put("docs/n/u/null$_", { mail => undef })->status, 201,
       "with null, $_ of many") for 1, 2;
    is($node->put("docs/n/u/list$_", { mail => [1] })->status, 201,
       "with a list, $_ of many") for 1, 2;

    my $long = 'x' x 300;

    is($node->put('docs/n/u/l1', { mail => $long . '1' })->status, 201,
       "$adapter: long values are compared to the end");
    is($node->put('docs/n/u/l2', { mail => $long . '2' })->status, 201,
       'these two differ');
    is($node->put('docs/n/u/l3', { mail => $long . '2' })->status, 409,
       'these do not');
    is($node->put('docs/n/u/n1', { mail => 1 })->status, 201, 'a number');
    is($node->put('docs/n/u/n2', '{"mail":1.0}')->status, 409,
       'is the same however it is written');
    is($node->put('docs/n/u/n3', { mail => '1' })->status, 201,
       'and no string');

    # what has expired is in nobody's way

    $node->put('docs/n/u/soon', { mail => 'soon@x' },
               headers => { 'Expires-After' => 1 });
    ok($node->wait_for(sub { $node->get('docs/n/u/soon')->status == 404 },
                       10), "$adapter: a document expires");
    is($node->put('docs/n/u/next', { mail => 'soon@x' })->status, 201,
       'its value is free');

    # over what is there

    my @ops;

    for my $i (1 .. 300) {
        my $reply = $node->put(sprintf('docs/n/big/d%04d', $i),
                               { n => $i % 7, s => "v$i" });

        push @ops, $reply->status;
    }

    is(scalar(grep { $_ == 201 } @ops), 300, "$adapter: many documents");

    my $built = $node->put('docs/n/big/indexes/n', { fields => ['n'] });

    ok($built->status == 201 || $built->status == 202,
       'an index over them is declared') or diag $built->raw;
    ok(ready($node, 'n', 'big'), 'and becomes ready');

    my $found = query($node, { filter => { n => 3 }, limit => 1000 }, 'big');

    is(scalar @{ $found->json->{items} }, 43, 'it finds all that it should');

    my $dup = $node->put('docs/n/big/indexes/unique',
                         { fields => ['n'], unique => JSON::PP::true });

    is($dup->status, 409, "$adapter: values that are there twice");
    is($dup->json->{index}, 'unique', 'make no unique index');
    is($node->get('docs/n/big/indexes/unique')->status, 404,
       'which is not there then');
    is($node->put('docs/n/big/x', { n => 3 })->status, 201,
       'and in nobody\'s way');

    my $sole = $node->put('docs/n/big/indexes/s',
                          { fields => ['s'], unique => JSON::PP::true });

    ok(ready($node, 's', 'big'), 'those that differ do');
    is($node->put('docs/n/big/y', { s => 'v7' })->status, 409,
       'and are unique from then on');

    # queries follow writes

    $node->put('docs/n/c/p1', { age => 5, name => 'ada' });
    $node->put('docs/n/c/p2', { age => 5, name => 'bob' });
    $node->put('docs/n/c/p3', { age => 7, name => 'cay' });

    is(ids($node, { filter => { age => 5 }, sort => ['-name'] }), 'p2 p1',
       "$adapter: an index answers in its order");

    $node->patch('docs/n/c/p2', { age => 6 }, headers => \%patch);
    is(ids($node, { filter => { age => 5 } }), 'p1', 'a patch moves');
    is(ids($node, { filter => { age => 6 } }), 'p2', 'one there');
    $node->del('docs/n/c/p2');
    is(ids($node, { filter => { age => { gte => 5 } } }), 'p1 p3',
       'a deleted one is not found');

    # dropped

    is($node->del('docs/n/c/indexes/by-age')->status, 204,
       "$adapter: an index is dropped");
    is($node->get('docs/n/c/indexes/by-age')->status, 404, 'and gone');
    is($node->del('docs/n/c/indexes/by-age')->status, 404, 'once');
    is(ids($node, { filter => { age => { gte => 5 } } }), 'p1 p3',
       'queries go on without it');

    for my $i (1 .. 10) {
        $node->put("docs/n/many/indexes/i$i", { fields => ["f$i"] });
    }

    is($node->put('docs/n/many/indexes/i11', { fields => ['f11'] })->status,
       409, 'a collection has ten at most');
}

done_testing;
