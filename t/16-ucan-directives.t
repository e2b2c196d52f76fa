#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Every directive checks its value at "nginx -t" and names the cure.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');
my $other = Mesh::Test::Mint->did('other');

sub check {
    my ($conf, %opt) = @_;

    return Mesh::Test->nginx_t(
        modules => ['ucan'], conf => $conf,
        files => { 'mesh.did' => "$did\n", 'empty' => '' }, %opt);
}


# What holds.

my ($rc, $text) = check('');

is($rc, 0, 'the module alone needs no directive') or diag($text);

($rc, $text) = check(<<"END");
    ucan_revocation_zone  revocations:1m;

    ucan                  on;
    ucan_audience         file:mesh.did $other;
    ucan_trust            $did;
    ucan_trust            file:mesh.did;
    ucan_require          /room/read room=\$arg_room kind=public;
    ucan_require          /;
    ucan_require_mode     any;
    ucan_resource         https://example.org/\$arg_file prefix
                          ability=file/read;
    ucan_source           authorization header:X-Token cookie:mesh;
    ucan_source           subprotocol query:token;
    ucan_bind             on;
    ucan_forward          on;
    ucan_tokens           strip;
    ucan_leeway           30s;
    ucan_session_max      12h;
    ucan_token_size       16k;
    ucan_token_count      16;
    ucan_depth            8;
    ucan_inflated_size    64k;
    ucan_cache            on;
    ucan_cache_zone       tokens:1m entries=16 memory=1m;
    ucan_inline           0;
    ucan_thread_pool      default;

    server {
        listen  127.0.0.1:%%PORT%%;

        location /a/ { ucan off; }
        location /b/ { ucan optional; ucan_require off; }
        location /c/ { ucan_cache off; ucan_thread_pool off; }
    }
END

is($rc, 0, 'all directives together hold') or diag($text);


# What does not.

my $server = "server { listen 127.0.0.1:%%PORT%%; ";

my @refused = (
    [ 'no audience', "$server ucan on; }",
      qr{"ucan" needs "ucan_audience" with the DID .* file:mesh.did} ],
    [ 'ucan maybe', 'ucan maybe;',
      qr{"ucan" needs "on", "optional" or "off", not "maybe"} ],
    [ 'ucan twice', 'ucan on; ucan off;', qr{"ucan" directive is duplicate} ],
    [ 'an audience that is no DID', 'ucan_audience mesh.example.org;',
      qr{"ucan_audience" needs a did:key.*not "mesh.example.org"} ],
    [ 'a DID that is cut short', "ucan_audience ${\ substr $did, 0, -1};",
      qr{"ucan_audience" needs a did:key} ],
    [ 'trust in no DID', 'ucan_trust did:web:example.org;',
      qr{"ucan_trust" needs a did:key} ],
    [ 'a file that is not there', 'ucan_audience file:none.did;',
      qr{"ucan_audience" cannot read ".*/none.did".*"mesh init"} ],
    [ 'a file that holds none', 'ucan_audience file:empty;',
      qr{"ucan_audience" needs a did:key.*not "file:empty"} ],
    [ 'a command without a slash', 'ucan_require room/read;',
      qr{"ucan_require" needs a command such as "/room/read"} ],
    [ 'a command with one too many', 'ucan_require /room/;',
      qr{"ucan_require" needs a command such as .*not "/room/"} ],
    [ 'a command in capitals', 'ucan_require /Room;',
      qr{"ucan_require" needs a command.*lower case} ],
    [ 'an argument without a value', 'ucan_require /room/read room;',
      qr{"ucan_require" needs arguments as name=value} ],
    [ 'an argument without a name', 'ucan_require /room/read =x;',
      qr{"ucan_require" needs arguments as name=value} ],
    [ 'an argument twice', 'ucan_require /room/read room=a room=b;',
      qr{"ucan_require" has an argument twice} ],
    [ 'an unknown variable', 'ucan_require /room/read room=$nothing;',
      qr{unknown "nothing" variable} ],
    [ 'too many arguments',
      'ucan_require / a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1;',
      qr{"ucan_require" takes at most 8 arguments} ],
    [ 'off beside others', 'ucan_require /a; ucan_require off;',
      qr{"ucan_require" directive takes "off" alone} ],
    [ 'a requirement where a token is optional',
      "ucan_audience $did; $server ucan optional; ucan_require /a; }",
      qr{"ucan_require" needs "ucan on": .* "ucan_require off"} ],
    [ 'some of several', 'ucan_require_mode some;',
      qr{"ucan_require_mode" needs "all" or "any", not "some"} ],
    [ 'two modes', 'ucan_require_mode all; ucan_require_mode any;',
      qr{"ucan_require_mode" directive is duplicate} ],
    [ 'a resource without a scheme', 'ucan_resource /files;',
      qr{"ucan_resource" needs a URI such as .* not "/files"} ],
    [ 'a resource with a word more', 'ucan_resource a:b suffix;',
      qr{"ucan_resource" takes "prefix" and "ability=NAME" .*"suffix"} ],
    [ 'a resource with an ability of nothing', 'ucan_resource a:b ability=;',
      qr{"ucan_resource" takes "prefix" and "ability=NAME"} ],
    [ 'two resources', 'ucan_resource a:b; ucan_resource off;',
      qr{"ucan_resource" directive is duplicate} ],
    [ 'a source that is none', 'ucan_source body;',
      qr{"ucan_source" needs "authorization", .* not "body"} ],
    [ 'a cookie without a name', 'ucan_source cookie:;',
      qr{"ucan_source" needs .*"cookie:NAME".* not "cookie:"} ],
    [ 'a header that has its own place', 'ucan_source header:Authorization;',
      qr{"ucan_source" needs "authorization"} ],
    [ 'a header with a sign', 'ucan_source header:x_token;',
      qr{"ucan_source" needs .*"header:NAME"} ],
    [ 'an argument with a sign', 'ucan_source query:a=b;',
      qr{"ucan_source" needs .*"query:NAME"} ],
    [ 'a place twice', 'ucan_source cookie:a authorization cookie:a;',
      qr{"ucan_source" has a place twice: "cookie:a"} ],
    [ 'too many places', 'ucan_source ' . join(' ', map { "cookie:c$_" }
                                               1 .. 9) . ';',
      qr{"ucan_source" takes at most 8 places} ],
    [ 'a binding of words', 'ucan_bind yes;',
      qr{invalid value "yes" in "ucan_bind" directive, it must be "on"} ],
    [ 'a forward of words', 'ucan_forward yes;',
      qr{invalid value "yes" in "ucan_forward" directive, it must be "on"} ],
    [ 'tokens of words', 'ucan_tokens hide;',
      qr{"ucan_tokens" needs "pass" or "strip", not "hide"} ],
    [ 'metrics for all', 'ucan_metrics;',
      qr{"ucan_metrics" directive is not allowed here} ],
    [ 'metrics of something', "$server location / { ucan_metrics all; } }",
      qr{invalid number of arguments in "ucan_metrics"} ],
    [ 'metrics beside another handler',
      "$server location / { empty_gif; ucan_metrics; } }",
      qr{"ucan_metrics" directive is duplicate, or another handler} ],
    [ 'a leeway of days', 'ucan_leeway 2d;',
      qr{"ucan_leeway" needs a time from 0 to 1h, not "2d"} ],
    [ 'a session of no time', 'ucan_session_max 0;',
      qr{"ucan_session_max" needs a time from 1s to 366d, not "0"} ],
    [ 'a session of words', 'ucan_session_max long;',
      qr{"ucan_session_max" needs a time .*not "long"} ],
    [ 'a token size beyond the limit', 'ucan_token_size 1m;',
      qr{"ucan_token_size" needs a size from 256 to 64k, not "1m"} ],
    [ 'no tokens', 'ucan_token_count 0;',
      qr{"ucan_token_count" needs a number from 1 to 64, not "0"} ],
    [ 'a depth beyond the limit', 'ucan_depth 17;',
      qr{"ucan_depth" needs a number from 1 to 16, not "17"} ],
    [ 'an inflated size of nothing', 'ucan_inflated_size 1;',
      qr{"ucan_inflated_size" needs a size from 1k to 256k, not "1"} ],
    [ 'a depth twice', 'ucan_depth 4; ucan_depth 5;',
      qr{"ucan_depth" directive is duplicate} ],
    [ 'a zone without a size', 'ucan_revocation_zone revocations;',
      qr{"ucan_revocation_zone" needs NAME:SIZE .*"revocations:1m"} ],
    [ 'a zone without a name', 'ucan_revocation_zone :1m;',
      qr{"ucan_revocation_zone" needs NAME:SIZE} ],
    [ 'a zone that is too small', 'ucan_revocation_zone revocations:1k;',
      qr{"ucan_revocation_zone" needs NAME:SIZE with a size from 32k} ],
    [ 'two zones',
      'ucan_revocation_zone a:1m; ucan_revocation_zone b:1m;',
      qr{"ucan_revocation_zone" directive is duplicate} ],
    [ 'a file that is not there', 'ucan_revocation_file no;',
      qr{"ucan_revocation_file": cannot open ".*/no"; an empty file revokes} ],
    [ 'a file that has none', 'ucan_revocation_file nginx.conf;',
      qr{"ucan_revocation_file": line \d+ of ".*" is no revocation} ],
    [ 'proofs half on', 'ucan_proofs half;',
      qr{invalid value "half" in "ucan_proofs" directive, .* "on" or "off"} ],
    [ 'proofs without a store', 'ucan_proofs on;',
      qr{"ucan_proofs" needs .*: add "load_module modules/ngx_http_mesh_sto} ],
    [ 'a cache of half a mind', 'ucan_cache half;',
      qr{invalid value "half" in "ucan_cache" directive, .* "on" or "off"} ],
    [ 'a cache without a size', 'ucan_cache_zone tokens;',
      qr{"ucan_cache_zone" needs NAME:SIZE .*"tokens:4m", not "tokens"} ],
    [ 'a cache that is too small', 'ucan_cache_zone tokens:4k;',
      qr{"ucan_cache_zone" needs NAME:SIZE with a size from 32k} ],
    [ 'a cache of no sessions', 'ucan_cache_zone tokens:1m entries=0;',
      qr{"ucan_cache_zone" takes "entries=N" .*, not "entries=0"} ],
    [ 'a cache of no memory', 'ucan_cache_zone tokens:1m memory=1k;',
      qr{"ucan_cache_zone" takes .* "memory=SIZE" from 64k .*"memory=1k"} ],
    [ 'two caches', 'ucan_cache_zone a:1m; ucan_cache_zone b:1m;',
      qr{"ucan_cache_zone" directive is duplicate} ],
    [ 'one zone for two', 'ucan_cache_zone a:1m; ucan_revocation_zone a:1m;',
      qr{zone "a" is used for something else .* a name of its own} ],
    [ 'more signatures than tokens can have', 'ucan_inline 513;',
      qr{"ucan_inline" needs a number from 0 to 512, not "513"} ],
    [ 'a pool that is none', 'ucan_thread_pool nowhere;',
      qr{unknown thread pool "nowhere"} ],
    [ 'a pool twice', 'ucan_thread_pool off; ucan_thread_pool default;',
      qr{"ucan_thread_pool" directive is duplicate} ],
    [ 'a zone in a server', "$server ucan_revocation_zone a:1m; }",
      qr{"ucan_revocation_zone" directive is not allowed here} ],
);

for my $case (@refused) {
    my ($what, $conf, $pattern) = @$case;

    my ($rc, $text) = check($conf);

    isnt($rc, 0, "$what: refused");
    like($text, qr{\[emerg\].*$pattern}, '... with the cure');
}

done_testing;
