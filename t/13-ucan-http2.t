#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Over HTTP/2: tokens in a query stay out of sight, cookies may come in parts,
# and a bound invocation is about the same request.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my ($missing, $version) = Mesh::Test::run([ 'curl', '--version' ]);

plan skip_all => 'curl with HTTP/2 is not installed'
    if $missing || $version !~ /\bHTTP2\b/;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    data    => 1,
    conf    => q{
        log_format  all  '$request|$request_uri|$args|$http_referer|$status';

        server {
            listen  127.0.0.1:%%PORT%% http2;

            access_log     logs/access.log all;
            ucan           on;
            ucan_audience  file:data/mesh.did;
            ucan_require   /room/read;

            location /query/  { empty_gif; ucan_source query:token; }
            location /cookie/ { empty_gif; ucan_source cookie:mesh; }
            location /bound/  { empty_gif; ucan_bind on; }

            location /told/ {
                ucan_source   query:token;
                ucan_forward  on;
                proxy_pass    http://127.0.0.1:%%PORT2%%;
            }
        }

        server {
            listen  127.0.0.1:%%PORT2%%;
            return  200 "$http_ucan_issuer|$request_uri\n";
        }
    },
)->start;

my $key = $mesh->prefix . '/bot.key';
my $url = 'http://127.0.0.1:' . $mesh->port;

sub make {
    my ($rc, $out, $err) = $mesh->mesh(@_);

    die "mesh @_: $err" if $rc != 0;
    $out =~ s/\s+\z//;

    return $out;
}

make('key', 'new', $key);

my $bot = make('key', 'show', $key);
my $proof = make('delegate', '--key', $mesh->data . '/mesh.key', '--to', $bot,
                 '--command', '/room');
my @own = ('--key', $key, '--audience', $mesh->data . '/mesh.did',
           '--proof', $proof);
my $token = make('token', @own);


# The status, and the body.

sub ask {
    my ($target, @more) = @_;

    my ($rc, $out) = Mesh::Test::run(
        [ 'curl', '-s', '--http2-prior-knowledge', '--max-time', 30,
          '-o', $mesh->prefix . '/body', '-w', '%{http_code} %{http_version}',
          @more, "$url$target" ]);

    return $out;
}


is(ask("/query/?a=1&token=$token&b=2"), '200 2', 'a token in a query');
is(ask("/query/?%74oken=$token"), '200 2', '... however it is spelled');
is(ask("/cookie/?token=$token"), '401 2', '... not where it is none');
is(ask("/query/?a=1", '-H', "Referer: $url/query/?token=$token"), '401 2',
   '... nor in the Referer');
is(ask("/none/?token=$token"), '401 2', '... nor where there is nothing');
is(ask("/told/?a=1&token=$token"), '200 2', 'with a proxy behind');
is($mesh->read_file('body'), "$bot|/told/?a=1\n",
   '... which is told who asks, and no token');

is(ask('/cookie/', '-H', "Cookie: a=b; mesh=$token"), '200 2', 'a cookie');
is(ask('/cookie/', '-X', 'POST', '-H', "Cookie: mesh=$token"), '403 2',
   '... needs an Origin to change something');

my $invocation = make('invoke', @own, '--command', '/room/read',
                      '--http', "GET $url/bound/a?b=1");
my @bearer = ('-H', "Authorization: Bearer $invocation");

is(ask('/bound/a?b=2', @bearer), '401 2', 'bound to another request: refused');
is(ask('/bound/a?b=1', @bearer), '200 2', '... to this one: let in');

my $start = substr $token, 0, 24;

$mesh->wait_for(sub { $mesh->access_log =~ m{/bound/a\?b=1.*200} });

for my $name (qw(access error)) {
    my $log = $mesh->read_file("logs/$name.log");

    cmp_ok(length $log, '>', 200, "the $name log has what happened");
    unlike($log, qr/\Q$start\E/, '... and no token');
}

done_testing;
