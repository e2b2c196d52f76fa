#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# GET /skill.md: the page that teaches a bot carries the address by which the
# bot reached this node, and no other name that somebody may have put there.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $mesh = Mesh::Test->new(
    modules => ['status'],
    files   => { 'short.md' => 'at %%URL%%, %%WS_URL%%/ws; 100% of it' },
    conf    => q{
        server {
            listen       127.0.0.1:%%PORT2%%;
            server_name  one.example two.example *.three.example ~four;

            location / { mesh_skill short.md; }
        }
    },
    server  => q{
        location = /skill.md { mesh_skill %%TOP%%/modules/status/skill.md; }

        location = /short { mesh_skill short.md; }

        location = /fixed {
            mesh_skill      short.md;
            mesh_skill_url  https://mesh.example.org;
        }

        location = /named {
            mesh_skill       short.md;
            mesh_skill_host  mesh.example.org;
        }

        location = /off { mesh_skill off; return 204; }
    })->start;

my $port = $mesh->port;

sub page {
    my ($path, $host, @opt) = @_;
    return $mesh->get($path, headers => { Host => $host }, @opt);
}


# The page of the tree.

my $answer = $mesh->get('/skill.md');
my $page = $answer->body;

is($answer->status, 200, 'the page is served');
is($answer->header('Content-Type'), 'text/markdown; charset=utf-8',
   'as Markdown');
is($answer->header('Content-Length'), length $page, 'whole');
like($page, qr{\Qhttp://127.0.0.1:$port\E\*\*},
     'with the address of this node');
like($page, qr{\Qws://127.0.0.1:$port/ws\E}, 'and of its socket');
unlike($page, qr/%%/, 'with no placeholder left');

for my $needed (qw(/api/agents/bootstrap /api/auth/login /api/rooms /api/poll
                   authenticate join_room send_message since clientId))
{
    like($page, qr/\Q$needed\E/, "it teaches $needed");
}

is($mesh->head('/skill.md')->header('Content-Length'), length $page,
   'HEAD tells the length');
is($mesh->post('/skill.md', {})->status, 405, 'POST is refused');


# Whose address.

is(page('/short', "localhost:$port")->body,
   "at http://localhost:$port, ws://localhost:$port/ws; 100% of it",
   'the address is the one that was asked');
is(page('/short', 'localhost')->body,
   'at http://localhost, ws://localhost/ws; 100% of it',
   'also without a port');
is(page('/short', "[::1]:$port")->body,
   "at http://[::1]:$port, ws://[::1]:$port/ws; 100% of it", 'also of IPv6');
is(page('/named', 'mesh.example.org')->status, 200,
   'a listed name will do');

my @named = (port => $mesh->port(2));

is(page('/', $_, @named)->status, 200, "a server_name will do: $_")
    for qw(one.example two.example);

is(page('/', $_, @named)->status, 421, "a pattern will not: $_")
    for qw(a.three.example four.example *.three.example);

like(page('/fixed', 'whatever.example')->body,
     qr{^at https://mesh\.example\.org, wss://mesh\.example\.org/ws},
     'mesh_skill_url goes before Host');

$answer = page('/short', 'evil.example');

is($answer->status, 421, 'a name that is not ours is refused');
is($answer->json->{error}, 'wrong-host', 'as a problem');
unlike($answer->body, qr/evil/, 'and not repeated');

is(page('/short', 'localhost:"><script>')->body,
   'at http://localhost, ws://localhost/ws; 100% of it',
   'what is no port does not get into the page');
is($mesh->raw("GET /short HTTP/1.0\r\n\r\n")->status, 421,
   'without Host there is no address');
is($mesh->get('/off')->status, 204, 'off leaves the location to others');


# Templates.

my %files = (
    'unknown.md' => 'see %%NAME%% here',
    'open.md'    => 'see %%URL',
    'large.md'   => 'x' x 65537,
    'empty.md'   => '',
    'latin.md'   => "caf\xe9",
    'fits.md'    => 'x' x 65536,
);

my @refused = (
    [ 'mesh_skill none.md',    qr{"mesh_skill" cannot open "\S+/none\.md"} ],
    [ 'mesh_skill on',         qr{"mesh_skill" needs the path of a template} ],
    [ 'mesh_skill unknown.md', qr{md" has "%%" before "NAME%% here"} ],
    [ 'mesh_skill open.md',    qr{open\.md" has "%%" before "URL"} ],
    [ 'mesh_skill large.md',   qr{1 to 65536 bytes in UTF-8} ],
    [ 'mesh_skill empty.md',   qr{1 to 65536 bytes in UTF-8} ],
    [ 'mesh_skill latin.md',   qr{1 to 65536 bytes in UTF-8} ],
    [ 'mesh_skill logs',       qr{"mesh_skill" cannot read "\S+/logs"} ],
    [ 'mesh_skill fits.md; mesh_skill fits.md', qr{is duplicate} ],
    [ 'mesh_skill_url mesh.example.org', qr{needs an origin such as} ],
    [ 'mesh_skill_url http://a/b',       qr{needs an origin such as} ],
    [ q{mesh_skill_url 'http://a";rm'},  qr{needs an origin such as} ],
    [ 'mesh_skill_host a:80',            qr{needs plain host names} ],
);

my ($rc, $text) = $mesh->nginx_t(
    server => 'location / { mesh_skill fits.md; }', files => \%files);

is($rc, 0, 'a template of 64 KB holds') or diag($text);

for my $case (@refused) {
    my ($conf, $expected) = @$case;

    ($rc, $text) = $mesh->nginx_t(
        server => "location / { $conf; }", files => \%files);

    isnt($rc, 0, "\"$conf\" is refused");
    like($text, $expected, '... and the line says why');
}

done_testing;
