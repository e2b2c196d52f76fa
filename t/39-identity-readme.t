#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The module's README is true: its configuration runs, each directive and
# route of the code is in it, each example of a request gets that answer.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $top = Mesh::Test->top;
my $readme = Mesh::Test::slurp("$top/modules/identity/README.md");
my $code = Mesh::Test::slurp(
    "$top/modules/identity/ngx_http_mesh_identity_module.c");


# Complete.

my ($commands) = $code =~ /^static ngx_command_t (.*?)ngx_null_command/ms;
my ($table) = $code =~ /^static ngx_mesh_route_t (.*?)^\};/ms;
my @directives = $commands =~ /ngx_string\("(\w+)"\)/g;
my @routes = map { s/:$//r } $table =~ /NGX_HTTP_(\w+, "[^"]+)"/g;

cmp_ok(scalar @directives, '>=', 11, 'there are directives');
cmp_ok(scalar @routes, '>=', 16, 'and routes');

for my $name (@directives) {
    my ($page) = $readme =~ /^### \Q$name\E\n(.*?)(?=^##|\z)/ms;

    like($page // '', qr/\| syntax \| `\Q$name\E .*\| default \|.*\| context/s,
         "$name has a page");
}

for my $route (@routes) {
    my $line = $route =~ s/, "/ /r;

    like($readme, qr/^### \Q$line\E/m, "$line has a page");
}


# The configuration.

my ($example) = $readme =~ /^```nginx\n(load_module.*?)^```/ms;

$example =~ s/^load_module.*\n//mg;
$example =~ s/^events \{\}\n//m;

my ($pools, $http) = $example =~ /\A(.*?)^http \{\n(.*)^\}/ms;

$http =~ s{data/}{%%DATA%%/}g;
$http =~ s{listen\s+8080;}{listen 127.0.0.1:%%PORT%%;};

my $node = Mesh::Test->new(
    modules => [qw(ucan storage identity)], data => 1, main => $pools,
    conf => $http)->start;


# The examples, in their order, as the owner; ":id" is Bob's.

my ($token, $bob, $cid);
my $asked = 0;

for my $page ($readme =~ m{^### ((?:GET|POST|PATCH|DELETE) /.*?)(?=^##)}msg) {
    my ($method, $path) = $page =~ m{\A(\w+) (\S+)};
    my @json = map { Mesh::Test::json_decode($_) }
               $page =~ /^```json\n(.*?)^```/msg;
    my ($status) = $page =~ /^(20\d):$/m;
    my $answer = pop @json;
    my %opt = @json ? (json => $json[0]) : ();

    $status //= $answer ? 200 : ($page =~ /\b(204)\b/)[0];
    $path =~ s/:id/$bob/;
    $path =~ s/:name/greeter/;
    $path =~ s/:cid/$cid/;

    # what can be handed in is what the owner of this very mesh holds

    $opt{json} = { delegations => $node->get('/api/auth/me?delegations=1',
                                   token => $token)->json->{delegations} }
        if "$method $path" eq 'POST /api/ucan/delegations';

    my $reply = $node->request($method, $path, %opt,
                               $token ? (token => $token) : ());
    my $real = $reply->json;

    $token ||= $real->{token} if $real;
    $bob = $real->{participantId} if $path =~ /register/;
    $cid = $real->{delegations}[0]{cid} if $path =~ m{ucan/delegations$};

    is($reply->status, $status, "$method $path answers $status");
    is_deeply([ sort keys %{ $real || {} } ], [ sort keys %{ $answer || {} } ],
              'with the members of the example');
    $asked++;
}

is($asked, scalar @routes, 'every route was asked');

$node->stop;

done_testing;
