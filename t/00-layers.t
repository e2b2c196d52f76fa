#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The floors hold: no #include goes up or sideways, and what a floor may not
# know does not appear on it.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Layers;

my $top = dirname(dirname(Cwd::realpath(__FILE__)));

chdir $top or die "$top: $!";

my @files = glob 'shared/*.[ch] shared/store/*.[ch] modules/*/*.[ch]';
my %ours = map { basename($_) => $_ } grep { /\.h$/ } @files,
           glob 't/unit/*.h';

sub slurp {
    open my $file, '<:raw', $_[0] or die "$_[0]: $!";
    local $/;
    return scalar(<$file>) // '';
}

my @found = map { Mesh::Layers::check($_, slurp($_), \%ours) } @files;

ok(@files > 0, 'there are sources');
ok(!@found, 'no floor reaches above itself or sideways');
diag(join "\n", @found) if @found;


# Planted faults.

my %tree = (
    'cbor.h'                  => 'shared/cbor.h',
    'did.h'                   => 'shared/did.h',
    'store.h'                 => 'shared/store/store.h',
    'store_sqlite.h'          => 'shared/store/store_sqlite.h',
    'ngx_mesh_reply.h'        => 'shared/ngx_mesh_reply.h',
    'ngx_mesh_room_hub.h'     => 'modules/room/ngx_mesh_room_hub.h',
    'ngx_mesh_storage_kv.h'   => 'modules/storage/ngx_mesh_storage_kv.h',
    'tap.h'                   => 't/unit/tap.h',
);

my $reply = 'shared/ngx_mesh_reply.c';
my $room = 'modules/room/ngx_mesh_room_hub.c';

my @faults = (
    [ 'a codec includes a format',   'shared/cbor.c', '"did.h"' ],
    [ 'a codec includes a file API', 'shared/cbor.c', '<stdio.h>' ],
    [ 'a format includes nginx',     'shared/did.c', '<ngx_core.h>' ],
    [ 'a format includes the glue',  'shared/did.c', '"ngx_mesh_reply.h"' ],
    [ 'a format reads time.h',       'shared/did.c', '<time.h>' ],
    [ 'libcrypto outside its file',  'shared/did.c', '<openssl/evp.h>' ],
    [ 'the store includes nginx',    'shared/store/store.c',
      '<ngx_config.h>' ],
    [ 'the glue includes a module',  $reply, '"ngx_mesh_room_hub.h"' ],
    [ 'the glue includes sqlite',    $reply, '<sqlite3.h>' ],
    [ 'the glue includes an adapter', $reply, '"store_sqlite.h"' ],
    [ 'a module includes another',   $room, '"ngx_mesh_storage_kv.h"' ],
    [ 'a module includes an adapter', $room, '"store_sqlite.h"' ],
    [ 'a module includes sqlite',    $room, '<sqlite3.h>' ],
    [ 'a module includes libcurl',   $room, '<curl/curl.h>' ],
    [ 'a program includes nginx',    'modules/mesh/mesh.c', '<ngx_core.h>' ],
    [ 'a source includes a test',    'shared/did.c', '"tap.h"' ],
);

for my $fault (@faults) {
    my ($name, $path, $header) = @$fault;

    ok(scalar(Mesh::Layers::check($path, "#include $header\n", \%tree)),
       "finds a planted fault: $name");
}

for my $right ([ $room, '"ngx_mesh_reply.h"' ], [ $room, '"store.h"' ],
               [ 'modules/storage/ngx_mesh_storage_kv.c', '"store_sqlite.h"' ],
               [ $reply, '"did.h"' ], [ 'shared/did.c', '<sodium.h>' ])
{
    my ($path, $header) = @$right;

    is_deeply([ Mesh::Layers::check($path, "#include $header\n", \%tree) ], [],
              "$path may include $header");
}

ok(scalar(Mesh::Layers::check('shared/did.c', "    now = time(NULL);\n", {})),
   'finds a clock below the store');
ok(scalar(Mesh::Layers::check('shared/cbor.c', "static int  depth;\n", {})),
   'finds a variable of the file among the codecs');
ok(scalar(Mesh::Layers::check($room, "#if (nginx_version > 1)\n", {})),
   'finds a version of nginx in a module');

done_testing;
