#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Random queries give what a plain filter over all documents gives, in order,
# page by page, with whatever indexes there are, while documents change.
# MESH_TEST_SEED repeats a run, MESH_TEST_QUERIES is their number.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Docs;
use Mesh::Test::DocsModel
    qw(@FIELDS value document json filter sort_compare);

use constant {
    DOCS    => 250,
    ROUNDS  => 6,
    QUERIES => $ENV{MESH_TEST_QUERIES} || 250,    # in a round
};


sub change {
    my ($node, $model) = @_;

    my @requests;
    my %touched;

    for (1 .. 40) {
        my $id = sprintf '%05d', rand DOCS;

        next if $touched{$id}++;

        if (rand() < 0.3) {
            push @requests, [ DELETE => "docs/n/r/$id" ];
            delete $model->{$id};

        } elsif (rand() < 0.5 && $model->{$id}) {
            my $field = (qw(a b c))[ rand 3 ];
            my $v = value();

            $v = undef if $v && $v->[2] eq 'null';
            $model->{$id}{$field} = $v;
            delete $model->{$id}{$field} unless $v;

            push @requests, [ PATCH => "docs/n/r/$id",
                headers => { 'Content-Type' =>
                                 'application/merge-patch+json' },
                body => qq({"$field":) . ($v ? $v->[2] : 'null') . '}' ];

        } else {
            $model->{$id} = document();
            push @requests, [ PUT => "docs/n/r/$id",
                              body => json($model->{$id}) ];
        }
    }

    my @bad = grep { $_ !~ /^(?:20[014]|404)$/ }
              map { $_->status } $node->crowd(@requests);

    is("@bad", '', 'documents change');

    return;
}


# '' when a query gave what it should.

sub fault {
    my ($node, $model) = @_;

    my ($json, $code) = rand() < 0.1 ? ('{}', sub { 1 }) : filter(0);
    my @sort = grep { rand() < 0.3 } @FIELDS;

    splice @sort, 3 if @sort > 3;

    my @down = map { rand() < 0.5 } @sort;
    my $limit = rand() < 0.4 ? 1 + int rand 20 : 1000;
    my $sort = join ',', map { ($down[$_] ? '"-' : '"') . $sort[$_] . '"' }
                         0 .. $#sort;
    my $query = qq("filter":$json,"sort":[$sort],"limit":$limit);
    my (@got, $cursor);

    do {
        my $reply = $node->query('r', '{' . $query
            . (defined $cursor ? qq(,"cursor":"$cursor") : '') . '}');

        return '' if $reply->status == 400
                     && $reply->body =~ /32 comparisons|too many parts/;
        return "$query: " . $reply->raw if $reply->status != 200;

        my $page = $reply->json;

        return "$query: a page too long" if @{ $page->{items} } > $limit;
        push @got, map { $_->{id} } @{ $page->{items} };
        $cursor = $page->{next};
    } while (defined $cursor && @got <= DOCS);

    my @want = grep { $code->($model->{$_}) } sort keys %$model;

    return "$query\n got [@got]\nwant [@want]"
        if join(' ', sort @got) ne "@want";

    for my $i (1 .. $#got) {
        for my $k (0 .. $#sort) {
            my $order = sort_compare(map { $model->{$_}{ $sort[$k] } }
                                     @got[ $i - 1, $i ]);

            $order = -$order if $down[$k];
            return "$query: $got[$i - 1] before $got[$i]" if $order > 0;
            last if $order < 0;
        }
    }

    return '';
}


my $seed = $ENV{MESH_TEST_SEED} || time;

diag "MESH_TEST_SEED=$seed";

for my $adapter (Mesh::Test::Docs->adapters) {
    srand $seed;

    my $node = Mesh::Test::Docs->new(adapter => $adapter)->start;
    my %model = map { (sprintf('%05d', $_) => document()) } 0 .. DOCS - 1;
    my $indexes = 0;

    $node->fill('r', map { json($model{$_}) } sort keys %model);

    for my $round (1 .. ROUNDS) {
        my @faults = grep { $_ ne '' }
                     map { fault($node, \%model) } 1 .. QUERIES;

        is(scalar @faults, 0,
           "$adapter: @{[ QUERIES ]} queries after $indexes indexes")
            or diag $faults[0];

        change($node, \%model);

        for (1 .. 2) {
            my %fields = map { ($FIELDS[ rand @FIELDS ] => 1) } 0 .. rand 3;

            $node->del('docs/n/r/indexes/i' . ($indexes - 7));
            $indexes++;
            $node->put("docs/n/r/indexes/i$indexes",
                       { fields => [ sort { rand() <=> 0.5 }
                                     keys %fields ] });
            ok($node->index_ready('r', "i$indexes"), 'one more index');
        }
    }
}

done_testing;
