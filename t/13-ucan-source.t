#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Where a token may stand, per location; and that one in a query reaches no
# log and no upstream, whatever becomes of the request.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use IO::Socket::INET;
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => Mesh::Test::Mint->did('mesh') },
    conf    => q{
        ucan_audience   file:mesh.did;
        limit_req_zone  $server_name zone=slow:1m rate=1r/m;
        log_format      all  '$request|$request_uri|$uri|$args|$arg_token'
                             '|$query_string|$is_args|$http_referer|$status';
        large_client_header_buffers  4 8k;
        server {
            listen      127.0.0.1:%%PORT5%%;
            error_page  400 @failed;
            access_log  logs/access.log all;
            location @failed { return 200 "$args|$request_uri"; }
        }
    },
    server  => q{
        access_log  logs/access.log all;

        location /plain/   { empty_gif; ucan on; }
        location /header/  { empty_gif; ucan on; ucan_source header:X-Token; }
        location /cookie/  { empty_gif; ucan on; ucan_source cookie:mesh; }
        location /socket/  { empty_gif; ucan on; ucan_source subprotocol; }

        location /posted/ {
            ucan         on;
            ucan_source  cookie:mesh;
            proxy_pass   http://127.0.0.1:%%PORT3%%;
        }

        location /both/ {
            empty_gif;
            ucan         on;
            ucan_source  authorization cookie:mesh header:X-Token;
        }

        location /query/ {
            ucan         on;
            ucan_source  authorization query:token;
            proxy_pass   http://127.0.0.1:%%PORT3%%;
        }

        location /query-uri/ {
            ucan         on;
            ucan_source  query:token;
            proxy_pass   http://127.0.0.1:%%PORT3%%/x/;
        }

        location /open/    { proxy_pass http://127.0.0.1:%%PORT3%%; }
        location /return/  { return 302 /to$is_args$args; }
        location /echo/    { return 200 "$request_uri|$args|$arg_a\n"; }
        location /rewrite/ { rewrite ^ /open/rewritten last; }
        location /none/    { root html; }
        location /slow/    { limit_req zone=slow; empty_gif; }
        location /dead/    { proxy_pass http://127.0.0.1:%%PORT4%%; }
        location = /dir    { ucan on; ucan_source query:token; root html; }
    },
);

$mesh->write_file('html/dir/page.html', 'a page');


# An application that writes down what it gets.

my $upstream = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1', LocalPort => $mesh->port(3), Listen => 16,
    ReuseAddr => 1) or die "listen: $!";

my $pid = fork;
die "fork: $!" unless defined $pid;

if ($pid == 0) {
    $SIG{TERM} = 'DEFAULT';

    while (my $client = $upstream->accept) {
        my $text = '';

        until ($text =~ /\r\n\r\n/) {
            sysread $client, $text, 65536, length $text or last;
        }

        open my $file, '>>', $mesh->prefix . '/upstream' or die;
        syswrite $file, "$text\n";
        close $file;

        syswrite $client, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
    }

    require POSIX;
    POSIX::_exit(0);
}

close $upstream;
END { if ($pid) { my $status = $?; kill TERM => $pid; waitpid $pid, 0;
                  $? = $status } }

$mesh->start;

my $token = Mesh::Test::Mint->mint(<<'END');
delegation read aud=ada cmd=/room/read
invocation open iss=ada sub=ada cmd=/session/open
invocation more iss=ada sub=ada cmd=/session/open exp=1800
container session form=C list=read,open
container base64 form=B list=read,open
container other form=C list=read,more
END

my $t = $token->{session};
my $other = $token->{other};

sub status {
    my ($path, @headers) = @_;

    return $mesh->get($path, headers => \@headers)->status;
}

sub post {
    my ($path, @headers) = @_;

    return $mesh->request(POST => $path, headers => \@headers);
}


# One place.

is(status('/plain/', Authorization => "bearer  $t"), 200,
   'Authorization is the place when nothing is said');
is(status('/plain/', 'X-Token' => $t), 401, '... and no other');
is(status('/header/', 'x-token' => " $t "), 200, 'a header of any name');
is(status('/header/', Authorization => "Bearer $t"), 401,
   '... and then no longer Authorization');
is(status('/header/', 'X-Token' => $t, 'X-Token' => $t), 400,
   '... which stands once');
is(status('/header/', 'X-Token' => ''), 400, '... and not empty');
is(status('/cookie/', Cookie => "a=b; mesh=$t; c=d"), 200, 'a cookie');
is(status('/cookie/', Cookie => "mesh=\"$t\""), 200, '... in quotes as well');
is(status('/cookie/', Cookie => "xmesh=$t"), 401, '... of exactly that name');
is(status('/cookie/', Cookie => "mesh=$t; mesh=$t"), 400, '... once');
is(status('/cookie/', Cookie => "mesh=$t", Cookie => "mesh=$other"), 400,
   '... in all lines');
is(status('/socket/', 'Sec-WebSocket-Protocol' => "mesh.v1, bearer.$t"), 200,
   'a subprotocol');
is(status('/socket/', 'Sec-WebSocket-Protocol' => "bearer.$t,bearer.$t"),
   400, '... once');
is(status('/socket/', 'Sec-WebSocket-Protocol' => 'bearer.'), 400,
   '... and not empty');
is(status('/socket/', 'Sec-WebSocket-Protocol' => 'mesh.v1'), 401,
   '... among others, which are none');


# Several places.

is(status('/both/', Cookie => "mesh=$t"), 200, 'any of several places');
is(status('/both/', Authorization => "Bearer $t", Cookie => "mesh=$t"), 200,
   'the same token may stand in two');
is(status('/both/', Authorization => "Bearer $t", Cookie => "mesh=$other"),
   400, '... but not another');
is(status('/both/', Authorization => 'Basic YTpi', 'X-Token' => $t), 200,
   'other credentials are no token');
is(status('/both/', Cookie => "mesh=$t", ucans => 'x', ucans => 'y'), 400,
   'proofs stand once, whatever the place');


# A cookie is sent by whoever made the page.

my $own = 'http://localhost';
my @cookie = (Host => 'localhost', Cookie => "mesh=$t");

is(post('/posted/', @cookie, Origin => $own)->status, 200,
   'a cookie counts when the page is of this host');
is(post('/posted/', @cookie, Origin => 'https://localhost')->status, 200,
   '... TLS may end before it');

my $reply = post('/posted/', @cookie, Origin => 'http://evil.example');

is($reply->status, 403, '... not with the page of another');
is($reply->json->{error}, 'wrong-origin', '... which is told so');
is(post('/posted/', @cookie, Origin => 'null')->status, 403, '... or none');
is(post('/posted/', @cookie)->status, 403, '... or one that is not named');
is(post('/posted/', @cookie, Origin => $own, Origin => $own)->status, 403,
   '... or two');
is(status('/cookie/', @cookie, Origin => 'http://evil.example'), 200,
   'what changes nothing may be asked for from anywhere');
is(status('/cookie/', @cookie, Upgrade => 'websocket',
          Origin => 'http://evil.example'), 403,
   '... but no socket may be opened');
is(post('/both/', Authorization => "Bearer $t",
        Origin => 'http://evil.example')->status, 405,
   'no browser adds a header by itself');
is(post('/both/', @cookie, Authorization => "Bearer $t",
        Origin => 'http://evil.example')->status, 405,
   '... and what has both is the header');
like($mesh->error_log, qr/ucan: refused: wrong-origin/,
     'the log says why a cookie did not count');


# A query.  What comes of it in all places where it could be seen.

my %secret;

sub ask {
    my ($target, @headers) = @_;

    return $mesh->get($target, headers => \@headers, timeout => 20);
}

is(ask("/query/?token=$t")->status, 200, 'a token in a query');
is(ask("/query/?a=1&token=$t&b=2")->status, 200, '... among others');
is(ask("/query/?%74o%6Ben=$t")->status, 200, '... however it is spelled');
is(ask('/query/?token=' . join '', map { sprintf '%%%02x', ord }
                                   split //, $token->{base64})->status,
   200, '... with escapes in it');
is(ask("/query/?token=$t&token=$t")->status, 400, '... once');
is(ask('/query/?token=')->status, 400, '... and not empty');
is(ask("/query/?TOKEN=$t")->status, 200,
   '... in any case, as nginx reads arguments');
is(ask("/query/?xtoken=1")->status, 401, '... by its whole name');
is(ask("/query/?token=$t", Authorization => "Bearer $other")->status, 400,
   '... and not beside another token');
is(ask("/query-uri/?token=$t&a=1")->status, 200, 'with a URI in proxy_pass');
is(ask("/open/?token=$t&a=1")->status, 200, 'at a location that takes none');
is(ask("/plain/?token=$t")->status, 401, '... it does not count');
is(ask("/return/?token=$t&a=1")->header('Location'),
   'http://127.0.0.1:' . $mesh->port . '/to?a=1', 'with a redirect');
is(ask("/echo/?token=$t&a=1&b=2")->body, "/echo/?a=1&b=2|a=1&b=2|1\n",
   'the other arguments stay');
is(ask("/echo/?token=$t")->body, "/echo/||\n", '... and no "?" without any');
is(ask("/echo/?tokens=1&a=x;y#z")->body, "/echo/?tokens=1&a=x;y#z|"
   . "tokens=1&a=x;y|x;y\n", 'where there is no token nothing changes');
is(ask("/rewrite/?token=$t&a=1")->status, 200, 'with a rewrite');
is(ask("/none/?token=$t")->status, 404, 'with nothing found');
is(ask("/dead/?token=$t")->status, 502, 'with a dead upstream');
is(ask("/dir?token=$t&a=1")->header('Location') // '',
   'http://127.0.0.1:' . $mesh->port . '/dir/?a=1',
   'with the slash that nginx adds');

ask("/slow/?token=$t");
is(ask("/slow/?token=$t")->status, 503, 'with a limit');
is(ask("/open/?x&y#token=$t")->status, 200,
   'behind what nginx takes for the end');
is(ask("/open/?x;token=$t&y")->status, 200,
   'behind what others take for a separator');
is(ask('/open/', Referer => "http://localhost/query/?token=$t&a=1")->status,
   200, 'in the Referer of a page');

my $long = 'x' x 9000;

is($mesh->raw("GET /open/?token=$t&a=$long HTTP/1.1\r\n"
              . "Host: localhost\r\n\r\n")->status, 414, 'in a long request');
is($mesh->raw("GET /open/?token=$t HTTP/1.1\r\nHost: localhost\r\n"
              . "X-Long: $long\r\n\r\n")->status, 400,
   'in one with a long header');
is($mesh->raw("GET /open/?token=$t HTTP/1.1\r\n\r\n")->status, 400,
   'in one without a host');
is($mesh->raw("GET /open/?token=$t HTTP/9.9\r\nHost: localhost\r\n\r\n")
       ->status, 505, 'in one of no version');
is($mesh->raw("GET /open/?token=$t HTTP/1.1 x\r\n\r\n")->status, 400,
   'in one that cannot be read');
is($mesh->raw("GET http://localhost/open/?token=$t HTTP/1.1\r\n"
              . "Host: localhost\r\nConnection: close\r\n\r\n")->status, 200,
   'in one that names its host');

is($mesh->raw("GET /failed/?token=$t&a=1 HTTP/1.1\r\n$_\r\n",
              port => $mesh->port(5))->body, 'a=1|/failed/?a=1',
   'in one that fails early, on an error page')
    for '', "Host: a\r\nHost: b\r\n", "Host: a\r\nContent-Length: x\r\n";

my $count = () = $mesh->wait_for(sub {
    my $log = $mesh->access_log;
    return $log =~ m{/open/.*HTTP/1\.1 x|localhost/open/} && $log;
}) =~ /\n/g;

cmp_ok($count, '>', 50, 'all of it was logged');

my $start = substr $t, 0, 24;

for my $name ('logs/access.log', 'logs/error.log', 'upstream') {
    my $text = $mesh->read_file($name);

    cmp_ok(length $text, '>', 500, "$name has what happened");

    my @lines = map { substr $_, 0, 200 } grep { /\Q$start\E/ }
                split /\n/, $text;

    # the header lines of requests that carried it there on purpose

    @lines = grep { !/^(?:Cookie|Authorization|X-Token): /i } @lines
        if $name eq 'upstream';

    is_deeply(\@lines, [], '... but no token');
}

like($mesh->read_file('upstream'), qr{^GET /query/\?a=1&b=2 HTTP}m,
     'the application gets the rest of the query');
like($mesh->read_file('upstream'), qr{^GET /x/\?a=1 HTTP}m,
     '... by any address');
like($mesh->error_log, qr/too long URI.*request: "GET \/open\/\?token=["&]/,
     'even what nginx logs while it reads is without it');

done_testing;
