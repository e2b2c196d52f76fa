#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Secrets stay where they belong: no password, token, bot's secret, invite
# code or private key is in a log or a file, nor, once the request is over, a
# password in the memory of a worker.

use strict;
use warnings;
no warnings 'portable';      # addresses have more than 32 bits

use FindBin;
use MIME::Base64 ();
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $node = Mesh::Test::Identity->new(workers => 1)->start;

# a word that appears nowhere else, with an escape so that it is copied

my $password = 'Xq7-unusual-Password-"9';
my $other = 'Yw3-another-Password-8';

my $ada = $node->create_participant('ada', password => $password);
my $bot = $node->bot('robot', maker => $ada);
my $invite = $ada->post('/api/invites', {})->json->{code};

is($node->post('/api/auth/login', { name => 'ada', password => $password })
   ->status, 200, 'a password is used');
is($node->post('/api/auth/login', { name => 'ada', password => $other })
   ->status, 401, 'a wrong one as well');
is($node->post('/api/auth/register', { name => 'bob', password => $other,
                                       invite => $invite })->status, 201,
   'and an invite');
is($ada->post('/api/auth/logout')->status, 204, 'somebody leaves');
is($ada->get('/api/auth/me')->status, 401, 'and is refused');
is($node->post('/api/auth/register', $password)->status, 400,
   'a password is sent as the whole body');
is($node->post('/api/auth/login', { name => $password, password => 'x' x 9 })
   ->status, 401, 'and one as a name');


# Memory of the worker.

sub memory_holds {
    my ($pid, $text) = @_;

    open my $maps, '<', "/proc/$pid/maps" or return;
    open my $memory, '<:raw', "/proc/$pid/mem" or return;

    while (my $line = <$maps>) {
        my ($from, $to) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;

        next if $line =~ /\[v/;

        my $length = hex($to) - hex($from);

        sysseek $memory, hex $from, 0 or next;
        sysread $memory, my $bytes, $length or next;

        return 1 if index($bytes, $text) >= 0;
    }

    return 0;
}

my ($worker) = $node->workers;

SKIP: {
    my $known = !Mesh::Test::is_asan()      # which keeps what was freed
                && memory_holds($worker, $node->did);

    skip 'the memory of a worker cannot be read here', 3 unless $known;

    ok($known, 'what the worker knows is found in its memory');

    # the last ones that were sent as passwords, each in its own request

    for my $secret ($other, $bot->password) {
        $node->post('/api/auth/login', { name => 'robot',
                                         password => $secret });
        ok($node->wait_for(sub { !memory_holds($worker, $secret) }, 10),
           'a password is not, when its request is over');
    }
}

$node->stop;


# Files.

my %secrets = (
    'a password'          => $password,
    'a wrong password'    => $other,
    'a token'             => substr($ada->token, 40, 60),
    'a token of a bot'    => substr($bot->token, 40, 60),
    'the secret of a bot' => $bot->password,
    'an invite'           => $invite,
);

my ($seed) = $node->read_file('data/mesh.key') =~ /^ed25519:(\S+)/;
my $raw = MIME::Base64::decode_base64(($seed =~ tr{-_}{+/}r) . '=');

$secrets{'the key of the mesh'} = $seed;
$secrets{'the key of the mesh in bytes'} = $raw;

my @files = grep { -f } map { glob $node->prefix . "/$_" }
            'logs/*', 'data/mesh.db*', 'tmp/*/*';

cmp_ok(scalar(grep { m{mesh\.db$|error\.log$|access\.log$} } @files), '==', 3,
       'there are a database and logs');

for my $what (sort keys %secrets) {
    my @holds = grep {
        index(Mesh::Test::slurp($_), $secrets{$what}) >= 0
    } @files;

    is("@holds", '', "$what is in none of them");
}

ok((grep { index(Mesh::Test::slurp($_), $ada->id) >= 0 } @files),
   'while ids are: the search finds what is there');

done_testing;
