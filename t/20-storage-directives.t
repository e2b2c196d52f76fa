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

delete $ENV{MONGODB_URI};

my $key = 'secret:' . 'A' x 43;
my $mesh = Mesh::Test->new(
    modules => ['storage'],
    files   => { 'store/keep' => '', 'store/folder/keep' => '',
                 'keys/cursor' => "$key\n", 'keys/bad' => "secret:AA\n",
                 'keys/uri' => "localhost:27017\n" });

my $store = $mesh->prefix . '/store';
my $key_file = $mesh->prefix . '/keys/cursor';


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
    mesh_storage_changes_time 0;
    mesh_storage_mongo        off;
    mesh_storage_mongo_threads  2;
    mesh_storage_blobs        $store/blobs/;
    mesh_storage_search       $store/words.db;
    mesh_storage_backups      $store/backups every=1h keep=3;
    mesh_storage_cursor_key   $key_file;
    mesh_storage_value_size   1;
    mesh_storage_body_size    64m;
    mesh_storage_blob_size    5000g;
    mesh_storage_upload_time  30d;
    mesh_storage_once_time    1s;
    mesh_storage_feeds        1;
    mesh_storage_quota        items=0 bytes=2048g;
    mesh_storage_host         store.example;
    mesh_storage_origin       https://app.example;
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
    [ 'a time that is none',
      "mesh_storage $store/a; mesh_storage_changes_time week;",
      qr{"mesh_storage_changes_time" needs a time from 0 \(for ever\) to} ],
    [ 'a server by its name only',
      "mesh_storage $store/a; mesh_storage_mongo db.example;",
      qr{"mesh_storage_mongo" needs the URI of a server, "mongodb://HOST} ],
    [ 'a file that holds no URI',
      "mesh_storage $store/a; mesh_storage_mongo file:$store/../keys/uri;",
      qr{"mesh_storage_mongo" needs the URI of a server} ],
    [ 'a file that is not there',
      "mesh_storage $store/a; mesh_storage_mongo file:$store/none;",
      qr{"mesh_storage_mongo" cannot read "\Q$store\E/none"} ],
    [ 'a file for a folder of blobs',
      "mesh_storage $store/a; mesh_storage_blobs $store/keep;",
      qr{"mesh_storage_blobs" must name a folder, "\Q$store\E/keep" is not} ],
    [ 'blobs in a folder that cannot be made',
      "mesh_storage $store/a; mesh_storage_blobs $store/none/blobs;",
      qr{"mesh_storage_blobs" names a file in "\Q$store\E/none/", which is} ],
    [ 'a text index in the database',
      "mesh_storage $store/a; mesh_storage_search $store/a;",
      qr{"mesh_storage_search" names the file of "mesh_storage"} ],
    [ 'a folder for a text index',
      "mesh_storage $store/a; mesh_storage_search $store/folder;",
      qr{"mesh_storage_search" must name a file} ],
    [ 'backups among the blobs',
      "mesh_storage $store/a; mesh_storage_blobs $store/b;"
      . " mesh_storage_backups $store/b;",
      qr{"mesh_storage_backups" names the folder of "mesh_storage_blobs"} ],
    [ 'backups every blue moon',
      "mesh_storage $store/a; mesh_storage_backups $store/b every=moon;",
      qr{"mesh_storage_backups" takes "every=TIME" .* not "every=moon"} ],
    [ 'no backups to be kept',
      "mesh_storage $store/a; mesh_storage_backups $store/b keep=0;",
      qr{"mesh_storage_backups" takes .* not "keep=0"} ],
    [ 'a key that is too short',
      "mesh_storage $store/a; mesh_storage_cursor_key $store/../keys/bad;",
      qr{"mesh_storage_cursor_key": "\S+" is no key file, .* "mesh init"} ],
    [ 'a key that is not there',
      "mesh_storage $store/a; mesh_storage_cursor_key $store/none;",
      qr{"mesh_storage_cursor_key" cannot read "\Q$store\E/none"} ],
    [ 'a value beyond a megabyte',
      'mesh_storage_value_size 2m;',
      qr{"mesh_storage_value_size" needs a size from 1 to 1m, not "2m"} ],
    [ 'a body of a byte',
      'mesh_storage_body_size 1;',
      qr{"mesh_storage_body_size" needs a size from 1k to 64m, not "1"} ],
    [ 'a blob of nothing',
      'mesh_storage_blob_size 0;',
      qr{"mesh_storage_blob_size" needs a size from 1 to 1048576g, not "0"} ],
    [ 'an upload without time',
      'mesh_storage_upload_time 0;',
      qr{"mesh_storage_upload_time" needs a time from 1s to 30d, not "0"} ],
    [ 'answers kept for a year',
      'mesh_storage_once_time 365d;',
      qr{"mesh_storage_once_time" needs a time from 1s to 30d, not "365d"} ],
    [ 'no feeds',
      'mesh_storage_feeds 0;',
      qr{"mesh_storage_feeds" needs a number from 1 to 1024, not "0"} ],
    [ 'a quota of something else',
      'mesh_storage_quota rows=5;',
      qr{"mesh_storage_quota" needs "items=N", "bytes=SIZE" or both.*rows=5} ],
    [ 'a quota said twice',
      'mesh_storage_quota items=1 items=2;',
      qr{"mesh_storage_quota" needs .* not "items=2"} ],
    [ 'an origin that is none',
      'mesh_storage_origin app.example;',
      qr{"mesh_storage_origin" .*"app.example"} ],
);

for my $case (@refused) {
    my ($what, $conf, $expected) = @$case;

    ($rc, $text) = $mesh->nginx_t(conf => $conf);

    isnt($rc, 0, "$what is refused");
    like($text, $expected, '... and the line names it');
}

($rc, $text) = $mesh->nginx_t(server => 'mesh_storage store/mesh.db;');

isnt($rc, 0, 'there is one store, not one for each server');


($rc, $text) = $mesh->nginx_t(
    conf => "mesh_storage $store/a; mesh_storage_mongo"
            . ' http://ada:hunter2@db.example;');

isnt($rc, 0, 'a server of another kind is refused');
unlike($text, qr/hunter2/, '... and its password is in no line');


# The environment names a server, too.

{
    local $ENV{MONGODB_URI} = 'db.example';

    ($rc, $text) = $mesh->nginx_t("mesh_storage $store/a;");

    isnt($rc, 0, 'MONGODB_URI must be a URI');
    like($text, qr{"MONGODB_URI" needs the URI of a server},
         '... and the line names it');

    ($rc, $text) = $mesh->nginx_t(
        "mesh_storage $store/a; mesh_storage_mongo off;");

    is($rc, 0, '"off" is SQLite whatever the environment says')
        or diag($text);
}


# The API needs its fellows.

my $api = 'location /api/storage { mesh_storage_api on; }';

my @needs = (
    [ [qw(storage)], "mesh_storage $store/a;",
      qr{"mesh_storage_api" needs "ngx_http_ucan_module": add "load_module} ],
    [ [qw(ucan storage)], '',
      qr{"mesh_storage_api" needs a store: add "mesh_storage PATH;"} ],
    [ [qw(ucan storage)], "mesh_storage $store/a;",
      qr{needs a key for its cursors: add "mesh_storage_cursor_key PATH;"} ],
);

for my $case (@needs) {
    my ($modules, $conf, $expected) = @$case;

    ($rc, $text) = $mesh->nginx_t(modules => $modules, conf => $conf,
                                  server => $api);

    isnt($rc, 0, "the API with @$modules and \"$conf\" is refused");
    like($text, $expected, '... and the line says what is missing');
}

($rc, $text) = $mesh->nginx_t(
    modules => [qw(ucan storage)], server => $api,
    conf => "mesh_storage $store/a; mesh_storage_cursor_key $key_file;");

is($rc, 0, 'with all of them it holds') or diag($text);
ok(!-e "$store/blobs" && !-e "$store/search.db",
   'and nothing was made for a test of the configuration');

($rc, $text) = $mesh->nginx_t(
    server => 'mesh_storage_api on; location / { }');

isnt($rc, 0, 'the API is for a location, not for a whole server');


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
