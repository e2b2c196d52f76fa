#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A token that is revoked by who issued it, or by a file, ends its open
# sockets in every worker within about a second.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes ();

use lib "$FindBin::RealBin/lib";

use Mesh::Test;
use Mesh::Test::Mint;

my $node = Mesh::Test->full(
    workers    => 2,
    files      => { 'revoked.txt' => "# nothing\n" },
    directives => { ucan_revocation_file => '%%PREFIX%%/revoked.txt' });
my $owner = $node->owner;
my ($seed) = $node->read_file('data/mesh.key') =~ /(\S+)/;

sub mint {
    return Mesh::Test::Mint->mint("key mesh seed=$seed\n" . join '', @_);
}

my $proof = mint(<<'END');
invocation open iss=carl sub=carl cmd=/session/open
container proof list=open
did did key=carl
END
my $carl = $node->post('/api/auth/register',
                       { name => 'carl', did => $proof->{did},
                         proof => $proof->{proof} })->json;
my $t = mint("import role text=$carl->{delegations}\n", <<'END');
invocation one iss=carl sub=carl cmd=/session/open nonce=1
invocation two iss=carl sub=carl cmd=/session/open nonce=2
invocation three iss=carl sub=carl cmd=/session/open nonce=3
container s1 list=role,one
container s2 list=role,two
container s3 list=role,three
record r1 iss=carl list=one
cid c2 list=two
END


# Sockets of one session until both workers have some: each worker takes
# connections by itself, so a dozen are enough.

sub open_some {
    my ($token) = @_;

    my @sockets = map { $node->ws('/ws') } 1 .. 12;

    for my $ws (@sockets) {
        $ws->send_json({ type => 'authenticate', token => $token });
        $ws->recv_json(type => 'auth_ok') or die "not let in\n";
    }

    return @sockets;
}

sub ends {
    my ($what, @sockets) = @_;

    my $begin = Time::HiRes::time();
    my @codes = map { $_->wait_close(timeout => 10) // 0 } @sockets;

    is_deeply(\@codes, [ (1008) x @sockets ], "$what ends all of them");
    cmp_ok(Time::HiRes::time() - $begin, '<', 4, '... soon');
    like($sockets[0]->close_reason, qr/revoked/, '... and says why');

    return;
}

my @one = open_some($t->{s1});
my @two = open_some($t->{s2});
my @three = open_some($t->{s3});

is($node->post('/api/ucan/revocations',
               { revocation => $node->json_decode($t->{r1}) })->status, 201,
   'a session is revoked by its holder');
ends('a signed revocation', @one);

$node->write_file('revoked.new', "$t->{c2}\n");
rename $node->prefix . '/revoked.new', $node->prefix . '/revoked.txt'
    or die "rename: $!";
ends('a line of the file', @two);

ok($_->is_open, 'another session goes on') for @three[0, 1];
$three[0]->send_json({ type => 'ping' });
ok($three[0]->recv_json(type => 'pong'), '... and answers');

done_testing;
