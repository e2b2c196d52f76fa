#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Backups of a node that is in use: made by hand and by the clock, listed,
# fetched, removed, kept to a number; and put back.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Test::More;

use Mesh::Test;
use Mesh::Test::Storage;

for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(
        adapter    => $adapter,
        workers    => 2,
        directives => {
            mesh_storage_backups => '%%DATA%%/backups keep=3',
        })->start;

    test_life($node, $adapter);
    test_who($node, $adapter);
    test_restore($node, $adapter);
}

test_clock();
test_none();

done_testing;


sub backups {
    my ($node) = @_;

    return @{ $node->get('admin/backups')->json->{backups} };
}


sub test_life {
    my ($node, $adapter) = @_;

    is(scalar backups($node), 0, "$adapter: there is no backup at first");

    $node->put('kv/notes/a', 'one');

    my $made = $node->post('admin/backups');

    is($made->status, 201, "$adapter: a backup is made");

    my $id = $made->json->{id};

    like($id, qr/^mesh-\d{8}T\d{9}Z\z/, "$adapter: it is named by its time");
    is($made->header('Location'), "/api/storage/admin/backups/$id",
       "$adapter: Location says where it is");
    cmp_ok($made->json->{bytes}, '>', 0, "$adapter: it has bytes");
    is($made->json->{adapter}, $adapter, "$adapter: it names its adapter");

    is_deeply([ map { $_->{id} } backups($node) ], [$id],
              "$adapter: it is listed");

    my $file = $node->get("admin/backups/$id");

    is($file->status, 200, "$adapter: it can be fetched");
    is(length $file->body, $made->json->{bytes},
       "$adapter: all of its bytes come");

    my $mode = (stat $node->data . "/backups/$id.data")[2] & 0777;

    is(sprintf('%o', $mode), '600', "$adapter: nobody else can read the file");

    my $part = $node->get("admin/backups/$id",
                          headers => { Range => 'bytes=0-9' });

    is($part->status, 206, "$adapter: a part of it can be fetched");
    is($part->body, substr($file->body, 0, 10), "$adapter: that part");

    my %key = (headers => { 'Idempotency-Key' => 'once' });
    my $first = $node->post('admin/backups', undef, %key);
    my $again = $node->post('admin/backups', undef, %key);

    is($first->json->{id}, $again->json->{id},
       "$adapter: a repeat with the same key makes no second one");

    $node->post('admin/backups') for 1 .. 2;

    my @now = backups($node);

    is(scalar @now, 3, "$adapter: no more than \"keep\" are kept");
    isnt($now[-1]{id}, $id, "$adapter: the oldest one went");
    is($node->get("admin/backups/$id")->status, 404,
       "$adapter: what went is not found");
    ok(!-e $node->data . "/backups/$id.data", "$adapter: its file is gone");

    is($node->del("admin/backups/$now[0]{id}")->status, 204,
       "$adapter: one is removed by hand");
    is(scalar backups($node), 2, "$adapter: and no longer listed");
    is($node->del("admin/backups/$now[0]{id}")->status, 404,
       "$adapter: it cannot be removed twice");

    for my $name ('..', '%2e%2e%2fmesh.key', 'mesh-20261124T190102123Z',
                  'mesh-20261124T190102123Z.data', '.lock')
    {
        my $status = $node->get("admin/backups/$name")->status;

        ok($status == 404 || $status == 400,
           "$adapter: \"$name\" is no backup: $status");
    }

    return;
}


sub test_who {
    my ($node, $adapter) = @_;

    my $writer = $node->token(can => [qw(read write)]);
    my $narrow = $node->token(name => 'bob', can => ['admin'], ns => 'notes');
    my $keeper = $node->token(name => 'eve', can => ['admin']);
    my ($one) = backups($node);

    is($node->get('admin/backups', token => $writer)->status, 403,
       "$adapter: who reads and writes does not see backups");
    is($node->post('admin/backups', undef, token => $narrow)->status, 403,
       "$adapter: nor does who administers one namespace make any");
    is($node->get('admin/backups', token => $keeper)->status, 200,
       "$adapter: who administers the storage sees them");
    is($node->get("admin/backups/$one->{id}", token => $keeper)->status, 403,
       "$adapter: but does not fetch them: they hold secrets of others");
    is($node->post('admin/restore', { backup => $one->{id} },
                   token => $keeper)->status, 403,
       "$adapter: nor put them back");

    return;
}


sub test_restore {
    my ($node, $adapter) = @_;

    my $epoch = $node->get('')->json->{epoch};

    $node->put("kv/notes/k$_", "old $_") for 1 .. 20;
    $node->put('kv/notes/gone', 'x');

    my $id = $node->post('admin/backups')->json->{id};

    $node->put("kv/notes/k$_", "new $_") for 1 .. 20;
    $node->del('kv/notes/gone');
    $node->put('kv/notes/later', 'x');

    is($node->post('admin/restore', { backup => 'mesh-nothing' })->status,
       400, "$adapter: what is no name of a backup is refused");
    is($node->post('admin/restore',
                   { backup => 'mesh-20000101T000000000Z' })->status, 404,
       "$adapter: nor is there one of another time");
    is($node->get('kv/notes/later')->status, 200,
       "$adapter: after a refusal all works on");

    my @before = $node->workers;
    my $reply = $node->post('admin/restore', { backup => $id });

    is($reply->status, 200, "$adapter: a backup is restored: "
       . $reply->body);

    $node->wait_for(sub {
        my %old = map { $_ => 1 } @before;
        my @now = $node->workers;

        return @now == 2 && !grep { $old{$_} } @now;
    }, 20, 'workers that start again');

    $node->wait_for(sub { $node->get('kv/notes/k1')->status != 503 }, 20,
                    'an open store');

    is(scalar(grep { $node->get("kv/notes/k$_")->body eq "old $_" } 1 .. 20),
       20, "$adapter: all keys are what they were");
    is($node->get('kv/notes/gone')->status, 200,
       "$adapter: what was removed is there again");
    is($node->get('kv/notes/later')->status, 404,
       "$adapter: what came later is not");

    isnt($node->get('')->json->{epoch}, $epoch,
         "$adapter: the epoch is another");
    is($node->put('kv/notes/k1', 'written')->status, 204,
       "$adapter: writes go on");
    is(scalar backups($node), 3, "$adapter: the backups are still there");

    return;
}


sub test_clock {
    my $node = Mesh::Test::Storage->new(directives => {
        mesh_storage_backups => '%%DATA%%/backups every=1h',
    }, workers => 2)->start;

    $node->wait_for(sub { backups($node) }, 20, 'a backup by the clock');
    $node->wait_for_log(qr/made the backup "mesh-/, 5);

    is(scalar backups($node), 1,
       'a backup is made by itself, by one worker of two');

    return;
}


sub test_none {
    my $node = Mesh::Test::Storage->new->start;
    my $reply = $node->post('admin/backups');

    is($reply->status, 501, 'without a folder there are no backups');
    is($reply->json->{error}, 'unsupported', 'and the answer says so');

    return;
}
