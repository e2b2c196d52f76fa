#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# t/mongo: runs files against the server that is named, and leaves nothing of
# its own there, nor takes what is not.  The server is the stand-in.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Wire;

if (my $why = Mesh::Test::Wire->why_not) {
    diag("NOT TESTED: $why");
    plan skip_all => $why;
}

plan skip_all => 't/mongo is at work' if $ENV{MESH_TEST_MONGO_URI};

my $top = Mesh::Test->top;
my $server = Mesh::Test::Wire->new;
my $folder = File::Temp->newdir;

sub mongo {
    my (@arguments) = @_;

    return Mesh::Test::run(
        [ "$top/t/mongo", @arguments ], seconds => 200,
        env => { MESH_TEST_BUILD => Mesh::Test::build_folder(),
                 MONGODB_URI => '' });
}

sub databases {
    my (undef, $out) = Mesh::Test::run(
        [ Mesh::Test::Wire::PYTHON(), '-c',
          'import pymongo, sys; c = pymongo.MongoClient(sys.argv[1]);'
          . 'c.mesh_test_theirs.kept.insert_one({});'
          . 'print(*sorted(c.list_database_names()))', $server->host ]);

    return $out;
}

sub file {
    my ($name, $text) = @_;

    open my $file, '>', "$folder/$name" or die "$name: $!";
    print {$file} "use Test::More; use Mesh::Test::Storage;\n$text"
        . "done_testing;\n";
    close $file or die "$name: $!";

    return "$folder/$name";
}

my $good = file('good.t', <<'END');
my ($adapter, @more) = Mesh::Test::Storage->adapters;

is("$adapter @more", 'mongo ', 'one adapter');

my $node = Mesh::Test::Storage->new(adapter => 'mongo')->start;

is($node->put('kv/notes/a', 'text')->status, 201, 'a key is written');
is($node->get('kv/notes/a')->body, 'text', 'and read');
END

like(databases(), qr/^mesh_test_theirs$/, 'somebody has a database');

my ($rc, $out, $err) = mongo('MONGODB_URI=' . $server->host, $good);

is($rc, 0, 'a file runs against the server') or diag("$out$err");
like($out, qr/Result: PASS/, 'and passes');
cmp_ok($server->stats->{commands}{commitTransaction}, '>', 0,
       'it was written there');
is($server->stats->{commands}{dropDatabase}, 1, 'its database is dropped');
like(databases(), qr/^mesh_test_theirs$/, 'that of somebody stays');

($rc) = mongo('MONGODB_URI=' . $server->host,
              file('bad.t', "ok(0, 'no');\n"));
isnt($rc, 0, 'a file that fails is told of');

($rc, $out, $err) = mongo();
is($rc, 2, 'without a server nothing runs');
like($err, qr/no server was named/, 'and it says so');

($rc, $out, $err) = mongo('MONGODB_URI=mongodb://ada:s3cret@127.0.0.1:1/',
                          $good);
is($rc, 2, 'nor with one that is not there');
unlike("$out$err", qr/s3cret/, 'the password is not repeated');

done_testing;
