#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Export and import: a namespace and a node as lines of JSON, there and back,
# also from one adapter to the other; bad and torn files change nothing.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Test::More;

use Mesh::Test;
use Mesh::Test::Storage;

my %node = map {
    $_ => Mesh::Test::Storage->new(adapter => $_, workers => 2)->start
} Mesh::Test::Storage->adapters;

for my $adapter (sort keys %node) {
    fill($node{$adapter});
    test_namespace($node{$adapter}, $adapter);
    test_torn($node{$adapter}, $adapter);
    test_who($node{$adapter}, $adapter);
    test_slow($node{$adapter}, $adapter);
    test_leave($node{$adapter}, $adapter);
}

test_node($node{$_}, $_) for sort keys %node;

done_testing;


sub fill {
    my ($node) = @_;

    $node->put("kv/notes/k$_", "value $_",
               headers => { 'Content-Type' => 'text/plain' }) for 1 .. 250;
    $node->put('kv/notes/bytes', "\x00\xff\xfe",
               headers => { 'Content-Type' => 'application/x-thing' });
    $node->put('kv/notes/short', 'x', headers => { 'Expires-After' => 3600 });
    $node->put('kv/notes/empty', '');
    $node->put('kv/other/a', 'not of notes');

    return;
}


sub lines { return split /\n/, $_[0]->body }


sub import_text {
    my ($node, $query, $text, %opt) = @_;

    return $node->post("admin/import$query", $text,
                       headers => {
                           'Content-Type' => 'application/x-ndjson' }, %opt);
}


sub test_namespace {
    my ($node, $adapter) = @_;

    my $reply = $node->get('admin/export?ns=notes');

    is($reply->status, 200, "$adapter: a namespace is exported");
    is($reply->header('Content-Type'), 'application/x-ndjson',
       "$adapter: as lines of JSON");

    my @lines = map { JSON::PP::decode_json($_) } lines($reply);

    is($lines[0]{scope}, 'namespace', "$adapter: the first says of what");
    ok($lines[-1]{end}, "$adapter: the last says that it is the last");
    is($lines[-1]{lines}, @lines - 2, "$adapter: and how many there were");
    is(scalar(grep { ($_->{kind} // '') eq 'kv' } @lines), 253,
       "$adapter: every key has a line");
    is(scalar(grep { ($_->{ns} // '') eq 'other' } @lines), 0,
       "$adapter: another namespace has none");

    my $copy = import_text($node, '?ns=copy', $reply->body);

    is($copy->status, 200, "$adapter: it is imported under another name: "
       . $copy->body);
    is($copy->json->{imported}, 253, "$adapter: all of it");

    is($node->get('kv/copy/k77')->body, 'value 77', "$adapter: a value came");
    is($node->get('kv/copy/k77')->header('Content-Type'), 'text/plain',
       "$adapter: with its type");
    is($node->get('kv/copy/bytes')->body, "\x00\xff\xfe",
       "$adapter: bytes that are no text came");
    is($node->get('kv/copy/empty')->body, '', "$adapter: no bytes, too");
    ok($node->get('kv/copy/short')->header('Expires-At'),
       "$adapter: what ends, ends there too");

    is(import_text($node, '?ns=copy', $reply->body)->status, 409,
       "$adapter: what holds something is not imported into");

    $node->put('kv/copy/mine', 'x');

    is(import_text($node, '?ns=copy&mode=replace', $reply->body)->status,
       200, "$adapter: unless it shall be replaced");
    is($node->get('kv/copy/mine')->status, 404,
       "$adapter: then what was there is gone");

    return;
}


sub test_torn {
    my ($node, $adapter) = @_;

    my @lines = lines($node->get('admin/export?ns=notes'));
    my @other = @lines;

    $other[5] =~ s/"notes"/"other"/;

    my %torn = (
        'without its last line'     => [ @lines[0 .. $#lines - 1] ],
        'without one in the middle' => [ @lines[0 .. 4, 6 .. $#lines] ],
        'without its first line'    => [ @lines[1 .. $#lines] ],
        'with a line that is none'  => [ @lines[0 .. 9], '{"kind":',
                                         @lines[10 .. $#lines] ],
        'with a line of another'    => \@other,
        'with its first line twice' => [ $lines[0], @lines ],
        'with more behind its end'  => [ @lines, $lines[3] ],
        'of nothing'                => [],
    );

    for my $how (sort keys %torn) {
        my $text = join '', map { "$_\n" } @{ $torn{$how} };
        my $reply = import_text($node, '?ns=torn', $text);

        is($reply->status, 400, "$adapter: an export $how is refused");
        is($node->get('kv/torn')->json->{items}[0], undef,
           "$adapter: and nothing of it is written");
    }

    my $reply = import_text($node, '?ns=torn',
                            join "\n", @lines[0 .. 9], '{"kind":');

    is($reply->json->{line}, 11, "$adapter: the answer says which line");

    is(import_text($node, '', join('', map { "$_\n" } @lines))->status,
       400, "$adapter: a namespace is no node");

    return;
}


sub test_who {
    my ($node, $adapter) = @_;

    my $mine = $node->token(name => 'bob', can => [qw(read write admin)],
                            ns => 'notes');
    my $all = $node->token(name => 'eve', can => [qw(read write admin)]);

    is($node->get('admin/export?ns=notes', token => $mine)->status, 200,
       "$adapter: who administers a namespace exports it");
    is($node->get('admin/export?ns=other', token => $mine)->status, 403,
       "$adapter: and no other");
    is($node->get('admin/export', token => $all)->status, 403,
       "$adapter: nor the node, with secrets of others");
    is(import_text($node, '?ns=other', "{}\n", token => $mine)->status, 403,
       "$adapter: nor imports where it is not theirs");
    is(import_text($node, '', "{}\n", token => $all)->status, 403,
       "$adapter: nor a node");

    return;
}


# A client that reads slowly gets all of it.

sub test_slow {
    my ($node, $adapter) = @_;

    my $text = 'x' x 400_000;

    $node->put("kv/big/k$_", $text) for 1 .. 10;

    my $exchange = $node->begin(GET => 'admin/export?ns=big');

    $exchange->wait_for(qr/"mesh":"export"/);
    $node->get('kv/notes/k1') for 1 .. 20;

    my $reply = $exchange->reply;

    is(scalar(lines($reply)), 12, "$adapter: a slow client gets every line");
    cmp_ok(length $reply->body, '>', 4_000_000, "$adapter: and every byte");

    return;
}


# Clients that leave at any moment of an import leave no file open.

sub test_leave {
    my ($node, $adapter) = @_;

    my $text = $node->get('admin/export?ns=notes')->body;
    my %type = (headers => { 'Content-Type' => 'application/x-ndjson' });

    for my $i (1 .. 60) {
        my $exchange = $node->begin(
            POST => "admin/import?ns=left$i", body => $text, %type);

        $node->get('kv/notes/k1') for 1 .. $i % 8;
        $exchange->abort;
    }

    ok($node->wait_for(sub { !open_files($node) }, 20,
                       'files of imports to be closed'),
       "$adapter: clients that leave leave no file behind");

    return;
}


# Files without a name that the workers have open.

sub open_files {
    my ($node) = @_;

    return grep { defined && m{/data/.*\(deleted\)} }
           map { readlink } map { glob "/proc/$_/fd/*" } $node->workers;
}


sub test_node {
    my ($node, $adapter) = @_;

    my $export = $node->get('admin/export');

    is($export->status, 200, "$adapter: a whole node is exported");

    for my $to (sort keys %node) {
        my $other = Mesh::Test::Storage->new(adapter => $to)->start;
        my $reply = import_text($other, '', $export->body);

        is($reply->status, 200, "$adapter to $to: a node becomes another");

        $other->wait_for(sub { $other->get('kv/notes/k1')->status == 200 },
                         20, 'the imported node');

        is($other->get('kv/notes/k250')->body, 'value 250',
           "$adapter to $to: with its keys");
        is($other->get('kv/other/a')->body, 'not of notes',
           "$adapter to $to: of every namespace");
    }

    return;
}
