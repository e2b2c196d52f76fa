#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Directives of the identity module: each value is judged by nginx -t, which
# names the directive and the cure; a store that is down is told to clients.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $sound = <<'END';
    mesh_storage       %%DATA%%/mesh.db;
    ucan_audience      file:%%DATA%%/mesh.did;
    ucan_revocation_zone  revocations:1m;
    mesh_identity_key  %%DATA%%/mesh.key;
    server {
        listen    127.0.0.1:%%PORT%%;
        location /api/ { ucan optional; mesh_identity on; }
    }
END

my @all = qw(ucan storage identity);

sub check {
    my ($conf, %opt) = @_;

    return Mesh::Test->nginx_t(modules => \@all, data => 1, conf => $conf,
                               %opt);
}

sub refuses {
    my ($pattern, $what, $conf, %opt) = @_;

    my ($rc, $text) = check($conf, %opt);

    isnt($rc, 0, "refused: $what");
    like($text, $pattern, 'with a cure');

    return;
}


# What is right.

is((check($sound))[0], 0, 'three lines and a location are enough');
is((check('server { listen 127.0.0.1:%%PORT%%; }',
          modules => ['identity'], data => 0))[0], 0,
   'loaded and not used it asks for nothing');

for my $line ('mesh_identity_hash_max 1', 'mesh_identity_hash_queue 0',
              'mesh_identity_registration invite',
              'mesh_identity_visibility public',
              'mesh_identity_session_time 24h',
              'mesh_identity_thread_pool default',
              'mesh_identity_url https://mesh.example.org:8443',
              'mesh_identity_host mesh.example.org',
              'mesh_identity_origin https://app.example.org')
{
    is((check("$line; $sound"))[0], 0, "$line;");
}


# What is not.

my @wrong = (
    [ 'mesh_identity_hash_max 0',            qr/must be from 1 to 64/ ],
    [ 'mesh_identity_hash_max many',         qr/invalid number/ ],
    [ 'mesh_identity_registration maybe',    qr/invalid value "maybe"/ ],
    [ 'mesh_identity_visibility hidden',     qr/invalid value "hidden"/ ],
    [ 'mesh_identity_session_time 25h',      qr/must be from 1s to 24h/ ],
    [ 'mesh_identity_session_time 0',        qr/must be from 1s to 24h/ ],
    [ 'mesh_identity_thread_pool nowhere',   qr/thread pool "nowhere"/ ],
    [ 'mesh_identity_url mesh.example.org',  qr{such as "https://} ],
    [ 'mesh_identity_url https://a/b',       qr/without a path/ ],
    [ 'mesh_identity_url https://',          qr/must be an origin/ ],
    [ 'mesh_identity_key %%DATA%%/mesh.key', qr/is duplicate/ ],
    [ 'mesh_identity on',                    qr/not allowed here/ ],
);

for my $line (@wrong) {
    my ($text, $pattern) = @$line;

    refuses($pattern, $text, "$text; $sound");
}


# The key.

sub with_key {
    my ($path) = @_;

    return $sound =~ s{%%DATA%%/mesh\.key}{$path}r;
}

refuses(qr/cannot open .*"mesh init" makes one/, 'a key that is not there',
        with_key('nothing.key'));
refuses(qr/is not a key file; "mesh init" makes one/,
        'a file that is no key', with_key('%%DATA%%/mesh.did'));
refuses(qr/is not a key file/, 'another kind of secret',
        with_key('%%DATA%%/cursor.key'));
refuses(qr/is not a key file/, 'a key with something behind it',
        with_key('long.key'),
        files => { 'long.key' => 'ed25519:' . 'A' x 43 . "\nx" });
refuses(qr/needs "mesh_identity_key/, 'no key',
        $sound =~ s/mesh_identity_key .*?;//r);

my ($rc, $text) = check(with_key('open.key'), files => {
    'open.key' => 'ed25519:' . 'A' x 43 . "\n" });

is($rc, 0, 'a key that others can read is a key');
like($text, qr/\[warn\].*can be read by others; make its mode 0600/,
     'but that is said');
unlike($text, qr/A{20}/, 'and the key itself is not');


# Other modules.

refuses(qr/ngx_http_ucan_module.*load_module/s, 'without the ucan module',
        $sound =~ s/ucan_.*?;|ucan optional;//gr,
        modules => [qw(storage identity)]);
refuses(qr/ngx_http_mesh_storage_module.*load_module/s,
        'without the storage module', $sound =~ s/mesh_storage .*?;//r,
        modules => [qw(ucan identity)]);


is((check($sound =~ s/ucan_revocation_zone .*?;//r))[0], 0,
   'a place for revocations is there by itself');


# A store that cannot be opened.

my $node = Mesh::Test->new(
    modules => \@all, data => 1, workers => 1,
    files => { 'broken/mesh.db' => 'no database at all, ' x 100 },
    conf => $sound =~ s{%%DATA%%/mesh\.db}{broken/mesh.db}r)->start;

for my $path ('/api/setup/status', '/api/auth/me') {
    my $down = $node->get($path);

    is($down->status, 503, "$path says that the store is down");
    is($down->json->{error}, 'store-down', 'by name');
    ok($down->header('Retry-After'), 'and when to come back');
}

$node->stop;

done_testing;
