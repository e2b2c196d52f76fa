#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The module's README is true: its example works as it stands, each directive
# and variable of the code is in it, each snippet passes "nginx -t".

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $top = Mesh::Test->top;
my $readme = Mesh::Test::slurp("$top/modules/ucan/README.md");
my $code = join "", map { Mesh::Test::slurp($_) } glob "$top/modules/ucan/*.c";

my ($example, @snippets) = $readme =~ /^```nginx\n(.*?)^```/msg;
my ($shell) = $readme =~ /^```sh\n(.*?)^```/ms;


# Complete.

my ($commands) = $code =~ /^static ngx_command_t (.*?)ngx_null_command/ms;
my ($variables) = $code =~ /^static ngx_http_variable_t (.*?)^\};/ms;

my @directives = $commands =~ /ngx_string\("(\w+)"\)/g;
my @names = map { s/_\z/_NAME/r } $variables
            =~ s/NGX_UCAN_VARIABLE_ARG/"ucan_arg_"/r
            =~ /ngx_string\("(\w+)"\)/g;

cmp_ok(scalar @directives, '>=', 11, 'there are directives');

for my $name (@directives) {
    my ($page) = $readme =~ /^### \Q$name\E\n(.*?)(?=^##|\z)/ms;

    like($page // '',
         qr/\| syntax \| `\Q$name\E[ ;].*\| default \|.*\| context/s,
         "$name has a page");
    like($page // '', qr/^```nginx\n.*\Q$name\E[ ;].*^```/ms,
         '... an example');
}

is_deeply([ $readme =~ /^### (\w+)$/mg ], \@directives,
          '... in the order of the code, and no other has');

like($readme, qr/^\| `\$\Q$_\E` \|/m, "\$$_ is explained") for @names;

is_deeply([ $readme =~ /^\| `\$(\w+)` \|/mg ], \@names, '... and no other is');


# The snippets.

for my $snippet (@snippets) {
    my $text = $snippet;

    $text = "ucan_audience file:data/mesh.did;\n$text"
        unless $text =~ /^ucan_audience/m;

    if ($text =~ /location/) {
        $text =~ s/^(location.*)\z/server { listen 127.0.0.1:%%PORT%%;\n$1}/ms;
    }

    my @modules = 'ucan';

    if ($text =~ /^ucan_proofs/m) {
        push @modules, 'storage';
        $text .= "mesh_storage data/mesh.db;\n";
    }

    my ($rc, $out) = Mesh::Test->nginx_t(
        modules => \@modules, data => 1, conf => $text,
        files   => { 'revoked.txt' => "# none\n" });

    is($rc, 0, 'nginx takes: ' . (split /\n/, $snippet)[0]) or diag($out);
}


# The example, in a folder of its own, on free ports.

my ($http) = $example =~ /^http \{\n(.*)^\}/ms;

$http =~ s/listen  8080;/listen  127.0.0.1:%%PORT%%;/;
$http =~ s/127\.0\.0\.1:3000/127.0.0.1:%%PORT2%%/;

my $mesh = Mesh::Test->new(modules => ['ucan'], conf => <<"END", data => 1);
$http

server {
    listen  127.0.0.1:%%PORT2%%;
    return  200 "\$http_x_ucan_issuer|\$http_authorization|\$request_uri";
}
END

# "mesh init data" of the example makes the folder itself

Mesh::Test::run([ 'rm', '-r', $mesh->data ]);

$shell =~ s/localhost:8080/127.0.0.1:${\ $mesh->port}/;
$shell =~ s/^curl/echo "\$TOKEN" > token\ncurl -s/m;

my ($first, $rest) = split /(?=^mesh key new)/m, $shell, 2;
my $mesh_folder = dirname($mesh->module('ucan'));
my $start = "set -e; cd '${\ $mesh->prefix}'\n"
            . "PATH='$mesh_folder:$ENV{PATH}'\n";

my ($rc, $out, $err) = Mesh::Test::run([ 'bash', '-c', "$start$first" ]);

is($rc, 0, 'the first line of the example works') or diag($err);

$mesh->start;

($rc, $out, $err) = Mesh::Test::run([ 'bash', '-c', "$start$rest" ]);

is($rc, 0, 'the others do, too') or diag($err);
like($out, qr{^did:key:z6Mk\w+\|\|/rooms/\?room=r_1$}m,
     'the application gets the request, who asks, and no token');

chomp(my $token = $mesh->read_file('token'));

is($mesh->get('/rooms/?room=r_1', token => $token)->status, 200,
   'the bot may read the room');

my $other = $mesh->get('/rooms/?room=r_2', token => $token);

is($other->status, 403, '... and no other');
is($other->json->{command}, '/room/read', '... and is told what it lacks');

chomp(my $delegation = $mesh->read_file('bot.delegation'));

is($mesh->get('/rooms/?room=r_1', token => $delegation)->status, 401,
   'a stolen delegation opens nothing');

done_testing;
