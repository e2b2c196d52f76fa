#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The access phase among others: satisfy, error_page, internal redirects, and
# what nginx itself does not pass through it (README of the module).

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => {
        'mesh.did'        => Mesh::Test::Mint->did('mesh'),
        'htpasswd'        => "ann:{PLAIN}secret\n",
        'html/login.html' => 'please log in',
        'html/page.html'  => 'a page',
    },
    server  => q{
        root           html;
        ucan_audience  file:mesh.did;

        location /any-address/ {
            empty_gif;
            satisfy  any;
            allow    127.0.0.1;
            deny     all;
            ucan     on;
        }

        location /any-token/ {
            empty_gif;
            satisfy  any;
            deny     all;
            ucan     on;
            ucan_require  /room/read;
        }

        location /any-off/ {
            empty_gif;
            satisfy  any;
            deny     all;
        }

        location /any-optional/ {
            empty_gif;
            satisfy  any;
            deny     all;
            ucan     optional;
        }

        location /any-basic/ {
            empty_gif;
            satisfy               any;
            auth_basic            there;
            auth_basic_user_file  %%PREFIX%%/htpasswd;
            ucan                  on;
        }

        location /all/ {
            empty_gif;
            deny  all;
            ucan  on;
        }

        location /page/ {
            empty_gif;
            ucan          on;
            ucan_require  /room/send;
            error_page    401 /login.html;
            error_page    403 =403 /login.html;
        }

        location /page-guarded/ {
            empty_gif;
            ucan        on;
            error_page  401 /page-guarded/again;
        }

        location /page-named/ {
            ucan        on;
            error_page  401 = @named;
            error_page  404 = @named;
        }

        location @named {
            ucan          off;
            add_header    X-Issuer $ucan_issuer;
            rewrite       ^ /page.html break;
        }

        location /from/ {
            ucan       on;
            try_files  /nothing /to/;
        }

        location /to/ {
            empty_gif;
            ucan          on;
            ucan_require  /room/read;
            add_header    X-Issuer $ucan_issuer;
        }

        location /to-strict/ {
            empty_gif;
            ucan              on;
            ucan_session_max  1m;
        }

        location /from-strict/ {
            ucan       on;
            try_files  /nothing /to-strict/;
        }

        location /from-elsewhere/ {
            ucan         on;
            ucan_source  authorization cookie:mesh;
            try_files    /nothing /to-cookie/;
        }

        location /to-cookie/ {
            empty_gif;
            ucan         on;
            ucan_source  cookie:mesh;
        }

        location /any-cookie/ {
            empty_gif;
            satisfy      any;
            allow        127.0.0.1;
            deny         all;
            ucan         on;
            ucan_source  cookie:mesh;
        }

        location /if/ {
            empty_gif;
            ucan  on;

            if ($arg_x) {
                return  200;
            }
        }

        location /rewritten/ {
            ucan     off;
            rewrite  ^ /to/ last;
        }

        location /accel/ {
            ucan        off;
            proxy_pass  http://127.0.0.1:%%PORT%%/accel-to;
        }

        location = /accel-to {
            ucan        off;
            add_header  X-Accel-Redirect /to/;
            empty_gif;
        }

        location /subrequest/ {
            empty_gif;
            auth_request  /guarded;
        }

        location /guarded {
            ucan   on;
            empty_gif;
        }

        location /return/ {
            ucan    on;
            return  200;
        }
    },
)->start;

my $token = Mesh::Test::Mint->mint(<<'END');
did ada key=ada
delegation read aud=ada cmd=/room/read
invocation open iss=ada sub=ada cmd=/session/open
container session list=read,open
container bare list=read
END

my $session = $token->{session};


# satisfy any.

my $reply = $mesh->get('/any-address/');

is($reply->status, 200, 'satisfy any: an allowed address needs no token');
is($reply->header('WWW-Authenticate'), undef, '... and gets no challenge');
is($mesh->get('/any-address/', token => 'junk')->status, 200,
   '... not even with one that is no token');

$reply = $mesh->get('/any-token/');

is($reply->status, 401, 'satisfy any: nobody opens it');
is($reply->header('WWW-Authenticate'), 'Bearer realm="mesh"',
   '... and there is a challenge');
is($mesh->get('/any-token/', token => $session)->status, 200,
   'satisfy any: a token opens what the address does not');
is($mesh->get('/any-token/', token => $token->{bare})->status, 401,
   '... a bad one does not');
is($mesh->get('/any-token/', token => 'junk')->status, 401,
   '... nor one that is no token');
is($mesh->get('/any-off/', token => $session)->status, 403,
   'where ucan is off a token opens nothing');
is($mesh->get('/any-optional/')->status, 403,
   'where it is optional, no token opens nothing');
is($mesh->get('/any-optional/', token => $session)->status, 200,
   '... and a good one does');
is($mesh->get('/any-basic/',
              headers => { Authorization => 'Basic YW5uOnNlY3JldA==' })
        ->status, 200, 'satisfy any: a password opens it');
is($mesh->get('/any-basic/', token => $session)->status, 200,
   '... or a token');
is($mesh->get('/all/', token => $session)->status, 403,
   'satisfy all: a token does not open what the address closes');


# error_page.

$reply = $mesh->get('/page/');

is($reply->status, 401, 'error_page has the say over a refusal');
is($reply->body, 'please log in', '... and over what is shown');
ok($reply->header('WWW-Authenticate'), '... and the challenge stays');

$reply = $mesh->get('/page/', token => $session);

is($reply->status, 403, 'error_page for a command that is not allowed');
is($reply->body, 'please log in', '... is shown as well');

$reply = $mesh->get('/page-guarded/');

is($reply->status, 401, 'an error page that is guarded is refused itself');
is($reply->json->{error}, 'unauthenticated', '... once, as a problem');
is(scalar(my @all = $reply->headers('WWW-Authenticate')), 1,
   '... with one challenge');
is($mesh->get('/page-named/')->body, 'a page',
   'a named location answers in our place');


# Internal redirects.

$reply = $mesh->get('/page-named/x', token => $session);

is($reply->body, 'a page', 'a named location after the access phase');
is($reply->header('X-Issuer'), $token->{ada},
   '... still knows who asks, though it asks for nobody');

$reply = $mesh->get('/from/', token => $session);

is($reply->status, 200, 'an internal redirect is checked again');
is($reply->header('X-Issuer'), $token->{ada}, '... and knows who asks');
is($mesh->get('/from-strict/', token => $session)->status, 401,
   '... by the rules of the location that it leads to');
is($mesh->get('/to-strict/', token => $session)->status, 401,
   '... which refuses directly as well');


is($mesh->get('/from-elsewhere/', token => $session)->status, 401,
   '... and by where it looks for a token');
is($mesh->get('/from-elsewhere/', headers => { Cookie => "mesh=$session" })
        ->status, 200, '... where there may be one');
is($mesh->get('/rewritten/')->status, 401, 'a rewrite leads there, too');
is($mesh->get('/rewritten/', token => $session)->status, 200,
   '... for those who may');
is($mesh->get('/accel/')->status, 401, '... and X-Accel-Redirect');
is($mesh->get('/accel/', token => $session)->status, 200,
   '... with the token of the request');
is($mesh->request(POST => '/any-cookie/',
                  headers => { Cookie => "mesh=$session" })->status, 405,
   'satisfy any: a cookie from elsewhere does not close what is open');


# What nginx does not send through the access phase.

is($mesh->get('/subrequest/')->status, 200,
   'nginx runs no access phase for subrequests');
is($mesh->get('/guarded')->status, 401, '... only for requests');
is($mesh->get('/return/')->status, 200, 'nor where "return" answers');
is($mesh->get('/if/?x=1')->status, 200, '... also in an "if"');
is($mesh->get('/if/')->status, 401, '... but there alone');


# Many requests on one connection: a refusal leaves it usable.

my $one = "GET /to/ HTTP/1.1\r\nHost: localhost\r\n";
my $raw = $mesh->raw(
    "${one}\r\n"
    . "POST /to/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabcde"
    . "${one}Authorization: Bearer $session\r\nConnection: close\r\n\r\n")
    ->raw;

is_deeply([ $raw =~ m{HTTP/1\.1 (\d+)}g ], [ 401, 401, 200 ],
          'refusals, also of a body, keep the connection in step');

done_testing;
