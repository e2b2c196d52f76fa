#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# conf/up from start to stop, on what is built here: it says what an operator
# needs, does no harm when run again, and has one sentence for each refusal.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp ();
use IO::Socket::INET;
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Exchange;

plan(skip_all => 'conf/up runs the stock nginx') if Mesh::Test::is_asan();

my $top = Mesh::Test->top;
my $folder = File::Temp::tempdir('mesh-up-XXXXXXXX', TMPDIR => 1,
                                 CLEANUP => 1);
my $port = Mesh::Test::free_port();
my %env = (
    MESH_RUN     => "$folder/run",
    MESH_PORT    => $port,
    MESH_ADDRESS => '127.0.0.1',
    MESH_DATA    => '',
    MESH_BUILD   => Mesh::Test->build_folder,
    MESH_BUILT   => 1,
);

# as root the workers are of another user

chmod 0755, $folder;

sub up {
    my ($word, %more) = @_;

    my ($rc, $out, $err)
        = Mesh::Test::run([ "$top/conf/up", $word ], seconds => 120,
                          env => { %env, %more });

    return ($rc, $out . $err);
}

sub get {
    my ($path) = @_;

    return Mesh::Test::Exchange->new(
        method => 'GET', port => $port, path => $path)->reply;
}

sub pid {
    my $pid = Mesh::Test::slurp("$folder/run/nginx.pid");

    return $pid =~ /^(\d+)/ ? $1 : 0;
}


# Start.

my ($rc, $text) = up('status');

is($rc, 3, 'status tells that nothing runs');

($rc, $text) = up('start');
is($rc, 0, 'it starts') or BAIL_OUT($text);

my ($did) = $text =~ /(did:key:z6Mk\w+)/;

like($text, qr{http://127\.0\.0\.1:$port}, 'and says where');
ok($did, 'and who it is');
like($text, qr{curl -s \S+/api/auth/register}, 'and how to become owner');
is(get('/api/health')->status, 200, 'it is healthy');
is((stat "$folder/run/data/mesh.key")[2] & 0777, 0600,
   'nobody else reads the key');
is((stat "$folder/run/data")[2] & 0777, 0700, 'nor the data');

my ($master) = Mesh::Test::command_line(pid()) =~ /master process (\S+)/;

like($master, qr{^/}, 'nginx was started by its absolute path');

my $first = pid();

($rc, $text) = up('start');
is($rc, 0, 'to start it again is no error');
like($text, qr/runs already/, 'it says that it runs');
is(pid(), $first, 'and leaves it alone');

($rc, $text) = up('status');
is($rc, 0, 'status tells that it runs');
like($text, qr/\Q$did\E/, 'and who it is');

($rc, $text) = up('logs');
like($text, qr/access\.log/, 'logs shows the logs');


# Another nginx, another mesh, on the same port.

($rc, $text) = up('start', MESH_RUN => "$folder/other");
is($rc, 1, 'a busy port ends it');
is($text, "conf/up: port $port is busy; stop what uses it, or set "
          . "MESH_PORT\n", 'in one sentence');
ok(!-e "$folder/other", 'before anything is made');
is(pid(), $first, 'what had the port still has it');


# Reload.

my $answer = Mesh::Test::Exchange->new(
    method => 'POST', port => $port, path => '/api/auth/register',
    json => { name => 'ada', password => 'correct horse battery' })->reply;

is($answer->json->{role}, 'owner', 'the first to register owns it');

my $token = $answer->json->{token};

($rc, $text) = up('reload', MESH_REGISTRATION => 'closed');
is($rc, 0, 'it takes over changes') or diag($text);
is(pid(), $first, 'in the nginx that runs');
unlike($text, qr/nobody owns it/, 'it knows that it has an owner');

my $me = Mesh::Test->wait_for(sub {
    my $status = get('/api/setup/status')->json or return;
    return $status->{registration} eq 'closed' ? $status : undef;
}, 20, 'registration to be closed');

is($me->{registration}, 'closed', 'what the environment says now counts');
is(Mesh::Test::Exchange->new(method => 'GET', port => $port, token => $token,
                             path => '/api/auth/me')->reply->status, 200,
   'sessions outlive it');

# a reload without the variables keeps what was set

($rc, $text) = up('reload', MESH_PORT => $port);
is(get('/api/setup/status')->json->{registration}, 'closed',
   'settings are kept until they are set again');


# Stop, and start again with the same data.

($rc, $text) = up('stop');
is($rc, 0, 'it stops');
ok(!Mesh::Test::can_connect($port), 'and is gone');

($rc, $text) = up('stop');
is($rc, 0, 'to stop it again is no error');

($rc, $text) = up('start');
is($rc, 0, 'it starts again') or diag($text);
like($text, qr/\Q$did\E/, 'as the same mesh');
unlike($text, qr/nobody owns it/, 'with its owner');
up('stop');

my @bad = split /\n/, Mesh::Test::slurp("$folder/run/logs/error.log");

is_deeply([ grep { /\[(?:alert|crit|emerg)\]/ } @bad ], [],
          'its log is clean');


# Refusals, each in one sentence.

open my $file, '>', "$folder/file" or die $!;
close $file;
make_path("$folder/full");
open $file, '>', "$folder/full/letter" or die $!;
close $file;

my @refusals = (
    [ 'a folder that cannot be made', MESH_RUN => "$folder/file/run",
      qr/cannot write to/ ],
    [ 'a data folder with other things', MESH_DATA => "$folder/full",
      qr/neither empty nor the data folder of a mesh/ ],
    [ 'a port that is none', MESH_PORT => '99999', qr/is not a port/ ],
    [ 'a registration that is none', MESH_REGISTRATION => 'maybe',
      qr/MESH_REGISTRATION is open, invite or closed/ ],
    [ 'a URL with a path', MESH_URL => 'http://a.example/x',
      qr/MESH_URL is an origin/ ],
    [ 'workers that are none', MESH_WORKERS => '0', qr/MESH_WORKERS is/ ],
);

for my $refusal (@refusals) {
    my ($what, $name, $value, $pattern) = @$refusal;

    ($rc, $text) = up('start', $name => $value);
    is($rc, 1, "$what ends it");
    like($text, qr/\Aconf\/up: [^\n]*$pattern[^\n]*\n\z/, 'in one sentence');
}

done_testing;
