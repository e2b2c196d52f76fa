#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The module's README is true: its configuration runs, each directive of the
# code is in it, and each example of a request gets the answer beside it.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my $top = Mesh::Test->top;
my $readme = Mesh::Test::slurp("$top/modules/storage/README.md");
my $code = Mesh::Test::slurp("$top/modules/storage/ngx_mesh_storage_conf.c");


# Complete.

my @directives = $code =~ /\{ ngx_string\("(mesh_\w+)"\),/g;

cmp_ok(scalar @directives, '>=', 24, 'there are directives');

for my $name (@directives) {
    my ($page) = $readme =~ /^### \Q$name\E\n(.*?)(?=^##|\z)/ms;

    like($page // '', qr/\| syntax \| `\Q$name\E .*\| default \|.*\| context/s,
         "$name has a page");
}


# The configurations of the directives hold, one by one.

my %beside = (
    mesh_storage => '', mesh_storage_api => '',
    mesh_storage_thread_pool => '');

for my $name (@directives) {
    next if defined $beside{$name};

    my ($example) = $readme =~ /^### \Q$name\E\n.*?^```nginx\n(.*?)^```/ms;

    $example =~ s{data/}{%%DATA%%/}g;
    $example =~ s{/(?:srv|etc)/mesh/}{%%DATA%%/}g;

    my ($rc, $text) = Mesh::Test->nginx_t(
        modules => ['storage'], data => 1,
        files   => { 'data/mongo.uri' => "mongodb://localhost/mesh\n" },
        conf    => "mesh_storage %%DATA%%/mesh.db;\n"
                   . ($name eq 'mesh_storage_mongo'
                      ? '' : "mesh_storage_mongo off;\n") . $example);

    ok($rc == 0 || $text =~ /built without libmongoc/,
       "the example of $name holds") or diag($text);
}


# The configuration.

my ($example) = $readme =~ /^```nginx\n(load_module.*?)^```/ms;

$example =~ s/^load_module.*\n//mg;
$example =~ s/^events \{\}\n//m;

my ($http) = $example =~ /^http \{\n(.*)^\}/ms;

$http =~ s{data/}{%%DATA%%/}g;
$http =~ s{listen\s+8080;}{listen 127.0.0.1:%%PORT%%;};

my $node = Mesh::Test::Storage->new;

$node->{main} = 'thread_pool default threads=2;';
$node->{conf} = "mesh_storage_mongo off;\n$http";
$node->write_file('nginx.conf', $node->configuration);
$node->start;


# The examples, in their order.

plan skip_all => 'there is no curl'
    unless grep { -x "$_/curl" } split /:/, $ENV{PATH};

my %env = (API   => 'http://127.0.0.1:' . $node->port . '/api/storage',
           TOKEN => $node->token(can => ['/storage'], ns => 'notes'),
           ADMIN => $node->owner_token,
           PATH  => $ENV{PATH});

chdir $node->prefix or die "chdir: $!";

my $asked = 0;

while ($readme =~ /^```sh\n(.*?)^```\n\n^```http\n(.*?)^```/msg) {
    my ($command, $wanted) = ($1, $2);

    my ($what) = $command =~ m{("\$API[^"]*")};
    my $expected = parse($wanted);
    my ($rc, $out) = Mesh::Test::run([ 'sh', '-c', $command ], env => \%env);
    my $got = parse($out =~ s/\r\n/\n/gr =~ s/\AHTTP\S+ 100 .*?\n\n//sr);

    is($got->{status}, $expected->{status}, "$what: $got->{status}")
        or diag($out);

    compare($what, $got, $expected);
    $asked++;
}

cmp_ok($asked, '>=', 8, 'there are examples');

chdir '/' or die "chdir: $!";
$node->stop;

done_testing;


sub parse {
    my ($text) = @_;

    my ($head, $body) = split /\n\n/, $text, 2;
    my ($line, @headers) = split /\n/, $head // '';

    return {
        status  => ($line // '') =~ m{^HTTP/1\.1 (\d{3})} ? $1 : '',
        headers => { map { /^([^:]+): (.*)/ ? (lc $1 => $2) : () }
                     @headers },
        body    => $body // '' };
}


# Headers and members of the example are in the answer; times, hashes and ids
# may differ in it.

sub compare {
    my ($what, $got, $expected) = @_;

    for my $name (sort keys %{ $expected->{headers} }) {
        is(shape($got->{headers}{$name} // ''),
           shape($expected->{headers}{$name}), "$what: $name");
    }

    my $wanted = eval { Mesh::Test::json_decode($expected->{body}) };

    if (!defined $wanted) {
        is($got->{body}, $expected->{body} =~ s/\n\z//r, "$what: its body")
            if $expected->{body} =~ /\S/;
        return;
    }

    my $json = eval { Mesh::Test::json_decode($got->{body}) };

    is_deeply(members($json), members($wanted), "$what: its members")
        or diag($got->{body});

    return;
}


sub shape {
    my ($value) = @_;

    return $value =~ s/\d{4}-\d\d-\d\dT[\d:.]+Z/TIME/gr
                  =~ s/[0-9a-f]{32,}/HASH/gr;
}


# Names of members all the way down; of an array those of its first.

sub members {
    my ($value) = @_;

    return { map { $_ => members($value->{$_}) } keys %$value }
        if ref $value eq 'HASH';
    return [ @$value ? members($value->[0]) : () ] if ref $value eq 'ARRAY';

    return '';
}
