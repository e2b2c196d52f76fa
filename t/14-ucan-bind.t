#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# An invocation that is made for one HTTP request is good for no other, and
# policies see the request as it was sent, never as it might be read.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    data    => 1,
    server  => q{
        ucan           on;
        ucan_audience  file:data/mesh.did;
        ucan_require   /room/read;

        location /open/   { empty_gif; }
        location /bound/  { empty_gif; ucan_bind on; }
        location /public/ { empty_gif; }
        location /admin/  { empty_gif; }

        location /query/ {
            empty_gif;
            ucan_bind    on;
            ucan_source  authorization query:token;
        }

        location /page/ {
            ucan_bind   on;
            error_page  404 = /bound/again;
            try_files   /nothing =404;
        }
    },
)->start;

my $host = 'localhost:' . $mesh->port;
my $data = $mesh->data;
my $key = $mesh->prefix . '/bot.key';

sub make {
    my (@args) = @_;

    my ($rc, $out, $err) = $mesh->mesh(@args);

    die "mesh @args: $err" if $rc != 0;
    $out =~ s/\s+\z//;

    return $out;
}

make('key', 'new', $key);

my $bot = make('key', 'show', $key);

sub delegate {
    my (@more) = @_;

    return make('delegate', '--key', "$data/mesh.key", '--to', $bot,
                '--command', '/room', @more);
}

my $proof = delegate();

sub invoke {
    my (@more) = @_;

    return make('invoke', '--key', $key, '--audience', "$data/mesh.did",
                '--proof', $proof, '--command', '/room/read', @more);
}

sub ask {
    my ($method, $target, $token, @headers) = @_;

    return $mesh->request($method, $target, token => $token,
                          headers => [ Host => $host, @headers ]);
}

sub status { return ask(@_)->status }


# Exactly this request, in the form of a map and of a hash.

for my $form ([], ['--hash']) {
    my $name = @$form ? 'by a hash' : 'by a map';
    my $made = sub { invoke('--http', "$_[0] http://$host$_[1]", @$form) };
    my $token = $made->(GET => '/bound/a?b=1');

    is(status(GET => '/bound/b?b=1', $token), 401, "$name: no other path");
    is(status(GET => '/bound/a?b=2', $token), 401, '... no other query');
    is(status(GET => '/bound/a?b=1&c=1', $token), 401, '... none added');
    is(status(GET => '/bound/a', $token), 401, '... none left out');
    is(status(HEAD => '/bound/a?b=1', $token), 401, '... no other method');
    is($mesh->request(GET => '/bound/a?b=1', token => $token,
                      headers => [ Host => 'other:80' ])->status, 401,
       '... no other host');
    is(status(GET => '/bound/%61?b=1', $token), 401, '... no other spelling');
    is(status(GET => '/bound/x/../a?b=1', $token), 401, '... no detour');
    is(status(GET => '/open/a?b=1', $token), 401,
       '... where nothing needs to be bound, too');
    is(status(GET => '/bound/a?b=1', $token), 200, '... this one');
    is(status(GET => '/bound/a?b=1', $token), 401, '... once');

    $token = $made->(GET => '/bound/a%20b');
    is(status(GET => '/bound/a%20b', $token), 200, '... with an escape');
}

my $token = invoke('--args', qq({"http":{"method":"GET","host":"$host",)
                             . qq("path":"/bound/a"}}));
is(status(POST => '/bound/a', $token), 401, 'a request spelled out as args');
is(status(GET => '/bound/a', $token), 200, '... is the same');

$token = invoke('--args', qq({"http":{"method":"GET","host":"$host",)
                          . qq("path":"/bound/a","extra":"1"}}));
is(status(GET => '/bound/a', $token), 401, '... and has nothing unknown');

$token = invoke('--http', "GET http://$host/bound/abs");
is($mesh->raw("GET http://" . uc($host) . "/bound/abs HTTP/1.1\r\n"
              . "Host: other\r\nAuthorization: Bearer $token\r\n"
              . "Connection: close\r\n\r\n")->status, 200,
   'a target with its host counts as nginx reads it');

$token = invoke('--http', "GET https://$host/bound/a");
is(status(GET => '/bound/a', $token), 401, 'no other scheme');


# ucan_bind.

$token = invoke();

my $reply = ask(GET => '/bound/a', $token);

is($reply->status, 401, 'what is bound to no request is refused');
like($mesh->error_log, qr/ucan: refused: wrong-request/, '... and logged');
is(status(GET => '/open/a', $token), 200, '... where it must be bound');

my $session = make('token', '--key', $key, '--audience', "$data/mesh.did",
                   '--proof', $proof);
is(status(GET => '/bound/a', $session), 200, 'a session needs no binding');

$token = invoke('--http', "GET http://$host/query/?a=1");
is(status(GET => "/query/?a=1&token=$token", undef), 200,
   'a token in the query is no part of what it is bound to');


# Policies on the request.

sub session_of {
    my (@policy) = @_;

    return make('token', '--key', $key, '--audience', "$data/mesh.did",
                '--proof', delegate(map { ('--policy', "[$_]") } @policy));
}

my $get = session_of('["==", ".http.method", "GET"]');
is(status(GET => '/open/', $get), 200, 'a policy sees the method');
is(status(HEAD => '/open/', $get), 403, '... and refuses another');

my $public = session_of('["like", ".http.path", "/public/*"]');
is(status(GET => '/public/a', $public), 200, 'a policy sees the path');
is(status(GET => '/admin/a', $public), 403, '... and refuses another');

for my $path ('/public/../admin/', '/public/%2e%2e/admin/',
              '/public/..%2fadmin/', '/public/.%2E/admin/x',
              '/public//../../admin/', '/public/./../admin/')
{
    isnt(status(GET => $path, $public), 200, "... also as $path");
}

my $not = session_of('["not", ["like", ".http.path", "/admin/*"]]');
is(status(GET => '/public/a', $not), 200, 'a policy may exclude a path');
is(status(GET => '/admin/a', $not), 403, '... which then is closed');

for my $path ('/%61dmin/', '//admin/', '/x/../admin/', '/./admin/') {
    isnt(status(GET => $path, $not), 200, "... also as $path");
}

my $agent = session_of('["==", ".http.headers[\"User-Agent\"]", "probe"]');
is(status(GET => '/open/', $agent, 'User-Agent' => 'probe'), 200,
   'a policy sees the client');
is(status(GET => '/open/', $agent, 'User-Agent' => 'other'), 403,
   '... and refuses another');
is(status(GET => '/open/', $agent, 'User-Agent' => 'probe',
          'User-Agent' => 'other'), 401, '... and two');

done_testing;
