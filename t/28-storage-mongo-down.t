#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A node whose MongoDB server is away: it starts, answers 503 at once, lives
# again by itself, and never says where the server is.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;
use Time::HiRes ();

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Storage;
use Mesh::Test::Wire;

if (my $why = Mesh::Test::Wire->why_not) {
    diag("NOT TESTED: $why");
    plan skip_all => $why;
}

plan skip_all => 'a real server does not go away by script'
    if $ENV{MESH_TEST_MONGO_URI};

sub seconds {
    my ($code) = @_;

    my $from = Time::HiRes::time();
    my $value = $code->();

    return ($value, Time::HiRes::time() - $from);
}


# The server steps down, and up again.

my $server = Mesh::Test::Wire->new;
my $uri = $server->uri =~ s{//}{//ada:s3cret\@}r;
my $node = Mesh::Test::Storage->new(
    directives => { mesh_storage_mongo => $server->uri })->start;

is($node->put('kv/notes/a', 'text')->status, 201, 'a key is written');

$server->tell(primary => \0);

my ($reply, $took) = seconds(sub { $node->put('kv/notes/b', 'text') });

is($reply->status, 503, 'without a primary a write is refused');
ok($reply->header('retry-after'), 'with a time to come back');
cmp_ok($took, '<', 8, 'in time');

($reply, $took) = seconds(sub { $node->put('kv/notes/b', 'text') });

is($reply->status, 503, 'and the next');
cmp_ok($took, '<', 1, 'at once');

($reply, $took) = seconds(sub { $node->get('kv/notes/a') });

is($reply->status, 503, 'a read as well');
cmp_ok($took, '<', 1, 'at once');

$server->tell(primary => \1);

$node->wait_for(sub { $node->put('kv/notes/b', 'text')->status == 201 }, 20,
                'the store to come back');

is($node->get('kv/notes/a')->body, 'text', 'nothing was lost');
is($node->get('kv/notes/b')->body, 'text', 'and it goes on');


# A commit of which nobody knows: said so, and there or not when looked at.

$server->fault(fault => 'error-after', command => 'commitTransaction',
               code => 91, times => 20,
               labels => ['UnknownTransactionCommitResult']);

$reply = $node->put('kv/notes/c', 'text');
$server->heal;

is($reply->status, 504, 'an outcome that nobody knows is no other error');
like($reply->json->{type}, qr/unknown-outcome/, 'by name');
$node->wait_for(sub { $node->get('kv/notes/c')->status != 503 }, 20,
                'the store to come back');
is($node->get('kv/notes/c')->body, 'text', 'here it was carried out');


# It starts before its server does.

my $late = Mesh::Test::Wire->new;
$late->tell(primary => \0);

my $early = Mesh::Test::Storage->new(
    directives => { mesh_storage_mongo => $late->uri })->start;

is($early->put('kv/notes/a', 'text')->status, 503,
   'a node starts without its server, and says so');

$late->tell(primary => \1);

$early->wait_for(sub { $early->put('kv/notes/a', 'text')->status == 201 },
                 20, 'the first server');
pass('and serves when it is there');


# What it refuses.

my $alone = Mesh::Test::Wire->new('--standalone');
my $refused = Mesh::Test::Storage->new(
    directives => { mesh_storage_mongo => $alone->uri })->start;

is($refused->put('kv/notes/a', 'text')->status, 503,
   'a standalone server is not used');
like($refused->error_log, qr/standalone.*--replSet/s, 'the log says the cure');


# Secrets.

my $secret = Mesh::Test::Storage->new(
    directives => { mesh_storage_mongo => $uri })->start;

$secret->put('kv/notes/a', 'text');

my $ports = join '|', map { $_->port } $server, $late, $alone;

unlike($_->error_log, qr/s3cret|mongodb:|:(?:$ports)\b/,
       'no log says where the server is, or how to get in')
    for $node, $early, $refused, $secret;

done_testing;
