package Mesh::Test::Docs;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A node of the storage API that is asked for documents of namespace "n".
#
#     my $node = Mesh::Test::Docs->new(adapter => $adapter)->start;
#
#     $node->fill('c', { n => 1 }, { n => 2 });        ids 00000, 00001
#     $node->query('c', { filter => { n => 1 } });     a reply
#     $node->ids('c', { sort => ['-n'] });             "00001 00000"
#     $node->pages('c', { limit => 1 });               ("00000 00001", 2)
#     $node->index_ready('c', 'name');

use strict;
use warnings;

use Mesh::Test::Storage;

use parent -norequire, 'Mesh::Test::Storage';

use constant {
    AT_ONCE   => 32,        # requests under way
    PAGES_MAX => 500,
};


sub query {
    my ($self, $coll, $query, %opt) = @_;

    return $self->post("docs/n/$coll/query", $query, %opt);
}


sub ids {
    my ($self, $coll, $query, %opt) = @_;

    my $reply = $self->query($coll, $query, %opt);

    return 'status ' . $reply->status if $reply->status != 200;
    return join ' ', map { $_->{id} } @{ $reply->json->{items} };
}


# All pages of a query: ids, number of pages.

sub pages {
    my ($self, $coll, $query, %opt) = @_;

    my @ids;
    my $pages = 0;

    while ($pages < PAGES_MAX) {
        my $reply = $self->query($coll, $query, %opt);

        return ('status ' . $reply->status, $pages)
            if $reply->status != 200;

        my $json = $reply->json;

        $pages++;
        push @ids, map { $_->{id} } @{ $json->{items} };
        last unless defined $json->{next};

        $query = { %$query, cursor => $json->{next} };
    }

    return ("@ids", $pages);
}


# Sends requests, some at a time: a list of [method, path, options]; the
# replies, in their order.

sub crowd {
    my ($self, @requests) = @_;

    my @replies;

    while (my @some = splice @requests, 0, AT_ONCE) {
        my @pending = map { $self->begin(@$_) } @some;

        push @replies, map { $_->reply } @pending;
    }

    return @replies;
}


sub fill {
    my ($self, $coll, @docs) = @_;

    return $self->crowd(map {
        [ PUT => sprintf('docs/n/%s/%05d', $coll, $_),
          body => ref $docs[$_] ? Mesh::Test->json_encode($docs[$_])
                                : $docs[$_] ]
    } 0 .. $#docs);
}


sub index_ready {
    my ($self, $coll, $name, %opt) = @_;

    return $self->wait_for(sub {
        my $json = $self->get("docs/n/$coll/indexes/$name")->json || {};

        return ($json->{state} // '') eq 'ready';
    }, $opt{seconds} || 60);
}


1;
