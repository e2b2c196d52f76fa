#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Many at once: no patch is lost, a unique value has one owner, and an index
# that is built among writers, or by a worker that dies, misses nothing.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Docs;

use constant WRITERS => 64;

my %patch = ('Content-Type' => 'application/merge-patch+json');


# How many of which status.

sub tally {
    my %count;

    $count{ $_->status }++ for @_;

    return \%count;
}


# Ids of all documents, once through an index of numbers and once without it.

sub all_found {
    my ($node, $coll, $name) = @_;

    my ($by_index) = $node->pages($coll, { filter => { $name =>
                                                       { gte => 0 } },
                                           sort => [$name], limit => 100 });
    my ($by_id) = $node->pages($coll, { limit => 100 });

    return (join(' ', sort split / /, $by_index), $by_id);
}


for my $adapter (Mesh::Test::Docs->adapters) {
    my $node = Mesh::Test::Docs->new(adapter => $adapter,
                                     workers => 2)->start;

    $node->put('docs/n/c/one', {});

    my @pending = map {
        $node->begin(PATCH => 'docs/n/c/one', headers => \%patch,
                     body => qq({"f$_":$_}), timeout => 60)
    } 1 .. WRITERS;
    my @replies = map { $_->reply } @pending;
    my $count = tally(@replies);
    my $doc = $node->get('docs/n/c/one')->json;

    is(($count->{200} // 0) + ($count->{503} // 0), WRITERS,
       "$adapter: each of many patches is done, or told to come again");
    ok($count->{200}, 'some are done');
    is(scalar(keys %$doc), $count->{200}, 'and none of those is lost');

    my $lost = grep { $replies[ $_ - 1 ]->status == 200
                      && ($doc->{"f$_"} // 0) != $_ } 1 .. WRITERS;

    is($lost, 0, 'each is what it was');

    my $etag = $node->get('docs/n/c/one')->header('ETag');

    @pending = map {
        $node->begin(PATCH => 'docs/n/c/one', body => qq({"last":$_}),
                     headers => { %patch, 'If-Match' => $etag },
                     timeout => 60)
    } 1 .. WRITERS;
    $count = tally(map { $_->reply } @pending);

    is($count->{200}, 1, "$adapter: of patches of one state one is done");
    is($count->{412}, WRITERS - 1, 'and the others are told');

    # unique

    $node->put('docs/n/u/indexes/mail',
               { fields => ['mail'], unique => JSON::PP::true });

    @pending = map {
        $node->begin(PUT => "docs/n/u/w$_", body => '{"mail":"m@x"}',
                     timeout => 60)
    } 1 .. WRITERS;
    $count = tally(map { $_->reply } @pending);

    is($count->{201}, 1, "$adapter: one of many gets a value");
    is($count->{409}, WRITERS - 1, 'the others get a conflict');
    is(scalar split(' ', ($node->pages('u', {}))[0]), 1,
       'and one document is there');

    # an index built among writers

    $node->fill('b', map { { n => $_ } } 0 .. 399);

    @pending = map {
        $node->begin(PUT => sprintf('docs/n/b/%05d', $_ * 6),
                     body => qq({"n":@{[ 1000 + $_ ]}}), timeout => 60)
    } 0 .. 31;

    my $declared = $node->begin(
        PUT => 'docs/n/b/indexes/n', body => '{"fields":["n"]}',
        timeout => 60);

    push @pending, map {
        $node->begin(DELETE => sprintf('docs/n/b/%05d', $_ * 10 + 1),
                     timeout => 60)
    } 0 .. 31;
    push @pending, map {
        $node->begin(PUT => sprintf('docs/n/b/%05d', 400 + $_),
                     body => qq({"n":$_}), timeout => 60)
    } 0 .. 31;

    $count = tally(map { $_->reply } @pending);
    is(($count->{200} // 0) + ($count->{201} // 0) + ($count->{204} // 0)
       + ($count->{503} // 0), 96, "$adapter: writers go on beside a builder")
        or diag explain $count;
    like($declared->reply->status, qr/^20[12]$/, 'an index is declared');
    ok($node->index_ready('b', 'n'), 'and gets ready');

    my ($by_index, $by_id) = all_found($node, 'b', 'n');

    is($by_index, $by_id, 'it leads to every document, and to each once');

    # a worker that dies while it builds

    $node->fill('k', map { { n => $_ % 50, s => "s$_" } } 0 .. 499);

    my $building = $node->begin(
        PUT => 'docs/n/k/indexes/n', body => '{"fields":["n"]}');

    $node->kill_worker;
    $node->allow_log(qr/exited on signal 9/);
    eval { $building->reply };

    $node->wait_for(sub { eval { $node->get('docs/n/k/00000')->status }
                          == 200 }, 20);

    my $put = $node->put('docs/n/k/indexes/n', { fields => ['n'] });

    like($put->status, qr/^20[012]$/, "$adapter: after a death");
    ok($node->index_ready('k', 'n'), 'it is built to the end');

    ($by_index, $by_id) = all_found($node, 'k', 'n');
    is($by_index, $by_id, 'and leads to every document, and to each once');
}

done_testing;
