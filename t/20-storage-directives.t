#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# nginx -t refuses what the storage directives cannot mean, and says which
# directive, which value, what instead; a good configuration opens nothing.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $mesh = Mesh::Test->new(
    modules => ['storage'],
    files   => { 'store/keep' => '', 'store/folder/keep' => '' });

my $store = $mesh->prefix . '/store';


# What holds.

my ($rc, $text) = $mesh->nginx_t(conf => '');

is($rc, 0, 'the module alone needs no directive') or diag($text);

($rc, $text) = $mesh->nginx_t(main => 'thread_pool small threads=2;',
                              conf => <<"END");
    mesh_storage              $store/mesh.db;
    mesh_storage_thread_pool  small;
    mesh_storage_readers      2;
    mesh_storage_queue        1;
    mesh_storage_cache_size   256k;
    mesh_storage_durability   normal;
    mesh_storage_wake_size    4m;
END

is($rc, 0, 'all directives together hold') or diag($text);
ok(!-e "$store/mesh.db", 'a test of the configuration makes no database');
is_deeply([ sort map { s{.*/}{}r } glob "$store/*" ], [qw(folder keep)],
          'nor anything else');


# What does not.

my @refused = (
    [ 'a folder that is not there',
      "mesh_storage $store/none/mesh.db;",
      qr{names a file in "\Q$store\E/none/", which is no folder} ],
    [ 'a folder for a file',
      "mesh_storage $store/folder;",
      qr{"mesh_storage" must name a file, "\Q$store\E/folder" is not one} ],
    [ 'a slash at the end',
      "mesh_storage $store/;",
      qr{"mesh_storage" must name a file, not "\Q$store\E/"} ],
    [ 'two stores',
      "mesh_storage $store/a; mesh_storage $store/b;",
      qr{"mesh_storage" directive is duplicate} ],
    [ 'a thread pool that is not declared',
      "mesh_storage $store/a; mesh_storage_thread_pool none;",
      qr{unknown thread pool "none"} ],
    [ 'no readers',
      "mesh_storage $store/a; mesh_storage_readers 0;",
      qr{"mesh_storage_readers" needs a number from 1 to 64, not "0"} ],
    [ 'too many readers',
      "mesh_storage $store/a; mesh_storage_readers 65;",
      qr{"mesh_storage_readers" needs a number from 1 to 64, not "65"} ],
    [ 'a queue of nothing',
      "mesh_storage $store/a; mesh_storage_queue 0;",
      qr{"mesh_storage_queue" needs a number from 1 to 65536, not "0"} ],
    [ 'a word for a number',
      "mesh_storage $store/a; mesh_storage_queue many;",
      qr{"mesh_storage_queue" needs a number from 1 to 65536, not "many"} ],
    [ 'a cache that is too small',
      "mesh_storage $store/a; mesh_storage_cache_size 1k;",
      qr{"mesh_storage_cache_size" needs a size from 256k to 1g, not "1k"} ],
    [ 'an unknown durability',
      "mesh_storage $store/a; mesh_storage_durability some;",
      qr{invalid value "some"} ],
    [ 'a ring that cannot hold a notice',
      "mesh_storage $store/a; mesh_storage_wake_size 1m;",
      qr{"mesh_storage_wake_size" needs a size from 4m to 1g, not "1m"} ],
);

for my $case (@refused) {
    my ($what, $conf, $expected) = @$case;

    ($rc, $text) = $mesh->nginx_t(conf => $conf);

    isnt($rc, 0, "$what is refused");
    like($text, $expected, '... and the line names it');
}

($rc, $text) = $mesh->nginx_t(server => 'mesh_storage store/mesh.db;');

isnt($rc, 0, 'there is one store, not one for each server');


# Who needs a store says so.

my $room = 'location / { mesh_room on; }';

($rc, $text) = $mesh->nginx_t(modules => [qw(ucan room)], server => $room);

isnt($rc, 0, 'rooms without the storage module are refused');
like($text, qr{"mesh_room\S*" needs "ngx_http_mesh_storage_module": add},
     '... and the line names the one that is missing');

($rc, $text) = $mesh->nginx_t(
    modules => [qw(ucan storage room)], server => $room);

isnt($rc, 0, 'rooms without a store are refused');
like($text, qr{"mesh_room\S*" needs a store: add "mesh_storage PATH;"},
     '... and the line names the directive that is missing');

done_testing;
