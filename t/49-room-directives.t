#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The directives of the room module: each is in the README with an example
# that passes nginx -t, and a bad value is refused there with the cure.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $top = Mesh::Test->top;
my $readme = Mesh::Test::slurp("$top/modules/room/README.md");
my $code = Mesh::Test::slurp(
    "$top/modules/room/ngx_http_mesh_room_module.c");
my $routes = Mesh::Test::slurp("$top/modules/room/ngx_mesh_room_rest.c");

# nginx -t with lines in http {} and in a location: (rc, text).
sub check {
    my (%opt) = @_;

    my $location = $opt{location} // 'mesh_room on;';

    return Mesh::Test->nginx_t(
        modules => $opt{modules} // [qw(ucan storage room)],
        data    => 1,
        conf    => ($opt{storage} // "mesh_storage %%DATA%%/mesh.db;") . qq{
            $opt{http}
            @{[ $opt{audience} // '' ]}
            server {
                listen 127.0.0.1:%%PORT%%;
                $opt{server}
                location / { $location }
            }
        });
}

# the README

my ($commands) = $code =~ /^static ngx_command_t (.*?)ngx_null_command/ms;
my @directives = $commands =~ /ngx_string\("(\w+)"\)/g;

cmp_ok(scalar @directives, '>=', 14, 'there are directives');

for my $name (@directives) {
    my ($page) = $readme =~ /^### \Q$name\E\n(.*?)(?=^##|\z)/ms;

    like($page // '', qr/\| syntax \| `\Q$name\E .*\| default \|.*\| context/s,
         "$name has a page");

    my ($example) = ($page // '') =~ /^```nginx\n(.*?)^```/ms;

    $example =~ s{data/}{%%DATA%%/};

    my ($rc, $text) = $example =~ /^location/
        ? check(http => '', audience => 'ucan_audience %%DID%%;',
                server => $example =~ s{location /api/}{location /x/}r)
        : check(http => $example, server => '');

    is($rc, 0, "the example of $name works") or diag($text);
}

my ($table) = $routes =~ /^static const ngx_mesh_route_t (.*?)^\};/ms;
my @routes = $table =~ /NGX_HTTP_(\w+, "[^"]+)"/g;

cmp_ok(scalar @routes, '>=', 16, 'there are routes');

for my $route (@routes) {
    my ($method, $path) = $route =~ /^(\w+), "(.*)/;
    my @segments = map { $_ eq ':' ? ':\w+' : quotemeta } split m{/}, $path;
    my $pattern = join '/', @segments;

    like($readme, qr/^\| `\Q$method\E $pattern`/m, "$method $path is there");
}

# bad values

my @bad = (
    [ 'mesh_room_zone presence;',       qr/takes a name and a size/ ],
    [ 'mesh_room_zone presence:1k;',    qr/64k or more/ ],
    [ 'mesh_room_zone presence:x;',     qr/64k or more/ ],
    [ 'mesh_room_zone a:1m; mesh_room_zone b:1m;', qr/is duplicate/ ],
    [ 'mesh_room_cursor_key nowhere;',  qr/"mesh init" makes/ ],
    [ 'mesh_room_cursor_key %%DATA%%/mesh.key;', qr/"secret:..."/ ],
    [ 'mesh_room_message_size 129k;',   qr/size from 1 to 128k/ ],
    [ 'mesh_room_message_size 0;',      qr/size from 1 to 128k/ ],
    [ 'mesh_room_message_size 100k;',   qr/mesh_room_frame_size/ ],
    [ 'mesh_room_frame_size 2m;',       qr/size from 1k to 1m/ ],
    [ 'mesh_room_queue_size 1k;',       qr/size from 4k to 64m/ ],
    [ 'mesh_room_auth_timeout 0;',      qr/time from 100ms to 24h/ ],
    [ 'mesh_room_auth_timeout soon;',   qr/mesh_room_auth_timeout/ ],
    [ 'mesh_room_ping_interval 48h;',   qr/time from 100ms to 24h/ ],
    [ 'mesh_room_rate -1;',             qr/number from 0/ ],
    [ 'mesh_room_join_max 0;',          qr/number from 1 to 1024/ ],
    [ 'mesh_room_connections many;',    qr/number from 1 to 1000000/ ],
    [ 'mesh_room_origin mesh.example;', qr/mesh_room_origin/ ],
    [ 'mesh_room_host http://x;',       qr/mesh_room_host/ ],
);

for my $case (@bad) {
    my ($line, $cure) = @$case;
    my ($rc, $text) = check(http => $line, server => '');

    isnt($rc, 0, "refused: $line");
    like($text, $cure, 'with the cure');
}

my ($rc, $text) = check(http => '', server => '',
                        location => 'mesh_room on; mesh_room_socket on;');

isnt($rc, 0, 'REST and socket are not in one location');
like($text, qr{location = /ws}, 'and where they are is said');

# what is missing

($rc, $text) = check(http => '', server => '', modules => [qw(ucan room)],
                     storage => '');
isnt($rc, 0, 'it needs the storage module');
like($text, qr/load_module.*storage/, 'and says so');

($rc, $text) = check(http => '', server => '', modules => [qw(storage room)]);
isnt($rc, 0, 'it needs the ucan module');
like($text, qr/load_module.*ucan/, 'and says so');

($rc, $text) = check(http => '', server => '', storage => '');
isnt($rc, 0, 'it needs a store');
like($text, qr/mesh_storage/, 'and says so');

($rc, $text) = Mesh::Test->nginx_t(modules => ['room'], conf => '');
is($rc, 0, 'loaded and not used it needs nothing') or diag($text);

done_testing();
