#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What upstreams are told of who asks, never by the client itself; and which
# tokens they get to see.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use IO::Socket::INET;
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');
my $ada = Mesh::Test::Mint->did('ada');

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => $did },
    conf    => q{
        ucan_audience           file:mesh.did;
        underscores_in_headers  on;
        ignore_invalid_headers  off;
    },
    server  => q{
        ucan          optional;
        ucan_forward  on;

        location /proxy/  { proxy_pass http://127.0.0.1:%%PORT2%%; }

        location /fastcgi/ {
            fastcgi_pass   127.0.0.1:%%PORT2%%;
            fastcgi_param  REQUEST_METHOD $request_method;
        }

        location /scgi/   { scgi_pass 127.0.0.1:%%PORT2%%; }
        location /uwsgi/  { uwsgi_pass 127.0.0.1:%%PORT2%%; }

        location /off/ {
            ucan_forward  off;
            proxy_pass    http://127.0.0.1:%%PORT2%%;
        }

        location /redirected/ {
            ucan       on;
            try_files  /nothing /proxy/there;
        }

        location /strict/ {
            ucan          on;
            ucan_trust    file:mesh.did;
            ucan_tokens   strip;
            ucan_source   authorization cookie:mesh header:X-Token
                          subprotocol;
            proxy_pass    http://127.0.0.1:%%PORT2%%;
        }

        location /strict-twice/ {
            ucan         on;
            ucan_tokens  strip;
            try_files    /nothing /again/there;
        }

        location /again/ {
            ucan              on;
            ucan_session_max  12h;
            proxy_pass        http://127.0.0.1:%%PORT2%%;
        }

        location /logged/ {
            ucan          on;
            ucan_tokens   strip;
            ucan_source   authorization cookie:mesh;
            proxy_pass    http://127.0.0.1:%%PORT2%%;
            proxy_set_header  X-Seen  "$http_authorization|$http_cookie";
        }

        location /asked/ {
            auth_request  /ask;
            empty_gif;
        }

        location = /ask {
            internal;
            ucan_tokens       strip;
            proxy_pass        http://127.0.0.1:%%PORT2%%;
        }
    },
);


# An application of no protocol, that writes down what it gets.

my $upstream = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1', LocalPort => $mesh->port(2), Listen => 16,
    ReuseAddr => 1) or die "listen: $!";

my $pid = fork;
die "fork: $!" unless defined $pid;

if ($pid == 0) {
    $SIG{TERM} = 'DEFAULT';

    while (my $client = $upstream->accept) {
        sysread $client, my $text, 65536;

        open my $file, '>', $mesh->prefix . '/seen' or die;
        syswrite $file, $text;
        close $file;

        syswrite $client, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
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
container session form=C list=read,open
invocation act iss=ada cmd=/room/read args=room:r_1 prf=read
container act list=read,act
cid cid list=open
END

my @bearer = (Authorization => "Bearer $token->{session}");
my @forged = map { $_ => 'forged' }
             qw(Ucan-Issuer ucan-root UCAN_CID Ucan_Kind Ucan.Command
                ucan-anything);


# What the application saw, as it came.

sub seen {
    my ($path, @headers) = @_;

    $mesh->write_file('seen', '');
    $mesh->get($path, headers => \@headers);

    return $mesh->read_file('seen');
}


# Facts.

my $seen = seen('/proxy/', @bearer, 'X-Other' => 'kept');

my %facts = map { lc } $seen =~ /^(Ucan-\w+): (.*?)\r$/mg;

is($facts{'ucan-issuer'}, lc $ada, 'an upstream is told who asks');
is($facts{'ucan-root'}, lc $did, '... from which root');
is($facts{'ucan-cid'}, $token->{cid}, '... with which token');
is($facts{'ucan-kind'}, 'session', '... of which kind');
cmp_ok(abs($facts{'ucan-expires'} - time - 3600), '<', 60, '... until when');
is($facts{'ucan-command'}, undef, '... and no command of a session');
like($seen, qr/^X-Other: kept\r$/m, 'other headers stay');
like($seen, qr/^Authorization: Bearer/m, '... the token too, unless told');

$seen = seen('/proxy/', Authorization => "Bearer $token->{act}");

like($seen, qr{^Ucan-Kind: invocation\r$}m, 'an invocation is told');
like($seen, qr{^Ucan-Command: /room/read\r$}m, '... with its command');


# Never by the client.

for my $path (qw(/proxy/ /fastcgi/ /scgi/ /uwsgi/)) {
    $seen = seen($path, @forged, @bearer, @forged, 'X-Other' => 'kept');

    unlike($seen, qr/forged/, "$path: no copy of a client comes through");
    like($seen, qr/\Q$ada\E/, '... the facts do');
    like($seen, qr/kept/, '... and what stood beside them');

    $seen = seen($path, @forged, 'X-Other' => 'kept');

    unlike($seen, qr/forged/, '... nor without a token');
    unlike($seen, qr/ucan.issuer/i, '... where there are no facts');
    like($seen, qr/kept/, '... and the others stay');
}

$seen = seen('/proxy/', map { ("X-$_" => "v$_", 'Ucan-Cid' => 'forged') }
                        1 .. 60);

is(scalar(() = $seen =~ /^X-\d+: v\d+\r$/mg), 60, 'however many there are');
unlike($seen, qr/forged/, '... in whatever order');

$seen = seen('/proxy/', ('Ucan-Cid' => 'forged') x 90);

unlike($seen, qr/forged/, '... or nothing else');
like(seen('/off/', @forged), qr/^UCAN_CID: forged\r$/m,
     'where it is off, headers pass as they are');

$seen = seen('/redirected/', @bearer, @forged);

is(scalar(() = $seen =~ /^Ucan-Issuer:/mg), 1,
   'an internal redirect makes no doubles');
unlike($seen, qr/forged/, '... and lets none through');

$seen = seen('/asked/', @forged, @bearer);

unlike($seen, qr/forged|Bearer/, 'the same for a subrequest');


# Tokens.

my $t = $token->{session};

$seen = seen('/strict/', @bearer, ucans => 'x', 'X-Other' => 'kept');
unlike($seen, qr/Authorization|ucans/i, 'strip: upstreams get no token');
like($seen, qr/X-Other: kept\r\n/, '... and nothing else');
like($seen, qr/^Ucan-Issuer: \Q$ada\E\r$/m, '... not the facts');

$seen = seen('/strict/', 'X-Token' => $t, Authorization => 'Basic YTpi');
unlike($seen, qr/X-Token/, '... the header that is named');
like($seen, qr/^Authorization: Basic YTpi\r$/m,
     '... not what is of another scheme');

$seen = seen('/strict/', Cookie => "a=b; mesh=$t; c=d");
like($seen, qr/^Cookie: a=b; c=d\r$/m, '... the cookie, not the others');
unlike(seen('/strict/', Cookie => "mesh=$t"), qr/Cookie/,
       '... the line when nothing is left');
like(seen('/strict/', 'Sec-WebSocket-Protocol' => "mesh.v1, bearer.$t"),
     qr/^Sec-WebSocket-Protocol: mesh\.v1\r$/m, '... and the subprotocol');

# Blanks before a value are no part of it, for who finds and who takes away.

for my $header ([ Authorization => "\tBearer $t" ],
                [ Cookie => "\tmesh=$t" ], [ Cookie => "a=b;\tmesh=$t" ],
                [ 'Sec-WebSocket-Protocol' => "mesh.v1,\tbearer.$t" ])
{
    $seen = seen('/strict/', @$header);
    like($seen, qr/^Ucan-Issuer: \Q$ada\E\r$/m,
         "$header->[0]: a token behind a tab counts");
    unlike($seen, qr/\Q$t\E/, '... and is taken away');
}

$seen = seen('/logged/', Cookie => "a=b; mesh=$t", @bearer);
like($seen, qr/^X-Seen: \|a=b\r$/m, 'variables are without it, too');

$seen = seen('/strict-twice/', @bearer);
like($seen, qr/^Ucan-Issuer: \Q$ada\E\r$/m,
     'a location behind a redirect can still ask for the token');
unlike($seen, qr/Bearer/, '... which stays away from its upstream');

done_testing;
